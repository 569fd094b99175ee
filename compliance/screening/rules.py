"""The rules, one function each, in the order in which they are applied.

A rule looks at the proposal and its surroundings and yields a `Finding`: passed or not, the value and
the limit it compared. The first that fails refuses the order; every one that ran is recorded in the
order's first event, as the exchange asks (CIR/MRD/DP/09/2012).

A change of an order is judged by the same rules as the order that it would become (`Proposal.replaces`): what
the order uses already is not counted a second time, and no limit refuses a change that asks for no more than
the order has. Each rule to which that matters says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from compliance.screening.facts import Contract, Denial, Limit, Limits, Proposal, Surroundings
from oms.lib.money import decimal_text


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its code, whether it passed, what was compared with what, and the words for a person.

    `pointer` names the request's field at fault, as a JSON pointer; empty when none is. `source` says which
    version of whose limits was compared with.
    """

    code: Denial
    passed: bool
    value: str = ""
    limit: str = ""
    message: str = ""
    pointer: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of screening: every finding made, and the one that refused the order, if any."""

    findings: tuple[Finding, ...]

    @property
    def denial(self) -> Finding | None:
        last = self.findings[-1] if self.findings else None
        return last if last and not last.passed else None


#: An order that would have to wait longer than this for its turn to be sent is refused instead.
LONGEST_WAIT_SECONDS = 60
#: Orders per second that no broker takes: nobody waits for a higher limit, so nobody counts who waits.
NEVER_WAITED_FOR = 1_000

Rule = Callable[[Proposal, Surroundings], Finding | None]


def screen(proposal: Proposal, around: Surroundings) -> Verdict:
    """Apply every rule until one refuses. A rule that does not concern the order makes no finding."""
    findings: list[Finding] = []
    for rule in RULES:
        finding = rule(proposal, around)
        if finding is None:
            continue
        findings.append(finding)
        if not finding.passed:
            break
    return Verdict(tuple(findings))


def _when(
    passed: bool, code: Denial, message: str, *, value: object = "", limit: object = "", pointer: str = ""
) -> Finding:
    return Finding(code, passed, _text(value), _text(limit), "" if passed else message, "" if passed else pointer)


def _text(value: object) -> str:
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def _prices(p: Proposal) -> str:
    """The order's limit and trigger, as far as it has them."""
    return ", ".join(decimal_text(price) for price in (p.price, p.stop_price) if price is not None)


def _contract(around: Surroundings) -> Contract:
    assert around.contract is not None, "rules after instrument_known have a contract"
    return around.contract


def account_active(p: Proposal, a: Surroundings) -> Finding:
    message = "The account is closed for trading."
    return _when(a.account_is_active, Denial.ACCOUNT_INACTIVE, message, pointer="/accountId")


def kill_switch(p: Proposal, a: Surroundings) -> Finding:
    """HALTED refuses all, REDUCING what would open. Cancels never come here: they always pass.

    Of a change the part not yet executed decides; one that only takes units away reduces as well.
    """
    if a.mode == "ACTIVE":
        return _when(True, Denial.KILL_SWITCH, "", value=a.mode, limit="ACTIVE")
    takes_away = p.replaces is not None and p.replaces.loses_units_only
    reduces = a.mode == "REDUCING" and (p.only_closes or takes_away)
    what = "only orders that close a position pass" if a.mode == "REDUCING" else "no new order passes"
    message = f"Trading is {a.mode.lower()} ({a.mode_source}): {what}."
    return _when(reduces, Denial.KILL_SWITCH, message, value=a.mode, limit="ACTIVE")


def algo_registered(p: Proposal, a: Surroundings) -> Finding | None:
    if not a.algo_named:
        return None
    if not a.algo_status:
        return _when(False, Denial.ALGO_UNKNOWN, "This algorithm is not registered for the account.", pointer="/algoId")
    return _when(
        a.algo_status == "ACTIVE", Denial.ALGO_SUSPENDED, "This algorithm is suspended.",
        value=a.algo_status, limit="ACTIVE", pointer="/algoId",
    )  # fmt: skip


def instrument_known(p: Proposal, a: Surroundings) -> Finding:
    known = a.contract is not None
    return _when(known, Denial.INSTRUMENT_UNKNOWN, "No such instrument on this exchange.", pointer="/symbol")


def instrument_tradable(p: Proposal, a: Surroundings) -> Finding:
    tradable = _contract(a).is_tradable
    return _when(tradable, Denial.INSTRUMENT_NOT_TRADABLE, "This instrument cannot be traded.", pointer="/symbol")


def instrument_not_expired(p: Proposal, a: Surroundings) -> Finding | None:
    expiry = _contract(a).expiry
    if expiry is None:
        return None
    return _when(
        expiry >= a.trade_date, Denial.INSTRUMENT_EXPIRED, f"The contract expired on {expiry}.",
        value=a.trade_date, limit=expiry, pointer="/symbol",
    )  # fmt: skip


def product_allowed(p: Proposal, a: Surroundings) -> Finding:
    allowed = ", ".join(a.products)
    return _when(
        p.product in a.products, Denial.PRODUCT_NOT_ALLOWED, f"The account may trade {allowed or 'no product'}.",
        value=p.product, limit=allowed, pointer="/product",
    )  # fmt: skip


def broker_present(p: Proposal, a: Surroundings) -> Finding:
    return _when(a.has_broker, Denial.NO_BROKER, "The account is not routed to a broker: ask an operator.")


def session_open(p: Proposal, a: Surroundings) -> Finding | None:
    """A regular order needs an open session; an after-market order needs a closed one, or waits for the next."""
    if p.is_amo:
        return None
    return _when(
        a.market_is_open, Denial.MARKET_CLOSED, "The market is closed: wait for the session or send variety amo."
    )


def time_in_force_supported(p: Proposal, a: Surroundings) -> Finding:
    supported = ("DAY", "IOC", "TTL")
    return _when(
        p.time_in_force in supported, Denial.TIME_IN_FORCE_UNSUPPORTED,
        f"The broker has no {p.time_in_force}: use DAY, IOC or TTL.",
        value=p.time_in_force, limit=", ".join(supported), pointer="/timeInForce",
    )  # fmt: skip


def tick_size(p: Proposal, a: Surroundings) -> Finding:
    tick = _contract(a).tick_size
    for pointer, price in (("/price", p.price), ("/stopPrice", p.stop_price)):
        if price is not None and price % tick:
            return _when(
                False, Denial.TICK_SIZE, f"The price must be a multiple of {decimal_text(tick)}.",
                value=price, limit=tick, pointer=pointer,
            )  # fmt: skip
    return _when(True, Denial.TICK_SIZE, "", value=_prices(p), limit=tick)


def lot_size(p: Proposal, a: Surroundings) -> Finding:
    lot = _contract(a).lot_size
    return _when(
        p.quantity % lot == 0, Denial.LOT_SIZE, f"The quantity must be a multiple of the lot size {lot}.",
        value=p.quantity, limit=lot, pointer="/quantity",
    )  # fmt: skip


def freeze_quantity(p: Proposal, a: Surroundings) -> Finding | None:
    freeze = _contract(a).freeze_quantity
    if freeze is None:
        return None
    return _when(
        p.quantity <= freeze, Denial.FREEZE_QUANTITY,
        f"The exchange takes at most {decimal_text(freeze)} in one order.",
        value=p.quantity, limit=freeze, pointer="/quantity",
    )  # fmt: skip


def disclosed_quantity(p: Proposal, a: Surroundings) -> Finding | None:
    if not p.disclosed_quantity:
        return None
    return _when(
        p.disclosed_quantity <= p.quantity, Denial.DISCLOSED_QUANTITY, "More is disclosed than the order has.",
        value=p.disclosed_quantity, limit=p.quantity, pointer="/disclosedQuantity",
    )  # fmt: skip


def price_band(p: Proposal, a: Surroundings) -> Finding | None:
    contract = _contract(a)
    low, high = contract.lower_circuit, contract.upper_circuit
    if low is None or high is None:
        return None
    band = f"{decimal_text(low)}–{decimal_text(high)}"
    for pointer, price in (("/price", p.price), ("/stopPrice", p.stop_price)):
        if price is not None and not low <= price <= high:
            return _when(
                False, Denial.PRICE_BAND, f"The price is outside today's band {band}.",
                value=price, limit=band, pointer=pointer,
            )  # fmt: skip
    return _when(True, Denial.PRICE_BAND, "", value=_prices(p), limit=band)


def price_relation(p: Proposal, a: Surroundings) -> Finding | None:
    """A stop's limit lies beyond its trigger; a trigger lies beyond the market, or it would fire at once.

    A trigger that a changed order keeps may have fired long ago, and is not compared with the market again.
    """
    if p.stop_price is None:
        return None
    buys = p.side == "BUY"
    if p.price is not None and (p.price < p.stop_price if buys else p.price > p.stop_price):
        word = "at or above" if buys else "at or below"
        return _when(
            False, Denial.PRICE_RELATION, f"The limit of a {p.side} stop must be {word} its trigger.",
            value=p.price, limit=p.stop_price, pointer="/price",
        )  # fmt: skip
    keeps = p.replaces is not None and p.replaces.stop_price == p.stop_price
    last = None if keeps else a.last_price
    if last is not None and (p.stop_price < last if buys else p.stop_price > last):
        word = "below" if buys else "above"
        return _when(
            False, Denial.PRICE_RELATION,
            f"The trigger of a {p.side} stop is {word} the last price {decimal_text(last)}: "
            "it would fire at once.",
            value=p.stop_price, limit=last, pointer="/stopPrice",
        )  # fmt: skip
    return _when(True, Denial.PRICE_RELATION, "", value=p.stop_price)


def price_is_fresh(p: Proposal, a: Surroundings) -> Finding | None:
    if p.type not in ("MARKET", "STOP"):
        return None
    return _when(
        p.value is not None, Denial.NO_FRESH_PRICE,
        "There is no fresh price to reserve capital by: send a LIMIT order, or try again when prices flow.",
        value="" if a.last_price is None else a.last_price, pointer="/type",
    )  # fmt: skip


def _within(
    limit: Limit | None,
    value: Decimal,
    code: Denial,
    what: str,
    *,
    already: Decimal | None = None,
    pointer: str = "/quantity",
) -> Finding | None:
    """Whether `value` keeps within the limit, or at least goes no higher than what the order has `already`."""
    if limit is None:
        return None
    finding = _when(
        value <= limit.value or (already is not None and value <= already), code,
        f"{what} would be {decimal_text(value)}, above the limit {decimal_text(limit.value)} ({limit.source}).",
        value=value, limit=limit.value, pointer=pointer,
    )  # fmt: skip
    return replace(finding, source=limit.source)


def order_quantity(p: Proposal, a: Surroundings) -> Finding | None:
    """The whole quantity, of a change the new one, executed units among it."""
    already = p.replaces.quantity if p.replaces else None
    return _within(a.limits.order_quantity, p.quantity, Denial.ORDER_QUANTITY, "The order's quantity", already=already)


def order_value(p: Proposal, a: Surroundings) -> Finding | None:
    """The worst-case value of the whole quantity, of a change the new one."""
    if p.value is None:
        return None
    already = p.replaces.value if p.replaces else None
    return _within(a.limits.order_value, p.value, Denial.ORDER_VALUE, "The order's value", already=already)


def open_value(p: Proposal, a: Surroundings) -> Finding | None:
    """What is open of all orders. Of a change only the unexecuted part is open, and it takes the old one's place."""
    if p.value is None:
        return None
    others, already, r = a.open_value, None, p.replaces
    if r is not None:
        others -= r.open_value
        already = None if r.value is None else others + r.value * (r.quantity - r.executed) / r.quantity
    total = others + p.value * p.unexecuted / p.quantity
    return _within(a.limits.open_value, total, Denial.OPEN_VALUE, "The value of all open orders", already=already)


def position(p: Proposal, a: Surroundings) -> Finding | None:
    """The position if all executed. The old quantity of a changed order is in it already: executed, or working."""
    if p.only_closes:
        return None
    size, already = abs(a.projected_position), None
    if p.replaces is not None:
        sign = 1 if p.side == "BUY" else -1
        size = abs(a.projected_position - sign * p.replaces.quantity)
        already = abs(a.projected_position - sign * p.quantity)
    return _within(a.limits.position_quantity, size, Denial.POSITION, "The position", already=already)


def may_be_waited_for(limits: Limits) -> bool:
    """Whether orders could ever wait for their turn under these limits, so that it matters how many do."""
    return limits.orders_per_second is not None and limits.orders_per_second.value <= NEVER_WAITED_FOR


def order_rate(p: Proposal, a: Surroundings) -> Finding | None:
    """How long an order would wait to be sent, at the pace that the limit allows. Exits always pass; so does a
    change, which is no further order.
    """
    rate = a.limits.orders_per_second
    if p.replaces is not None or p.only_closes or rate is None or not may_be_waited_for(a.limits):
        return None
    waiting, most = Decimal(a.orders_waiting + 1), rate.value * LONGEST_WAIT_SECONDS
    finding = _when(
        waiting <= most, Denial.ORDER_RATE,
        f"{waiting} orders would wait to be sent, above {decimal_text(most)}: {decimal_text(rate.value)} leave in a "
        f"second ({rate.source}), and none may wait longer than {LONGEST_WAIT_SECONDS} s. Try again when fewer wait.",
        value=waiting, limit=most,
    )  # fmt: skip
    return replace(finding, source=rate.source)


def duplicate(p: Proposal, a: Surroundings) -> Finding | None:
    """An order sent twice by mistake. A change is made on purpose, to an order that is there."""
    window = a.limits.duplicate_window
    if p.replaces is not None or window is None or not window.value:
        return None
    return _when(
        not a.is_duplicate, Denial.DUPLICATE,
        f"An equal order was sent within {decimal_text(window.value)} s ({window.source}): "
        "wait, or change the order if you mean a second one.",
        limit=window.value,
    )  # fmt: skip


RULES: tuple[Rule, ...] = (
    account_active, kill_switch, algo_registered, instrument_known, instrument_tradable, instrument_not_expired,
    product_allowed, broker_present, time_in_force_supported, session_open, tick_size, lot_size, freeze_quantity,
    disclosed_quantity, price_band, price_relation, price_is_fresh, order_quantity, order_value, open_value,
    position, order_rate, duplicate,
)  # fmt: skip
