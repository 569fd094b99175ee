"""The state machines as data: for orders and for amendments their states, the events that move them, and one table.

The models' transitions, the database's triggers, the generated diagrams and the tests all read
`TABLE` and `AMENDMENT_TABLE`. A pair that is absent means: stay where you are, what arrived is stale or a repeat.
"""

from collections.abc import Mapping
from typing import TypeVar

from django.db import models

S = TypeVar("S", bound=models.TextChoices)
E = TypeVar("E", bound=models.TextChoices)


class State(models.TextChoices):
    CREATED = "CREATED"
    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    LOST = "LOST"
    ACKED = "ACKED"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Event(models.TextChoices):
    """What can happen to an order. Those with `B_` are the broker's word; fills are executions."""

    SUBMIT = "submit"
    ACK = "ack"
    DEF_REJECT = "def_reject"
    AMBIGUOUS = "ambiguous"
    NOT_FOUND = "not_found"
    B_PENDING = "b_pending"
    B_TRIGGER = "b_trigger"
    B_OPEN = "b_open"
    FILL_PART = "fill_part"
    FILL_FULL = "fill_full"
    B_CANCEL = "b_cancel"
    B_REJECT = "b_reject"
    B_EXPIRE = "b_expire"


_S, _E = State, Event
_BEFORE_ACK = (_S.CREATED, _S.SUBMITTING, _S.UNKNOWN, _S.LOST)
_LIVE_AT_BROKER = (_S.ACKED, _S.TRIGGER_PENDING, _S.OPEN)
_BEFORE_FILL = (*_BEFORE_ACK, *_LIVE_AT_BROKER)

#: event → target → the states that it moves there.
RULES: dict[Event, dict[State, tuple[State, ...]]] = {
    _E.SUBMIT: {_S.SUBMITTING: (_S.CREATED,)},
    _E.ACK: {_S.ACKED: _BEFORE_ACK},
    _E.DEF_REJECT: {_S.REJECTED: (_S.CREATED, _S.SUBMITTING)},
    _E.AMBIGUOUS: {_S.UNKNOWN: (_S.SUBMITTING,)},
    _E.NOT_FOUND: {_S.LOST: (_S.UNKNOWN,)},
    _E.B_PENDING: {_S.ACKED: _BEFORE_ACK},
    _E.B_TRIGGER: {_S.TRIGGER_PENDING: (*_BEFORE_ACK, _S.ACKED)},
    _E.B_OPEN: {_S.OPEN: (*_BEFORE_ACK, _S.ACKED, _S.TRIGGER_PENDING)},
    _E.FILL_PART: {_S.PARTIALLY_FILLED: _BEFORE_FILL, _S.CANCELED: (_S.REJECTED,)},
    _E.FILL_FULL: {_S.FILLED: (*_BEFORE_FILL, _S.PARTIALLY_FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED)},
    _E.B_CANCEL: {_S.CANCELED: (*_BEFORE_FILL, _S.PARTIALLY_FILLED, _S.REJECTED, _S.EXPIRED)},
    _E.B_REJECT: {_S.REJECTED: _BEFORE_FILL, _S.CANCELED: (_S.PARTIALLY_FILLED,)},
    _E.B_EXPIRE: {_S.EXPIRED: (*_BEFORE_FILL, _S.PARTIALLY_FILLED, _S.REJECTED)},
}


def _table(rules: Mapping[E, Mapping[S, tuple[S, ...]]]) -> dict[tuple[S, E], S]:
    return {
        (source, event): target
        for event, targets in rules.items()
        for target, sources in targets.items()
        for source in sources
    }


#: (state, event) → the next state.
TABLE: dict[tuple[State, Event], State] = _table(RULES)

#: Never entered by a transition once left behind: nothing of the order is working any more.
TERMINAL = frozenset({_S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})
#: No capital is held: terminal, or looked for and not found.
ENDED = TERMINAL | {_S.LOST}
LIVE = frozenset(State) - ENDED
#: The broker has it, as far as we know.
WORKING = frozenset({_S.ACKED, _S.TRIGGER_PENDING, _S.OPEN, _S.PARTIALLY_FILLED})


class PublicStatus(models.TextChoices):
    """The contract's coarse status (`status` in the API); the detailed one is served as `state`."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


PUBLIC_STATUS: dict[State, PublicStatus] = {
    _S.CREATED: PublicStatus.PENDING,
    _S.SUBMITTING: PublicStatus.PENDING,
    _S.UNKNOWN: PublicStatus.PENDING,
    _S.ACKED: PublicStatus.PENDING,
    _S.TRIGGER_PENDING: PublicStatus.OPEN,
    _S.OPEN: PublicStatus.OPEN,
    _S.PARTIALLY_FILLED: PublicStatus.PARTIALLY_FILLED,
    _S.FILLED: PublicStatus.FILLED,
    _S.CANCELED: PublicStatus.CANCELED,
    _S.REJECTED: PublicStatus.REJECTED,
    _S.EXPIRED: PublicStatus.EXPIRED,
    _S.LOST: PublicStatus.REJECTED,
}


class AmendmentState(models.TextChoices):
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT", "Received by the broker"
    UNKNOWN = "UNKNOWN", "May or may not have arrived"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED", "Overtaken"


class AmendmentEvent(models.TextChoices):
    """What can happen to an amendment: from the claim over the call's answer to what the order's row shows."""

    SEND = "send"
    RECEIVED = "received"
    AMBIGUOUS = "ambiguous"
    NOT_TAKEN = "not_taken", "It certainly did not get through, and may go again"
    REFUSED = "refused", "The broker answered no"
    DONE = "done", "The order is as was asked"
    GO_AGAIN = "go_again", "The broker had it, and it had no effect"
    GIVE_UP = "give_up", "Halted, without effect, or the order ended otherwise"
    OVERTAKE = "overtake", "A cancel came before it was sent"


_AS, _AE = AmendmentState, AmendmentEvent
_CALL_OVER = (_AS.SENT, _AS.UNKNOWN)
_OPEN = (_AS.QUEUED, _AS.SENDING, *_CALL_OVER)

#: event → target → the states that it moves there. An answer counts only while its call is under way.
AMENDMENT_RULES: dict[AmendmentEvent, dict[AmendmentState, tuple[AmendmentState, ...]]] = {
    _AE.SEND: {_AS.SENDING: (_AS.QUEUED,)},
    _AE.RECEIVED: {_AS.SENT: (_AS.SENDING,)},
    _AE.AMBIGUOUS: {_AS.UNKNOWN: (_AS.SENDING,)},
    _AE.NOT_TAKEN: {_AS.QUEUED: (_AS.SENDING,)},
    _AE.REFUSED: {_AS.REJECTED: (_AS.SENDING,)},
    _AE.DONE: {_AS.CONFIRMED: _OPEN},
    _AE.GO_AGAIN: {_AS.QUEUED: _CALL_OVER},
    _AE.GIVE_UP: {_AS.REJECTED: _OPEN},
    _AE.OVERTAKE: {_AS.SUPERSEDED: (_AS.QUEUED,)},
}

#: (state, event) → the next state.
AMENDMENT_TABLE: dict[tuple[AmendmentState, AmendmentEvent], AmendmentState] = _table(AMENDMENT_RULES)

#: Waiting, or its outcome not known yet. Of each kind an order has at most one that is open.
OPEN_AMENDMENTS = frozenset(_OPEN)
CLOSED_AMENDMENTS = frozenset(AmendmentState) - OPEN_AMENDMENTS
#: The broker may have it: its effect may show at any time ...
AT_BROKER = OPEN_AMENDMENTS - {_AS.QUEUED}
#: ... and, the call being over, soon.
EFFECT_DUE = frozenset(_CALL_OVER)
