"""What media the API takes and sends, for the framework's content negotiation."""

from typing import Any

from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from oms.lib.api.wire import json_bytes, parse_json


class ExactJSONParser(BaseParser):
    """`application/json` into dicts with Decimals."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        del media_type
        # Through the body and not the stream: only there Django enforces DATA_UPLOAD_MAX_MEMORY_SIZE.
        return parse_json(parser_context["request"].body)


class ExactJSONRenderer(BaseRenderer):
    """Stands for what the API sends in content negotiation; views send bytes themselves."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return json_bytes(data)


class ProblemRenderer(ExactJSONRenderer):
    """So that a caller may ask for problems by name."""

    media_type = "application/problem+json"
    format = "problem"
