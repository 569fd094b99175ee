"""How the API describes itself: OpenAPI 3.1 with the problem document on every operation."""

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from oms.lib.api.shapes import Shape


class FieldProblem(Shape):
    """`pointer` is a JSON pointer into the request (RFC 6901)."""

    pointer = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    message = serializers.CharField()


class Problem(Shape):
    """RFC 9457. `code` is stable and machine-readable; further members depend on it."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    code = serializers.CharField()
    errors = FieldProblem(many=True, required=False)  # type: ignore[assignment]  # a field, not the property


class ProblemSchema(AutoSchema):
    """Every operation may answer with a problem."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        component = self.resolve_serializer(Problem, "response")
        bodies["default"] = {
            "description": "A problem.",
            "content": {"application/problem+json": {"schema": component.ref}},
        }
        return bodies


class ExactDecimalSchema(OpenApiSerializerFieldExtension):
    """Numbers on output; on input a string that spells the number is taken as well."""

    target_class = "oms.lib.api.decimals.ExactDecimal"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "number"}
        if self.target.places == 0:
            number["multipleOf"] = 1
        if direction == "response":
            return number
        if self.target.above is not None:
            number["exclusiveMinimum"] = int(self.target.above)
        return {"oneOf": [number, {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}]}
