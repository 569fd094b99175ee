"""Endpoints that are for staff only."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from compliance.selectors import OPERATOR, is_in


class IsOperator(BasePermission):
    """Operators and superusers."""

    message = "Only operators may do this: ask one of them."
    code = "operator_only"

    def has_permission(self, request: Request, view: object) -> bool:
        return is_in(request.user, OPERATOR)
