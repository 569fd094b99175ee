"""An old picture of the book: what it hides, for whom, and how it ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from orders.brokers.paper.faults import Fault
from orders.tests.brokers.paper.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path)
    engine.price("NSE:SBIN", 97_000)
    yield engine
    engine.close()


def freeze(engine: Engine, **given: Any) -> Fault:
    """Put the fault in force, as the operator's route does."""
    fault = engine.services.faults.add({"kind": "stale_book", "seconds": 60, **given})
    engine.services.stale.take(fault)
    return fault


def shown(engine: Engine, user_id: str = "PX0001") -> list[str] | None:
    rows = engine.services.stale.rows(user_id)
    return None if rows is None else [row["status"] for row in orjson.loads(rows)]


def test_without_the_fault_the_true_book_is_shown(engine: Engine) -> None:
    engine.place(price=960)
    assert shown(engine) is None


def test_what_happened_since_is_hidden_until_it_is_lifted(engine: Engine) -> None:
    order = engine.place(price=960)
    engine.run()
    fault = freeze(engine)
    engine.cancel(order)
    engine.place(price=950)
    engine.run()
    assert shown(engine) == ["OPEN"]
    engine.services.faults.remove(fault.id)
    assert shown(engine) is None
    assert engine.order(order).status == "CANCELLED"


def test_a_client_who_had_no_orders_is_shown_none(engine: Engine) -> None:
    engine.place(price=960)
    freeze(engine)
    assert shown(engine, "PX0002") == []


def test_it_ends_by_itself_and_leaves_no_fault_behind(engine: Engine) -> None:
    freeze(engine, seconds=0)
    assert shown(engine) is None
    assert engine.services.faults.active == {}


def test_it_may_strike_some_readings_only(engine: Engine) -> None:
    engine.place(price=960)
    freeze(engine, calls=2)
    assert [shown(engine) is None for _ in range(4)] == [False, False, True, True]
