"""Reading the same book again: most of its rows are what they were a second ago, and are translated once.

Belongs here: what is kept of one reading for the next. It is compared with what arrives, byte by byte or value by
value, so that nothing old is ever taken for new.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Row = dict[str, Any]


class Translations(Generic[T]):
    """Rows with what they were translated to, by the field that names a row."""

    def __init__(self, name: str, translate: Callable[[Row], T]) -> None:
        self._name, self._translate = name, translate
        # Each replaced as a whole, since threads may read the book at the same time.
        self._last: tuple[Any, list[T]] = (None, [])
        self._kept: dict[str, tuple[Row, T]] = {}

    def of(self, rows: Iterable[Row]) -> list[T]:
        """The rows translated, in their order. Raises what translating a row raises."""
        last, translated = self._last
        if rows is last:
            return translated
        before, kept, translated = self._kept, {}, []
        for row in rows:
            name = str(row.get(self._name)) if isinstance(row, dict) else ""
            known = before.get(name)
            pair = known if known is not None and known[0] == row else (row, self._translate(row))
            kept[name] = pair
            translated.append(pair[1])
        self._last, self._kept = (rows, translated), kept
        return translated
