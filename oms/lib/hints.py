"""Hurrying a worker after a commit, without the services knowing how work is queued.

A hint may be lost: the row itself is the work queue and the sweep finds it. So a failure to hint is
logged and never fails what was committed.
"""

from collections.abc import Callable
from typing import Any

import structlog
from django.db import transaction

_listeners: dict[str, Callable[..., None]] = {}
_log = structlog.get_logger(__name__)


def listen(name: str, listener: Callable[..., None]) -> None:
    """Register what happens on a hint. Called once, where the tasks are defined."""
    _listeners[name] = listener


def hint(name: str, *arguments: Any) -> None:
    """After the present transaction commits, tell the listener that there is work."""

    def tell() -> None:
        listener = _listeners.get(name)
        if listener is not None:
            try:
                listener(*arguments)
            except (OSError, ConnectionError) as error:
                _log.warning("hint_lost", hint=name, error=str(error))

    transaction.on_commit(tell, robust=True)  # what follows a commit must not look like its failure
