"""The actor of an API request, as every event of what it causes will name it; and who holds which staff role."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from compliance.api.authentication import SESSION_CLAIM
from compliance.selectors import COMPLIANCE, OPERATOR, is_in
from oms.lib.actors import Actor, ActorType
from oms.lib.api.client import client_ip

CHANNEL = "API"


def actor_of(request: Request, *, algo_id: str = "") -> Actor:
    """Who acts. An order that names its algorithm is that algorithm's, sent under the user's login."""
    user = request.user
    if is_in(user, OPERATOR):
        kind = ActorType.OPERATOR
    elif is_in(user, COMPLIANCE):
        kind = ActorType.OFFICER
    else:
        kind = ActorType.ALGO if algo_id else ActorType.TRADER
    token: Any = request.auth
    session = token.get(SESSION_CLAIM, "") if token else ""
    return Actor(kind, str(user.pk), CHANNEL, session_id=session, source_ip=client_ip(request))


class IsOperator(BasePermission):
    """Operators and superusers."""

    message = "Only operators may do this."
    code = "operator_only"

    def has_permission(self, request: Request, view: object) -> bool:
        return is_in(request.user, OPERATOR)
