"""Hurrying a worker after a commit, without the services knowing how work is queued.

A hint may be lost: the row itself is the work queue and the sweep finds it. So a failure to hint is
logged and never fails what was committed.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import structlog
from django.db import transaction


class Hint(StrEnum):
    """What a worker can be told, and with it of what."""

    SEND = "send"
    """Orders or amendments wait: the broker account's id."""
    LOOK = "look"
    """An order deserves a look: the broker account's id, the broker's order id."""
    SESSION = "session"
    """A broker session was opened: the broker account's id."""


_listeners: dict[Hint, Callable[..., None]] = {}
_log = structlog.get_logger(__name__)


def listen(to: Hint, listener: Callable[..., None]) -> None:
    """Register what happens on a hint. Called once, where the tasks are defined."""
    _listeners[to] = listener


def hint(what: Hint, *arguments: Any) -> None:
    """After the present transaction commits, tell the listener that there is work."""

    def tell() -> None:
        listener = _listeners.get(what)
        if listener is not None:
            try:
                listener(*arguments)
            except (OSError, ConnectionError) as error:
                _log.warning("hint_lost", hint=what, error=str(error))

    transaction.on_commit(tell, robust=True)  # what follows a commit must not look like its failure
