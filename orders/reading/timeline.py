"""One order's whole story on one time axis: events, capital, executions, amendments, the broker's words.

Read for people: the admin's order page, later the dossier. Rows that one transaction wrote share their
instant, so the axis is made of moments. Nothing is decided or written here, and the chain is recomputed
from the stored bytes on every reading.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from compliance.selectors import order_events
from compliance.verification import ChainReport, verify_chain
from ledger.selectors import entries_of_order
from oms.lib.admin.formats import rupees
from oms.lib.money import ZERO, decimal_text
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.states import OPEN_AMENDMENTS

if TYPE_CHECKING:
    from compliance.models import OrderEvent
    from ledger.models import CapitalEntry

PEOPLE = {"TRADER", "OPERATOR", "OFFICER", "ALGO"}
#: What tells most of an event without terms, money or a trade.
TELLING = ("reason", "message", "broker_status", "broker_order_id", "tag")


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

    `facts` are label and value as recorded; `raw` is a document to be shown as it is; `amount` is in rupees;
    `checks` are the screening rules with what they saw.
    """

    at: datetime
    lane: Lane
    name: str
    row: "OrderEvent | CapitalEntry | Execution | Amendment | BrokerMessage"
    gist: str = ""
    actor: str = ""
    amount: Decimal | None = None
    facts: Sequence[tuple[str, object]] = ()
    checks: Sequence[Mapping[str, object]] = ()
    raw: object = None


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
    amendments = list(order.amendments.order_by("id"))
    people = _names(events, amendments)
    items = [
        *(_event(event, people) for event in events),
        *(_entry(entry, people) for entry in entries),
        *(_execution(execution) for execution in order.executions.order_by("id")),
        *(item for amendment in amendments for item in _amendment(amendment, people)),
        *(_message(message) for message in order.broker_messages.order_by("id")),
    ]
    items.sort(key=lambda item: (item.at, LANES.index(item.lane)))
    return Story(
        moments=list(_moments(items)),
        chain=verify_chain(events, head=bytes(order.event_hash)),
        capital=_capital(entries),
        counts={lane: sum(item.lane is lane for item in items) for lane in Lane},
    )


def _moments(items: Sequence[TimelineItem]) -> Iterator[Moment]:
    before: datetime | None = None
    for at, group in groupby(items, key=lambda item: item.at):
        yield Moment(at, at - before if before else None, list(group))
        before = at


def _names(events: "Iterable[OrderEvent]", amendments: Iterable[Amendment]) -> dict[str, str]:
    """Who acted, by "TYPE:id" as rows name actors: people by their user name. One query."""
    actors = {(e.actor_type, e.actor_id) for e in events} | {
        tuple(a.requested_by.split(":", 1)) for a in amendments if ":" in a.requested_by
    }
    numbers = {int(id_) for type_, id_ in actors if type_ in PEOPLE and id_.isdigit()}
    users = get_user_model().objects.filter(pk__in=numbers) if numbers else ()
    names = {str(user.pk): user.get_username() for user in users}
    return {f"{type_}:{id_}": _called(type_, names.get(id_, id_)) for type_, id_ in actors}


def _called(actor_type: str, name: str) -> str:
    kind = actor_type.lower()
    return kind if name.lower() in {kind, "oms"} else f"{kind} {name}"


def _event(event: "OrderEvent", people: Mapping[str, str]) -> TimelineItem:
    data = event.data
    return TimelineItem(
        at=event.recorded_at,
        lane=Lane.EVENT,
        name=event.event_type,
        row=event,
        gist=_gist(data),
        actor=people[f"{event.actor_type}:{event.actor_id}"],
        facts=[*_scalars(data), *((("broker time", event.broker_time),) if event.broker_time else ())],
        checks=data.get("checks", ()),
        raw={k: v for k, v in data.items() if isinstance(v, (dict, list)) and v and k != "checks"} or None,
    )


def _gist(data: Mapping[str, Any]) -> str:
    """The few facts of an event that tell it from others of its type; all of them stand beneath."""
    if "order_type" in data:
        terms = [data["side"], data["quantity"], data["symbol"], data["order_type"]]
        terms += [f"at {data['price']}"] if data.get("price") else []
        return " ".join(terms) + (f": {data['reason']}" if data.get("reason") else "")
    if "amount" in data:
        return rupees(Decimal(data["amount"])) + (
            f" and {data['units']} units" if data.get("units", "0") != "0" else ""
        )
    if "trade_id" in data:
        return f"{data['quantity']} at {data['price']}, {data['remaining']} remain"
    if "new" in data:
        changed = ", ".join(f"{name} {data.get('old', {}).get(name)} → {value}" for name, value in data["new"].items())
        return " · ".join(text for text in (changed, data.get("reason", "")) if text)
    return " · ".join(str(data[name]) for name in TELLING if data.get(name))


def _scalars(data: Mapping[str, Any]) -> list[tuple[str, object]]:
    return [
        (key.replace("_", " "), value)
        for key, value in data.items()
        if value not in (None, "", [], {}) and not isinstance(value, (dict, list))
    ]


def _entry(entry: "CapitalEntry", people: Mapping[str, str]) -> TimelineItem:
    return TimelineItem(
        at=entry.created_at,
        lane=Lane.CAPITAL,
        name=entry.kind,
        row=entry,
        actor=people.get(entry.actor, entry.actor),
        amount=entry.amount,
        gist=f"{entry.debit.lower()} → {entry.credit.lower()}",
        facts=[
            ("entry", f"#{entry.seq}"),
            ("status", entry.status),
            ("key", entry.key),
            ("reason", entry.reason or "–"),
        ],
    )


def _execution(execution: Execution) -> TimelineItem:
    name = "REVERSAL" if execution.reverses_id else "INFERRED" if execution.is_inferred else "TRADE"
    return TimelineItem(
        at=execution.recorded_at,
        lane=Lane.EXECUTION,
        name=name,
        row=execution,
        amount=execution.quantity * execution.price,
        facts=[
            ("trade id", execution.trade_id),
            ("trade date", execution.trade_date),
            ("exchange", execution.exchange),
        ],
    )


def _amendment(amendment: Amendment, people: Mapping[str, str]) -> Iterator[TimelineItem]:
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
        return TimelineItem(
            at,
            Lane.AMENDMENT,
            f"{kind}_{stage}",
            amendment,
            gist,
            people.get(amendment.requested_by, amendment.requested_by),
            facts=facts,
        )

    yield item(amendment.created_at, "ASKED", " · ".join(text for text in (terms, amendment.reason) if text))
    if amendment.sent_at is not None:
        yield item(amendment.sent_at, "SENT", "")
    if amendment.state not in OPEN_AMENDMENTS:
        yield item(amendment.updated_at, amendment.state, amendment.message)


def _message(message: BrokerMessage) -> TimelineItem:
    return TimelineItem(
        message.received_at,
        Lane.BROKER,
        message.source,
        message,
        gist=message.summary,
        actor="broker",
        raw=message.raw or None,
    )


def _capital(entries: "Sequence[CapitalEntry]") -> CapitalStory:
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
