"""The broker's risk system: funds, delivery units and authorisations an order needs.

Belongs here: comparing an order with its client's account, and reserving for it. Order rules that
need no account are in `checks`; the figures themselves in `account`.
"""

from dataclasses import dataclass

from . import checks
from .account import Account
from .errors import HoldingError, MarginError
from .instruments import Instrument
from .margins import order_margin
from .market import Market, Quote
from .money import to_rupees
from .orders import Order


@dataclass
class Risk:
    """Accounts by client, and the market that gives bands and instruments."""

    accounts: dict[str, Account]
    market: Market

    def listing(self, order: Order) -> tuple[Instrument, Quote]:
        """An order's instrument and its quote."""
        quote = self.market.quotes[order.instrument_token]
        return quote.instrument, quote

    def account(self, order: Order) -> Account:
        """The account of an order's client."""
        return self.accounts[order.user_id]

    def admit(self, order: Order) -> None:
        """A fresh order at the door: what it opens, authorisation, funds. Raises KiteError."""
        instrument, _ = self.listing(order)
        account = self.account(order)
        order.opening = account.opening_quantity(instrument.key, order.product, order.is_buy, order.quantity)
        if account.edis and order.product == "CNC" and not order.is_buy:
            holding = account.holdings.get(instrument.key)
            lacking = order.quantity - (holding.authorised_quantity if holding else 0)
            if lacking > 0:
                raise HoldingError(f"{lacking} quantity needs authorisation at depository.")
        self.require_funds(order)

    def require_funds(self, order: Order) -> None:
        """Money for the order's rest, beside what it holds already. Raises MarginError (400)."""
        instrument, _ = self.listing(order)
        account = self.account(order)
        held = account.reserved_for(order.order_id)
        needed = order_margin(
            instrument, order.product, order.is_buy, order.remaining, min(order.opening, order.remaining), order.price
        ).total
        if needed > held and needed > account.available + held:
            raise MarginError(
                f"Insufficient funds. Required margin is {to_rupees(needed):.2f} but available "
                f"margin is {to_rupees(account.available + held):.2f}."
            )

    def refusal(self, order: Order) -> checks.Rejection | None:
        """Why an accepted order becomes REJECTED, if it does."""
        instrument, quote = self.listing(order)
        account = self.account(order)
        held = account.reservations.get(order.order_id)
        if held is None:
            try:
                self.require_funds(order)
            except MarginError as error:
                return checks.Rejection(error.message, f"RMS:Margin Exceeds,{error.message}")
        deliverable = account.sellable(instrument.key) + (held.delivery_units if held else 0)
        return checks.rejection(order, instrument, quote, account.user_id, deliverable)

    def opening_after(self, order: Order, quantity: int) -> int:
        """What a changed quantity opens: a reduction opens less, an increase is looked up."""
        if quantity <= order.quantity:
            return min(order.opening, quantity)
        instrument, _ = self.listing(order)
        return order.opening + self.account(order).opening_quantity(
            instrument.key, order.product, order.is_buy, quantity - order.quantity
        )

    def reserve(self, order: Order, accepted: bool = True) -> None:
        """Hold money and units for the order's rest.

        Until the order is `accepted`, a delivery sale does not hold its units: it may be refused,
        and must not take them from an order that came first.
        """
        if accepted or order.is_buy or order.product != "CNC":
            instrument, _ = self.listing(order)
            self.account(order).reserve(order, instrument, order.price)

    def release(self, order: Order) -> None:
        """Give back what the order holds."""
        self.account(order).release(order.order_id)

    def recover(self, live: list[Order]) -> None:
        """After a restart: hold again what positions and live orders need."""
        for account in self.accounts.values():
            for key, product in account.positions:
                instrument = self.market.catalogue.by_key[key]
                account.refresh_margin(instrument, product)
        for order in live:
            self.reserve(order, accepted=order.resting)
