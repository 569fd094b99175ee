"""`manage.py state_diagram`: the state tables, drawn from the code into docs/life-of-an-order.md.

The page holds two markers and what stands between them belongs to this command: Mermaid diagrams and a table
of all pairs, for orders and for amendments, read from `orders.states`. With --check nothing is written, and a
page that differs is an error; the tests run that too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.states import (
    AMENDMENT_TABLE,
    EFFECT_DUE,
    ENDED,
    LIVE,
    OPEN_AMENDMENTS,
    TABLE,
    AmendmentEvent,
    AmendmentState,
    Event,
    State,
)

PAGE = Path("docs") / "life-of-an-order.md"
BEGIN = "<!-- begin: drawn by manage.py state_diagram -->"
END = "<!-- end: drawn by manage.py state_diagram -->"


@dataclass(frozen=True)
class Machine:
    """A state table, its states and events in the order in which they are drawn."""

    states: Collection[str]
    events: Collection[str]
    table: Mapping[tuple[Any, Any], str]


ORDERS = Machine(list(State), list(Event), TABLE)
AMENDMENTS = Machine(list(AmendmentState), list(AmendmentEvent), AMENDMENT_TABLE)

#: Boxes of the diagrams, the larger first: an arrow from a box stands for one from every state in it.
UNCONFIRMED = (State.CREATED, State.SUBMITTING, State.UNKNOWN)
UNEXECUTED = (*UNCONFIRMED, State.ACKED, State.TRIGGER_PENDING, State.OPEN)
BOXES = {"unexecuted": UNEXECUTED, "unconfirmed": UNCONFIRMED}
AMENDMENT_BOXES = {"open": sorted(OPEN_AMENDMENTS), "call_over": sorted(EFFECT_DUE)}


class Command(BaseCommand):
    help = "Draw the states of orders and amendments into docs/life-of-an-order.md, or check that the page is right."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is out of date")

    def handle(self, *_arguments: str, **options: Any) -> None:
        page = settings.BASE_DIR / PAGE
        before = page.read_text(encoding="utf-8")
        after = redrawn(before)
        if before == after:
            self.stdout.write(f"{PAGE} is up to date.")
        elif options["check"]:
            raise CommandError(f"{PAGE} is out of date: run manage.py state_diagram")
        else:
            page.write_text(after, encoding="utf-8")
            self.stdout.write(f"{PAGE} was drawn anew.")


def redrawn(page: str) -> str:
    """The page with what stands between the markers drawn anew. Raises CommandError when a marker is missing."""
    head, begin, rest = page.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not (begin and end):
        raise CommandError(f"{PAGE} must hold the lines {BEGIN} and {END}, in this order")
    return f"{head}{begin}\n{drawn()}\n{end}{tail}"


def drawn() -> str:
    """All that stands between the markers."""
    return f"{order_diagrams()}\n{table(ORDERS)}\n{amendment_diagram()}\n{table(AMENDMENTS)}"


def order_diagrams() -> str:
    """Two fenced Mermaid diagrams of every pair in TABLE: from the states of a live order, and from the others.

    Equal arrows from all states of a box are one arrow from the box.
    """
    live = _diagram(
        '    state "nothing executed" as unexecuted {\n'
        '        state "not confirmed by the broker" as unconfirmed {\n'
        f"{_members(UNCONFIRMED, 12)}\n        }}\n"
        f"{_members([s for s in UNEXECUTED if s not in UNCONFIRMED], 8)}\n    }}\n"
        f"    [*] --> {State.CREATED}\n",
        _arrows(ORDERS, LIVE, BOXES),
    )
    ended = _diagram("", _arrows(ORDERS, ENDED, {}))
    return f"A live order:\n\n{live}\nWhat the broker may still say of an order that had ended for us:\n\n{ended}"


def amendment_diagram() -> str:
    """One fenced Mermaid diagram of every pair in AMENDMENT_TABLE, boxes as for orders."""
    diagram = _diagram(
        "    state open {\n"
        '        state "the call is over" as call_over {\n'
        f"{_members(sorted(EFFECT_DUE), 12)}\n        }}\n"
        f"{_members(sorted(OPEN_AMENDMENTS - EFFECT_DUE), 8)}\n    }}\n"
        f"    [*] --> {AmendmentState.QUEUED}\n",
        _arrows(AMENDMENTS, OPEN_AMENDMENTS, AMENDMENT_BOXES),
    )
    return f"A modification or cancel:\n\n{diagram}"


def _diagram(boxes: str, arrows: Iterable[tuple[str, str, str]]) -> str:
    lines = "".join(f"    {source} --> {target}: {events}\n" for source, target, events in arrows)
    return f"```mermaid\nstateDiagram-v2\n    direction LR\n{boxes}{lines}```\n"


def table(machine: Machine) -> str:
    """Every (state, event) pair in Markdown; `·` stays where it is."""
    head = "| | " + " | ".join(f"`{event}`" for event in machine.events) + " |"
    rule = "|---" * (len(machine.events) + 1) + "|"
    rows = [
        f"| **{state}** | " + " | ".join(machine.table.get((state, event), "·") for event in machine.events) + " |"
        for state in machine.states
    ]
    return "\n".join([head, rule, *rows]) + "\n"


def _members(states: Collection[str], indent: int) -> str:
    return "\n".join(" " * indent + state for state in states)


def _arrows(
    machine: Machine, of: Collection[str], boxes: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, str, str]]:
    """(from, to, "event, event") for the sources in `of`, the largest box that fits standing for its states."""
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in machine.events:
        for target in machine.states:
            sources = [s for s in machine.states if s in of and machine.table.get((s, event)) == target]
            for start in _boxed(sources, target, boxes):
                labels[start, target].append(event)
    for (start, end), events in labels.items():
        yield start, end, ", ".join(events)


def _boxed(sources: list[str], target: str, boxes: Mapping[str, Collection[str]]) -> list[str]:
    for name, members in boxes.items():
        if target not in members and set(members) <= set(sources):
            return [name, *(state for state in sources if state not in members)]
    return list(sources)
