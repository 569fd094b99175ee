"""The frame of the admin site: navigation, its badges, the environment's label. Pages live with their apps."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from compliance.monitoring import open_alert_count


def style(_request: HttpRequest) -> str:
    return static("oms/admin.css")


def icon(_request: HttpRequest) -> str:
    return static("oms/icon.svg")


def environment(_request: HttpRequest) -> list[str] | None:
    """A label beside the user's name, so that nobody takes the demo for the market."""
    return ["Demo", "warning"] if settings.DEMO else None


def open_alerts(_request: HttpRequest) -> str:
    """How many alerts are open; nothing when none is."""
    count = open_alert_count()
    return str(count) if count else ""


#: (group, items); an item is (title, icon, app_model).
MENU: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Trading",
        (
            ("Orders", "receipt_long", "orders_order"),
            ("Executions", "swap_horiz", "orders_execution"),
            ("Amendments", "edit_note", "orders_amendment"),
            ("Alerts", "notifications_active", "compliance_alert"),
        ),
    ),
    (
        "Control",
        (
            ("Kill switches", "power_settings_new", "compliance_killswitch"),
            ("Risk limits", "speed", "compliance_risklimit"),
            ("Broker accounts", "hub", "orders_brokeraccount"),
        ),
    ),
    (
        "Books",
        (
            ("Portfolios", "account_balance_wallet", "ledger_capitalaccount"),
            ("Capital entries", "receipt", "ledger_capitalentry"),
            ("Positions", "inventory_2", "ledger_position"),
            ("Bookings", "menu_book", "ledger_assettransaction"),
        ),
    ),
    (
        "Proof",
        (
            ("Event log", "history", "compliance_orderevent"),
            ("Broker messages", "forum", "orders_brokermessage"),
        ),
    ),
    (
        "Reference",
        (
            ("Accounts", "groups", "compliance_account"),
            ("Algorithms", "smart_toy", "compliance_algoregistration"),
            ("Instruments", "token", "ledger_instrument"),
            ("Charge rates", "percent", "ledger_chargerate"),
            ("Margin rates", "balance", "ledger_marginrate"),
        ),
    ),
    (
        "People",
        (
            ("Users", "person", "auth_user"),
            ("Groups", "group", "auth_group"),
            ("Lock-outs", "lock", "axes_accessattempt"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, without what the user may not view."""
    dashboard = {"title": "Live", "icon": "monitoring", "link": reverse_lazy("admin:index")}
    groups: list[dict[str, Any]] = [{"items": [dashboard]}]
    for title, items in MENU:
        allowed = [_item(*item) for item in items if request.user.has_perm(_view_permission(item[2]))]
        if allowed:
            groups.append({"title": title, "items": allowed, "separator": True})
    return groups


def _view_permission(name: str) -> str:
    app, model = name.split("_", 1)
    return f"{app}.view_{model}"


def _item(title: str, icon_name: str, name: str) -> dict[str, Any]:
    item: dict[str, Any] = {"title": title, "icon": icon_name, "link": reverse_lazy(f"admin:{name}_changelist")}
    if name == "compliance_alert":
        item |= {"badge": "oms.staff.admin_site.open_alerts", "badge_variant": "danger"}
    return item
