"""Strict shapes of requests: camelCase on the wire, unknown names refused, every error reported at once.

A shape is a serializer that is bound once per process and then only read, since building its fields
anew for each request costs several times what checking them does. No rules that need a database.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Self

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from oms.lib.api.problems import field_errors, summary
from oms.lib.errors import FieldError, Invalid

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


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


class ExactDecimal(serializers.Field[Decimal, Any, Any, Any]):
    """A JSON number, or a string that spells one, read exactly.

    `places` decimals at most, `digits` digits in all; `above` is an exclusive lower bound.
    """

    default_error_messages = {
        "invalid": "Must be a number.",
        "too_large": "Must be smaller than {limit}.",
        "too_precise": "Must not have more than {places} decimals.",
        "not_whole": "Must be a whole number.",
        "too_small": "Must be greater than {above}.",
    }

    def __init__(self, *, digits: int = 18, places: int = 4, above: Decimal | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places, self.above = places, above
        self._whole_digits = digits - places
        self._step = Decimal(1).scaleb(-places)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, str) and _NUMBER.fullmatch(data):
            data = Decimal(data)
        if not isinstance(data, Decimal):
            self.fail("invalid")
        # By its exponent: arithmetic on 1e999999999 would overflow.
        if not data.is_finite() or (data and data.adjusted() >= self._whole_digits):
            self.fail("too_large", limit="1" + "0" * self._whole_digits)
        if self.above is not None and data <= self.above:
            self.fail("too_small", above=self.above)
        try:
            exact = data.quantize(self._step)
        except InvalidOperation:
            exact = None
        if exact != data:
            self.fail("too_precise" if self.places else "not_whole", places=self.places)
        return exact if self.places == 0 else data

    def to_representation(self, value: Decimal) -> Decimal:
        return value
