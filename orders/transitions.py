"""The declared transitions of orders and amendments, as django-fsm wants them: a method per event, from the tables.

Only `orders.lifecycle` calls them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import models
from django_fsm import FSMField, transition

from orders.states import AMENDMENT_RULES, RULES, AmendmentState, State


def _mark(name: str) -> Callable[[Any], None]:
    def body(self: Any) -> None:
        """The state is all that a transition sets; `orders.lifecycle` does the rest."""

    body.__name__ = name
    return body


def _declare(model: type[models.Model], rules: Mapping[Any, Mapping[Any, tuple[Any, ...]]]) -> None:
    field: Any = model._meta.get_field("state")
    for event, targets in rules.items():
        method: Any = _mark(event.value)
        for target, sources in targets.items():
            method = transition(field=field, source=list(sources), target=target)(method)
        setattr(model, event.value, method)


class OrderTransitions(models.Model):
    """The declared transitions of an order, one method per event, read from `orders.states.RULES`."""

    state = FSMField(max_length=16, choices=State, default=State.CREATED, protected=True)

    class Meta:
        abstract = True


class AmendmentTransitions(models.Model):
    """The declared transitions of an amendment, one method per event, from `orders.states.AMENDMENT_RULES`."""

    state = FSMField(max_length=10, choices=AmendmentState, default=AmendmentState.QUEUED, protected=True)

    class Meta:
        abstract = True


_declare(OrderTransitions, RULES)
_declare(AmendmentTransitions, AMENDMENT_RULES)
