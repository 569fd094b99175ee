"""Who acts: carried by every service call and written into every event. Knows no permissions."""

from dataclasses import dataclass
from enum import StrEnum


class ActorType(StrEnum):
    TRADER = "TRADER"
    OPERATOR = "OPERATOR"
    OFFICER = "OFFICER"
    ALGO = "ALGO"
    BROKER = "BROKER"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    """The person or process behind a change, as the audit trail names it.

    `id` is the user's primary key as text, or the process's name; `channel` is the door that
    the request came through (API, ADMIN, BROKER, SYSTEM).
    """

    type: ActorType
    id: str
    channel: str
    session_id: str = ""
    api_key_id: str = ""
    source_ip: str = ""


SYSTEM = Actor(ActorType.SYSTEM, "oms", "SYSTEM")
BROKER = Actor(ActorType.BROKER, "broker", "BROKER")
