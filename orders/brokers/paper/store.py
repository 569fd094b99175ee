"""What survives a restart, in one SQLite file.

Belongs here: tables and the unit of work. Every answer the exchange gives about an order is
written first: WAL with synchronous=NORMAL outlives the death of the process (not of the machine).
"""

import dataclasses
import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from .orders import Order

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, day TEXT NOT NULL, tag TEXT,
    live INTEGER NOT NULL, state BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS orders_tag ON orders (tag);
CREATE INDEX IF NOT EXISTS orders_day ON orders (day);
CREATE INDEX IF NOT EXISTS orders_live ON orders (live) WHERE live = 1;
CREATE TABLE IF NOT EXISTS history (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, row BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS history_order ON history (order_id);
CREATE TABLE IF NOT EXISTS trades (
    id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, user_id TEXT NOT NULL, day TEXT NOT NULL,
    row BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS trades_order ON trades (order_id);
CREATE INDEX IF NOT EXISTS trades_user ON trades (user_id, day);
"""


class HomeInUseError(Exception):
    """Another exchange runs on the same home directory."""


class Store:
    """The file `exchange.sqlite3` in `home`, held by one process at a time."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._lock = (home / "exchange.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise HomeInUseError(f"another paper exchange runs on {home}") from error
        self.db = sqlite3.connect(home / "exchange.sqlite3", isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file and let go of the home."""
        self.db.close()
        self._lock.close()

    @contextmanager
    def unit(self) -> Iterator[None]:
        """All writes inside are kept, or none."""
        self.db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def put(self, name: str, value: Any) -> None:
        """Write a named fact."""
        self.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, orjson.dumps(value)))

    def get(self, name: str) -> Any:
        """A named fact, or None."""
        row = self.db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def facts(self, prefix: str) -> list[Any]:
        """All facts whose name starts with `prefix`."""
        rows = self.db.execute(
            "SELECT value FROM facts WHERE substr(name, 1, ?) = ? ORDER BY rowid", (len(prefix), prefix)
        )
        return [orjson.loads(row[0]) for row in rows]

    def drop(self, name: str) -> None:
        """Forget a named fact."""
        self.db.execute("DELETE FROM facts WHERE name = ?", (name,))

    def save_order(self, order: Order) -> None:
        """Write an order's state."""
        self.db.execute(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            (order.order_id, order.user_id, order.day, order.tag, order.is_live or order.ghost, orjson.dumps(order)),
        )

    def add_history(self, order_id: str, row: bytes) -> None:
        """Append a row to an order's history."""
        self.db.execute("INSERT INTO history (order_id, row) VALUES (?, ?)", (order_id, row))

    def add_trade(self, order: Order, row: dict[str, Any], day: str) -> None:
        """Append a trade."""
        self.db.execute(
            "INSERT INTO trades (order_id, user_id, day, row) VALUES (?, ?, ?, ?)",
            (order.order_id, order.user_id, day, orjson.dumps(row)),
        )

    def load_orders(self, day: str) -> list[Order]:
        """The orders of a trade date and all that are still live, oldest first."""
        rows = self.db.execute("SELECT state FROM orders WHERE day = ? OR live = 1 ORDER BY order_id", (day,))
        return [_order(row[0]) for row in rows]

    def last_order_id(self) -> int:
        """The highest order id ever written, 0 for none."""
        return int(self.db.execute("SELECT max(order_id) FROM orders").fetchone()[0] or 0)

    def count_orders(self, user_id: str, day: str) -> int:
        """Orders of one client on one trade date."""
        return int(
            self.db.execute("SELECT count(*) FROM orders WHERE user_id = ? AND day = ?", (user_id, day)).fetchone()[0]
        )

    def owner(self, order_id: str) -> str | None:
        """The client of an order of any day, or None."""
        row = self.db.execute("SELECT user_id FROM orders WHERE order_id = ?", (order_id,)).fetchone()
        return row[0] if row else None

    def find_orders(self, tag: str | None) -> list[Order]:
        """All orders ever, of any day, or those with a tag; oldest first."""
        rows = self.db.execute("SELECT state FROM orders WHERE ?1 IS NULL OR tag = ?1 ORDER BY order_id", (tag,))
        return [_order(row[0]) for row in rows]

    def history(self, order_id: str) -> list[bytes]:
        """An order's history, oldest first, as JSON rows."""
        return [
            row[0] for row in self.db.execute("SELECT row FROM history WHERE order_id = ? ORDER BY id", (order_id,))
        ]

    def order_trades(self, order_id: str) -> list[bytes]:
        """An order's trades, oldest first, as JSON rows."""
        return [row[0] for row in self.db.execute("SELECT row FROM trades WHERE order_id = ? ORDER BY id", (order_id,))]

    def trades(self, user_id: str, day: str) -> list[bytes]:
        """A client's trades of one trade date, oldest first, as JSON rows."""
        return [
            row[0]
            for row in self.db.execute(
                "SELECT row FROM trades WHERE user_id = ? AND day = ? ORDER BY id", (user_id, day)
            )
        ]

    def wipe_orders(self) -> None:
        """Forget all orders, histories and trades."""
        with self.unit():
            self.db.execute("DELETE FROM orders")
            self.db.execute("DELETE FROM history")
            self.db.execute("DELETE FROM trades")


_FIELDS = {field.name for field in dataclasses.fields(Order)}


def _order(state: bytes) -> Order:
    fields = orjson.loads(state)
    return Order(**{name: fields[name] for name in fields if name in _FIELDS})
