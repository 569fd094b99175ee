"""The OMS made ready for a load that no limit slows down: capital, limits, the broker account's rates, holdings."""

import time
from decimal import Decimal

from compliance.models import Account
from compliance.services.controls import set_limits
from ledger.models import CapitalAccount, Position
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.models import BrokerAccount

RUPEES = Decimal(90_000_000)
HOLDINGS_SECONDS = 30.0


def prepare() -> None:
    """Raises TimeoutError when the demo's holdings do not arrive."""
    BrokerAccount.objects.update(
        orders_per_second=0, orders_per_minute=0, orders_per_day=0, other_calls_per_second=0
    )  # fmt: skip
    for portfolio in CapitalAccount.objects.select_related("account"):
        reason = "Capital for the trial"
        deposit(portfolio, RUPEES, key=f"chaos:{portfolio.code}", reason=reason, user=None, actor=SYSTEM, at=now())
    reason = "No limits in the trial"
    set_limits("HOUSE", values={}, reason=reason, user=None, actor=SYSTEM, at=now())
    demo = Account.objects.get(code="DEMO")
    set_limits("ACCOUNT", account=demo, values={}, reason=reason, user=None, actor=SYSTEM, at=now())
    deadline = time.monotonic() + HOLDINGS_SECONDS
    while not Position.objects.filter(quantity__gt=0).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the broker's holdings were not taken over")
        time.sleep(0.2)
