"""What the passing of time does: time-limited orders, the close, AMO at the open, the next day.

Belongs here: lapsing, release and the roll of books and accounts. An order that is not filled when
its validity ends becomes CANCELLED with a message: Kite has no status of its own for lapsing.
"""

from dataclasses import dataclass
from datetime import date

from . import orders
from .exchange import Exchange
from .store import Store

LAPSED = "The validity of the order ended at the close of the market."
TTL_OVER = "The validity of the order (TTL) is over."


@dataclass
class Day:
    """`current`: the ISO trade date the book belongs to."""

    exchange: Exchange
    store: Store
    current: str

    def check(self) -> None:
        """Do what is due now. Called at every tick."""
        exchange = self.exchange
        today = exchange.clock.today().isoformat()
        is_open = exchange.clock.is_open()
        if not is_open or today != self.current:
            self._lapse()
        if today != self.current:
            self._roll(today)
        now = exchange.clock.now().timestamp()
        for order in exchange.book.live():
            if order.expires_at and order.resting and order.expires_at <= now:
                with exchange.book.unit():
                    exchange.end(order, TTL_OVER)
            elif order.status == orders.AMO_RECEIVED and is_open:
                exchange.arrive(order.order_id)

    def _lapse(self) -> None:
        resting = [order for order in self.exchange.book.live() if order.resting]
        if resting:
            with self.exchange.book.unit():
                for order in resting:
                    self.exchange.end(order, LAPSED)

    def _roll(self, today: str) -> None:
        """Square off what may not be carried, settle, and start the day."""
        exchange = self.exchange
        with exchange.book.unit():
            for account in exchange.risk.accounts.values():
                for (key, product), position in list(account.positions.items()):
                    instrument = exchange.market.catalogue.by_key[key]
                    expired = instrument.expiry and instrument.expiry < date.fromisoformat(today)
                    net = position.quantity
                    if net and (product == "MIS" or expired):
                        last = exchange.market.quotes[instrument.instrument_token].last
                        account.trade(instrument, product, net < 0, abs(net), last)
                account.roll()
                exchange.book.touch(account)
            exchange.market.start_day()
            self.store.put("day", today)
            self.store.put("market", exchange.market.state())
        exchange.book.forget(today)
        self.current = today
