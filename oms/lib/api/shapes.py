"""Strict shapes of requests: camelCase on the wire, unknown names refused, every error reported at once.

A shape is a serializer that is bound once per process and then only read, since building its fields
anew for each request costs several times what checking them does. No rules that need a database.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from oms.lib.api.problems import field_errors, summary
from oms.lib.errors import FieldError, Invalid


def camel(name: str) -> str:
    """`stop_price` → `stopPrice`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


class Shape(serializers.Serializer[Any]):
    """Declare fields in snake_case; `Shape.read(body)` gives a dict in snake_case or raises Invalid."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        fields = {}
        for name, field in super().get_fields().items():
            wire_name = camel(name)
            if wire_name != name:
                field.source = name
            fields[wire_name] = field
        return fields

    @classmethod
    @cache
    def bound(cls) -> Self:
        """The one instance that reads; it keeps no state between requests."""
        return cls()

    @classmethod
    def read(cls, body: Any) -> dict[str, Any]:
        """The checked values. Raises Invalid with one error per wrong field."""
        try:
            values: dict[str, Any] = cls.bound().run_validation(body)
        except ValidationError as error:
            errors = tuple(field_errors(error.detail))
            raise Invalid(summary(errors), errors=errors) from None
        return values

    @classmethod
    def read_query(cls, query: Any) -> dict[str, Any]:
        """The same for a query string, where a name given twice is an error too."""
        doubled = [name for name in query if len(query.getlist(name)) > 1]
        if doubled:
            errors = tuple(FieldError(f"/{name}", "repeated", "Given more than once.") for name in doubled)
            raise Invalid(summary(errors), errors=errors)
        return cls.read(query.dict())

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValidationError({"non_field_errors": ["The body must be a JSON object."]}, code="invalid")
        unknown: dict[str, Any] = {
            name: [ErrorDetail("There is no such field here.", "unknown_field")]
            for name in data
            if name not in self.fields
        }
        try:
            values = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **unknown}) from None  # type: ignore[dict-item]
        if unknown:
            raise ValidationError(unknown)
        return values
