"""The audit trail: every chain whole up to its head, every event published once and in commit order."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from benchmarks.chaos.finding import Finding, finding
from compliance.models import Account, OrderEvent
from compliance.publisher import STREAM
from compliance.verification import verify_chain
from oms.lib.redis import client
from orders.models import Order

PAGE = 5000


def check_proof() -> list[Finding]:
    """Everything that the events can prove. The whole log is read once."""
    chains: dict[Any, list[OrderEvent]] = defaultdict(list)
    committed = []
    for event in OrderEvent.objects.order_by("xid", "id"):
        chains[event.order_id or event.account_id].append(event)
        committed.append(f"{event.xid}-{event.pk}")
    published = list(_published())
    return [
        finding("chains broken", _broken(chains)),
        finding("events published never", set(committed) - set(published)),
        finding("events published that nobody recorded", set(published) - set(committed)),
        finding("events published twice", (one for one in set(published) if len(published) != len(set(published)))),
        finding("events published out of order", () if published == sorted(published, key=_place) else ("stream",)),
    ]


def event_count() -> int:
    """How many events the log holds."""
    return OrderEvent.objects.count()


def _broken(chains: dict[Any, list[OrderEvent]]) -> Iterator[str]:
    heads: dict[Any, Any] = {account.pk: account for account in Account.objects.all()}
    heads |= {order.pk: order for order in Order.objects.all()}
    for pk, head in heads.items():
        events = sorted(chains.pop(pk, []), key=lambda event: event.seq)
        report = verify_chain(events, head=head.event_hash)
        if not report.ok or report.count != head.event_seq:
            yield f"{pk}: {report.message} ({report.count} events, head at {head.event_seq})"
    yield from (f"{pk}: events of nothing that exists" for pk in chains)


def _published() -> Iterator[str]:
    start = "-"
    while True:
        entries: Any = client().xrange(STREAM, min=start, count=PAGE)
        if not entries:
            return
        yield from (entry_id for entry_id, _ in entries)
        start = f"({entries[-1][0]}"


def _place(entry: str) -> tuple[int, int]:
    xid, _, pk = entry.partition("-")
    return int(xid), int(pk)
