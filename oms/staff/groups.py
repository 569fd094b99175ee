"""The staff groups and what each may do, kept in step with the code after every migration.

Operators run the trading day and set up who trades what, and how; compliance officers look at everything,
set controls and close alerts, and do not trade.
A superuser may give a group more by hand: what stands here is added, nothing is taken away.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from compliance.selectors import COMPLIANCE, OPERATOR

APPS = ("compliance", "ledger", "orders")
HIDDEN = frozenset({"view_idempotencykey"})
#: What a group may do beyond looking; the services ask again.
MAY: dict[str, tuple[str, ...]] = {
    OPERATOR: (
        "orders.change_order",
        "orders.add_brokeraccount",
        "orders.change_brokeraccount",
        "orders.change_routing",
        "ledger.add_capitalaccount",
        "ledger.add_capitalentry",
        "compliance.add_account",
        "compliance.change_account",
        "compliance.change_membership",
        "compliance.add_algoregistration",
        "compliance.change_algoregistration",
        "compliance.change_killswitch",
        "compliance.add_risklimit",
        "compliance.change_alert",
        "axes.view_accessattempt",
        "axes.change_accessattempt",
    ),
    COMPLIANCE: ("compliance.change_killswitch", "compliance.add_risklimit", "compliance.change_alert"),
}


def ensure_groups(**_signal: Any) -> None:
    """Create the groups and grant what is missing. Safe to repeat; also a receiver of post_migrate."""
    viewing = Q(content_type__app_label__in=APPS, codename__startswith="view_")
    for name, actions in MAY.items():
        group, _ = Group.objects.get_or_create(name=name)
        wanted = viewing
        for action in actions:
            app, codename = action.split(".")
            wanted |= Q(content_type__app_label=app, codename=codename)
        group.permissions.add(*Permission.objects.filter(wanted).exclude(codename__in=HIDDEN))
