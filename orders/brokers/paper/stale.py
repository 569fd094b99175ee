"""Old pictures of the order book, shown while the fault `stale_book` is in force.

Belongs here: taking and showing them. When the fault strikes is decided in `faults`.
"""

import time

from .book import Book
from .faults import BOOK_KINDS, Fault, Faults


class StaleBook:
    """One picture per fault, taken when it was put in force, shown for its `seconds`."""

    def __init__(self, book: Book, faults: Faults) -> None:
        self._book, self._faults = book, faults
        self._pictures: dict[int, tuple[float, dict[str, bytes]]] = {}

    def take(self, fault: Fault) -> None:
        """Keep every client's book as it is now."""
        rows = {user_id: self._book.rows(user_id) for user_id in self._book.by_user}
        self._pictures[fault.id] = (time.monotonic() + fault.seconds, rows)

    def rows(self, user_id: str) -> bytes | None:
        """The old book as a JSON array, or None when the true one is to be shown."""
        for number, (until, _) in list(self._pictures.items()):
            if until < time.monotonic():
                del self._pictures[number]
                self._faults.active.pop(number, None)
        for fault in self._faults.draw(BOOK_KINDS, "book"):
            if fault.id in self._pictures:
                return self._pictures[fault.id][1].get(user_id, b"[]")
        return None
