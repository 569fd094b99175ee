"""The exchange's parts without a process or a loop, for tests of the engine itself.

Belongs here: building them on a directory, and a schedule that a test runs by hand.
"""

from collections.abc import Callable
from pathlib import Path

from orders.brokers.paper import config
from orders.brokers.paper.market import PriceChange
from orders.brokers.paper.orders import Order
from orders.brokers.paper.requests import read_modification, read_order
from orders.brokers.paper.services import Services, build
from orders.brokers.paper.session import Session


class Engine:
    """An exchange on `home`. `run` does the steps that are due, in their order."""

    def __init__(self, home: Path, *options: str) -> None:
        self._steps: list[tuple[Callable[[str], None], str]] = []
        self.services: Services = build(config.read(["--home", str(home), *options], {}), self._schedule)
        self.session = Session("t", "p", "paper", "PX0001", "", "")

    def _schedule(self, seconds: float, step: Callable[[str], None], order_id: str) -> None:
        self._steps.append((step, order_id))

    def step(self) -> None:
        """Do the step that was scheduled first."""
        step, order_id = self._steps.pop(0)
        step(order_id)

    def postpone(self) -> None:
        """Let the step that was scheduled first come last."""
        self._steps.append(self._steps.pop(0))

    def run(self) -> None:
        """Do every step that was scheduled, and those they schedule."""
        while self._steps:
            self.step()

    def price(self, key: str, last_price: int, per_tick: int = 1_000_000) -> None:
        """Freeze a quote at `last_price` paise and match."""
        quote = self.services.market.change(PriceChange(key, last_price, True, per_tick))
        self.services.exchange.match(quote.instrument.instrument_token)

    def place(self, variety: str = "regular", **form: object) -> str:
        """Place an order, by default 10 SBIN CNC LIMIT BUY; it still has to `run`."""
        fields = {
            "exchange": "NSE",
            "tradingsymbol": "SBIN",
            "transaction_type": "BUY",
            "quantity": 10,
            "product": "CNC",
            "order_type": "LIMIT",
            **form,
        }
        request = read_order(variety, {name: str(value) for name, value in fields.items()})
        return self.services.exchange.place(self.session, request)

    def modify(self, order_id: str, **form: object) -> None:
        """Send a modification on its way."""
        request = read_modification({name: str(value) for name, value in form.items()})
        self.services.exchange.modify(self.session, "regular", order_id, request)

    def cancel(self, order_id: str) -> None:
        """Send a cancellation on its way."""
        self.services.exchange.cancel(self.session, "regular", order_id)

    def order(self, order_id: str) -> Order:
        """The order as the exchange holds it."""
        return self.services.book.orders[order_id]

    def close(self) -> None:
        """Let go of the home."""
        self.services.store.close()
