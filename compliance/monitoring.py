"""What the live page shows of controls: open alerts, switches that are not ACTIVE, whether there are accounts."""

from collections.abc import Sequence

from compliance.models import Account, Alert, KillSwitch, Membership
from compliance.selectors import COMPLIANCE, OPERATOR, accounts_visible_to, is_in
from oms.lib.users import User


def open_alerts(user: User, *, limit: int) -> Sequence[Alert]:
    """The latest open alerts of the user's accounts; those of no account are for operators and officers."""
    alerts = Alert.objects.filter(closed_at=None).select_related("account").order_by("-last_raised_at")
    if not is_in(user, OPERATOR, COMPLIANCE):
        alerts = alerts.filter(account__in=accounts_visible_to(user))
    return list(alerts[:limit])


def open_alert_count() -> int:
    """How many alerts are open in all."""
    return Alert.objects.filter(closed_at=None).count()


def thrown_switches() -> Sequence[KillSwitch]:
    """Every switch that stops or reduces trading now, the house's first."""
    thrown = KillSwitch.objects.exclude(mode=KillSwitch.Mode.ACTIVE)
    return sorted(
        thrown.select_related("account", "algo", "changed_by"),
        key=lambda s: (s.scope != "HOUSE", -s.changed_at.timestamp()),
    )


def has_accounts() -> bool:
    """Whether there is any trading account: the house is none."""
    return Account.objects.exclude(kind=Account.Kind.HOUSE).exists()


def has_members() -> bool:
    """Whether anybody may act on any account by membership."""
    return Membership.objects.exists()
