"""The declared transitions of an order, as django-fsm wants them: one method per event, made from the table.

Only `orders.lifecycle` calls them.
"""

from collections.abc import Callable
from typing import Any

from django.db import models
from django_fsm import FSMField, transition

from orders.states import RULES, State


def _mark(name: str) -> Callable[[Any], None]:
    def body(self: Any) -> None:
        """The state is all that a transition sets; `orders.lifecycle` does the rest."""

    body.__name__ = name
    return body


class Transitions(models.Model):
    """The declared transitions of an order, one method per event, read from `orders.states.RULES`."""

    state = FSMField(max_length=16, choices=State, default=State.CREATED, protected=True)

    class Meta:
        abstract = True


for _event, _targets in RULES.items():
    _method: Any = _mark(_event.value)
    for _target, _sources in _targets.items():
        _method = transition(field=Transitions._meta.get_field("state"), source=list(_sources), target=_target)(_method)
    setattr(Transitions, _event.value, _method)
