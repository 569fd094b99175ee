"""Whatever happens, in whatever order: no over-fill, nothing created or lost, fills never undone."""

import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orders.brokers.paper.errors import KiteError
from orders.tests.brokers.paper.engine import Engine

TICKS = st.integers(min_value=19_000, max_value=19_800).map(lambda n: n * 5)  # Rs 950 to 990


class Exchange(RuleBasedStateMachine):
    """Orders of one client in one share, by any route, while the price moves."""

    @initialize()
    def start(self) -> None:
        self.home = tempfile.TemporaryDirectory()
        self.engine = Engine(Path(self.home.name))
        self.account = self.engine.services.accounts["PX0001"]
        self.orders: list[str] = []
        self.seen: Counter[str] = Counter()
        self.engine.price("NSE:SBIN", 97_000, per_tick=50)
        self.quote = self.engine.services.market.quotes[779521]

    @rule(
        side=st.sampled_from(["BUY", "SELL"]),
        quantity=st.integers(1, 400),
        price=TICKS,
        validity=st.sampled_from(["DAY", "IOC"]),
        product=st.sampled_from(["CNC", "MIS"]),
    )
    def place(self, side: str, quantity: int, price: int, validity: str, product: str) -> None:
        with suppress(KiteError):
            self.orders.append(
                self.engine.place(
                    transaction_type=side, quantity=quantity, price=price / 100, validity=validity, product=product
                )
            )

    @rule(number=st.integers(0, 50), quantity=st.integers(1, 400), price=TICKS)
    def modify(self, number: int, quantity: int, price: int) -> None:
        if self.orders:
            with suppress(KiteError):
                self.engine.modify(self.orders[number % len(self.orders)], quantity=quantity, price=price / 100)

    @rule(number=st.integers(0, 50))
    def cancel(self, number: int) -> None:
        if self.orders:
            with suppress(KiteError):
                self.engine.cancel(self.orders[number % len(self.orders)])

    @rule(price=TICKS, per_tick=st.integers(0, 300))
    def move(self, price: int, per_tick: int) -> None:
        self.engine.price("NSE:SBIN", price, per_tick)

    @rule()
    def tick(self) -> None:
        self.engine.services.tick()

    @rule()
    def pass_time(self) -> None:
        self.engine.run()

    @invariant()
    def volume_is_not_exceeded(self) -> None:
        assert self.quote.buyable >= 0
        assert self.quote.sellable >= 0

    @invariant()
    def fills_add_up(self) -> None:
        for order_id in self.orders:
            order = self.engine.order(order_id)
            trades = [orjson.loads(row) for row in self.engine.services.store.order_trades(order_id)]
            assert self.seen[order_id] <= order.filled_quantity <= order.quantity
            assert sum(trade["quantity"] for trade in trades) == order.filled_quantity
            assert (order.status == "COMPLETE") == (order.filled_quantity == order.quantity)
            self.seen[order_id] = order.filled_quantity

    @invariant()
    def nothing_is_created_or_lost(self) -> None:
        orders = self.engine.services.book.orders.values()
        spent = sum(o.charged + (o.fill_value if o.is_buy else -o.fill_value) for o in orders)
        intraday = self.account.positions.get(("NSE:SBIN", "MIS"))
        basis = 0
        if intraday and intraday.quantity:
            basis = intraday.basis if intraday.quantity > 0 else -intraday.basis
        assert self.account.cash + spent == self.account.opening_cash + basis
        bought = sum(o.filled_quantity if o.is_buy else -o.filled_quantity for o in orders if o.product == "CNC")
        assert self.account.net("NSE:SBIN", "CNC") == bought
        assert self.account.holdings["NSE:SBIN"].quantity + bought >= 0

    @invariant()
    def only_live_orders_reserve(self) -> None:
        live = {order.order_id for order in self.engine.services.book.live()}
        assert self.account.reservations.keys() <= live

    def teardown(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.engine.run()
        for order in self.engine.services.book.live():
            self.engine.cancel(order.order_id)
        self.engine.run()
        assert not self.account.reservations
        assert self.account.debits == sum(margin.total for margin in self.account.margins.values())
        self.engine.close()
        self.home.cleanup()


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
