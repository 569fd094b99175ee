"""One order's whole story on one time axis: events, capital, executions, amendments, the broker's words.

Read for people: the admin's order page, later the dossier. Rows that one transaction wrote share their
instant, so the axis is made of moments. Nothing is decided or written here, and the chain is recomputed
from the stored bytes on every reading.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Any

from django.contrib.auth import get_user_model

from compliance.selectors import order_events
from compliance.verification import ChainReport, verify_chain
from ledger.selectors import entries_of_order
from oms.lib.money import ZERO, decimal_text
from orders.models import Amendment, BrokerMessage, Execution, Order

PEOPLE = {"TRADER", "OPERATOR", "OFFICER"}


class Lane(StrEnum):
    """Where an item comes from, in the order in which items of one instant are told."""

    BROKER = "broker"
    EXECUTION = "execution"
    AMENDMENT = "amendment"
    EVENT = "event"
    CAPITAL = "capital"


LANES = list(Lane)


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One thing that happened. `name` is its upper-case kind, `row` the row that records it.

    `facts` are label and value as recorded; `raw` is a document to be shown as it is. `gist` may hold
    money and quantities as Decimal, which the page formats.
    """

    at: datetime
    lane: Lane
    name: str
    row: Any
    gist: str = ""
    actor: str = ""
    facts: Sequence[tuple[str, Any]] = ()
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Moment:
    """All that happened at one instant, and the time since the moment before (None for the first)."""

    at: datetime
    gap: timedelta | None
    items: Sequence[TimelineItem]


@dataclass(frozen=True, slots=True)
class CapitalStory:
    """Rupees that went through the order: reserved, allocated, given back, charged, realised, still held."""

    reserved: Decimal = ZERO
    allocated: Decimal = ZERO
    released: Decimal = ZERO
    charged: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def still_reserved(self) -> Decimal:
        return self.reserved - self.allocated - self.released


@dataclass(frozen=True, slots=True)
class Story:
    """What the order's page shows."""

    moments: Sequence[Moment]
    chain: ChainReport
    capital: CapitalStory
    counts: Mapping[Lane, int] = field(default_factory=dict)


def story_of(order: Order) -> Story:
    """The story of one order, in six queries whatever its length."""
    events = list(order_events(order.pk))
    entries = list(entries_of_order(order.pk))
    people = _names(event.actor_id for event in events if event.actor_type in PEOPLE)
    items = [
        *(_event(event, people) for event in events),
        *(_entry(entry) for entry in entries),
        *(_execution(execution) for execution in order.executions.order_by("id")),
        *(item for amendment in order.amendments.order_by("id") for item in _amendment(amendment)),
        *(_message(message) for message in order.broker_messages.order_by("id")),
    ]
    items.sort(key=lambda item: (item.at, LANES.index(item.lane)))
    return Story(
        moments=list(_moments(items)),
        chain=verify_chain(events, head=bytes(order.event_hash)),
        capital=_capital(entries),
        counts={lane: sum(item.lane is lane for item in items) for lane in Lane},
    )


def timeline(order: Order) -> list[TimelineItem]:
    """The items of `story_of`, oldest first."""
    return [item for moment in story_of(order).moments for item in moment.items]


def _moments(items: Sequence[TimelineItem]) -> Iterator[Moment]:
    before: datetime | None = None
    for at, group in groupby(items, key=lambda item: item.at):
        yield Moment(at, at - before if before else None, list(group))
        before = at


def _names(ids: Iterator[str]) -> dict[str, str]:
    numbers = {int(text) for text in ids if text.isdigit()}
    if not numbers:
        return {}
    return {str(user.pk): user.get_username() for user in get_user_model().objects.filter(pk__in=numbers)}


def _event(event: Any, people: Mapping[str, str]) -> TimelineItem:
    who = people.get(event.actor_id, event.actor_id)
    data = event.data
    return TimelineItem(
        at=event.recorded_at,
        lane=Lane.EVENT,
        name=event.event_type,
        row=event,
        gist=" · ".join(f"{label} {value}" for label, value in _scalars(data)),
        actor=who if who.upper() == event.actor_type else f"{event.actor_type.lower()} {who}",
        facts=[*_scalars(data), *((("broker time", event.broker_time),) if event.broker_time else ())],
        raw={key: value for key, value in data.items() if isinstance(value, (dict, list)) and value} or None,
    )


def _scalars(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key.replace("_", " "), value) for key, value in data.items() if value not in (None, "", [], {}) and not isinstance(value, (dict, list))]


def _entry(entry: Any) -> TimelineItem:
    return TimelineItem(
        at=entry.created_at,
        lane=Lane.CAPITAL,
        name=entry.kind,
        row=entry,
        actor=entry.actor,
        gist=f"{entry.debit.lower()} → {entry.credit.lower()}",
        facts=[("entry", f"#{entry.seq}"), ("status", entry.status), ("key", entry.key), ("reason", entry.reason or "–")],
    )


def _execution(execution: Execution) -> TimelineItem:
    name = "REVERSAL" if execution.reverses_id else "INFERRED" if execution.is_inferred else "TRADE"
    return TimelineItem(
        at=execution.recorded_at,
        lane=Lane.EXECUTION,
        name=name,
        row=execution,
        facts=[("trade id", execution.trade_id), ("trade date", execution.trade_date), ("exchange", execution.exchange)],
    )


def _amendment(amendment: Amendment) -> Iterator[TimelineItem]:
    """Up to three items: asked for, received by the broker, settled."""
    asked = [
        (label, value)
        for label, value in (
            ("type", amendment.type), ("quantity", amendment.quantity), ("price", amendment.price),
            ("stop price", amendment.stop_price), ("time in force", amendment.time_in_force),
        )
        if value not in (None, "")
    ]  # fmt: skip
    terms = " ".join(f"{label} {decimal_text(v) if isinstance(v, Decimal) else v}" for label, v in asked)
    kind = amendment.kind

    def item(at: datetime, stage: str, gist: str) -> TimelineItem:
        facts = [*asked, ("state now", amendment.state), ("attempts", amendment.attempts)]
        return TimelineItem(at, Lane.AMENDMENT, f"{kind}_{stage}", amendment, gist, amendment.requested_by, facts)

    yield item(amendment.created_at, "ASKED", " · ".join(text for text in (terms, amendment.reason) if text))
    if amendment.sent_at is not None:
        yield item(amendment.sent_at, "SENT", "")
    if amendment.state not in Amendment.OPEN_STATES:
        yield item(amendment.updated_at, amendment.state, amendment.message)


def _message(message: BrokerMessage) -> TimelineItem:
    return TimelineItem(
        message.received_at, Lane.BROKER, message.source, message, gist=message.summary, actor="broker", raw=message.raw or None
    )


def _capital(entries: Sequence[Any]) -> CapitalStory:
    def total(*kinds: str, debit: str = "", credit: str = "") -> Decimal:
        return sum(
            (e.amount for e in entries if e.kind in kinds and debit in (e.debit, "") and credit in (e.credit, "")), ZERO
        )

    return CapitalStory(
        reserved=total("RESERVE"),
        allocated=total("ALLOCATE", debit="RESERVED"),
        released=total("RELEASE", "FAIL", debit="RESERVED"),
        charged=total("CHARGE", debit="FREE") - total("CHARGE", credit="FREE"),
        realised=total("REALISE", credit="FREE") - total("REALISE", debit="FREE"),
    )
