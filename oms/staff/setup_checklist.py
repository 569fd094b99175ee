"""The opening checklist: what a new desk needs before its first order, in order, with each step's dialog."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.urls import reverse

from compliance.monitoring import has_accounts, has_members
from compliance.selectors import COMPLIANCE, OPERATOR, is_in
from oms.lib.users import User

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

    from ledger.models import CapitalAccount
    from orders.models import BrokerAccount
    from orders.reading.monitoring import Routed

    Brokers = Sequence[WithAnnotations[BrokerAccount, Routed]]

#: (title, what it is for, page of the dialog, name of the dialog).
STEPS = (
    ("Account", "who trades: code, UCC, PAN and products", "compliance_account", "open_account"),
    ("Portfolio", "the pot of capital that its orders draw on", "ledger_capitalaccount", "open_portfolio"),
    ("Broker account", "the login that orders are sent through", "orders_brokeraccount", "add_broker_account"),
    ("Route", "which broker account the account's orders take", "orders_brokeraccount", "route_account"),
    ("Member", "who may trade it; a superuser adds people under Users", "compliance_account", "set_member"),
    ("Deposit", "without capital no order is accepted", "ledger_capitalaccount", "deposit"),
    ("Broker login", "orders wait until somebody has logged in", "orders_brokeraccount", "login"),
)
OF_NOTHING = frozenset({"open_account", "open_portfolio", "add_broker_account"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `dialog` opens it here, when there is just one row that it can be about; `page` lists them."""

    title: str
    text: str
    page: str
    dialog: str
    is_done: bool
    is_next: bool


def checklist(
    user: User, *, brokers: "Brokers", portfolios: "Sequence[CapitalAccount]", capital: Decimal
) -> list[Step]:
    """The steps, when one is undone and the user is of the staff groups; else nothing. One or two short queries."""
    if not is_in(user, OPERATOR, COMPLIANCE):
        return []
    logged_in = any(broker.session_opened_at for broker in brokers)
    done = [
        bool(portfolios) or has_accounts(), bool(portfolios), bool(brokers),
        any(broker.is_routed for broker in brokers), has_members(), bool(capital), logged_in,
    ]  # fmt: skip
    if all(done):
        return []
    following = done.index(False) if is_in(user, OPERATOR) else None
    return [
        Step(
            title, text, reverse(f"admin:{page}_changelist"), _dialog(page, name, brokers, portfolios), done[n],
            n == following,
        )
        for n, (title, text, page, name) in enumerate(STEPS)
    ]  # fmt: skip


def _dialog(page: str, name: str, brokers: "Brokers", portfolios: "Sequence[CapitalAccount]") -> str:
    """The address of a step's dialog; none when it is about a row yet to be chosen."""
    if name in OF_NOTHING:
        return reverse(f"admin:{page}_{name}")
    rows: list[int] = {
        "orders_brokeraccount": [broker.pk for broker in brokers],
        "ledger_capitalaccount": [portfolio.pk for portfolio in portfolios],
        "compliance_account": [portfolio.account_id for portfolio in portfolios],
    }[page]
    return reverse(f"admin:{page}_{name}", args=[rows[0]]) if len(set(rows)) == 1 else ""
