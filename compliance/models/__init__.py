"""Who may trade within which limits, and the proof of what happened.

Private to this app: others go through `compliance.selectors`, `compliance.audit` and the services.
"""

from compliance.models.accounts import Account, AlgoRegistration, Membership
from compliance.models.alerts import Alert
from compliance.models.controls import KillSwitch, RiskLimit, Scope
from compliance.models.events import EventType, OrderEvent
from compliance.models.idempotency import IdempotencyKey

__all__ = [
    "Account",
    "Alert",
    "AlgoRegistration",
    "EventType",
    "IdempotencyKey",
    "KillSwitch",
    "Membership",
    "OrderEvent",
    "RiskLimit",
    "Scope",
]
