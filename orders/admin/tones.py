"""The colours of states, one table per kind of thing, so that a state looks the same on every page."""

from orders.states import State

STATE_TONES: dict[str, str] = {
    State.CREATED: "grey",
    State.SUBMITTING: "amber",
    State.UNKNOWN: "red",
    State.LOST: "red",
    State.ACKED: "blue",
    State.TRIGGER_PENDING: "violet",
    State.OPEN: "blue",
    State.PARTIALLY_FILLED: "teal",
    State.FILLED: "green",
    State.CANCELED: "grey",
    State.REJECTED: "rose",
    State.EXPIRED: "grey",
}
SIDE_TONES = {"BUY": "blue", "SELL": "amber"}
AMENDMENT_TONES = {
    "QUEUED": "grey", "SENDING": "amber", "SENT": "blue", "UNKNOWN": "red", "CONFIRMED": "green",
    "REJECTED": "rose", "SUPERSEDED": "grey",
}  # fmt: skip
SESSION_TONES = {"OPEN": "green", "CLOSED": "grey", "EXPIRED": "red"}
SOURCE_TONES = {"PLACE": "blue", "MODIFY": "amber", "CANCEL": "amber", "POLL": "grey", "POSTBACK": "violet"}
