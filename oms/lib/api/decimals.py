"""Exact decimals as fields of a shape."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from rest_framework import serializers

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?", re.ASCII)


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
