"""The view that every endpoint of the API extends: strict JSON in, bytes out, rate-limit headers, nothing cached."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.views import APIView

from oms.lib.api.rates import PrincipalRate, Rate


class ApiView(APIView):
    """Answers are `HttpResponse`s made by `wire.json_response` or by `problems`.

    `rate_policy` names a bucket of the setting API_RATE_LIMITS.
    """

    # No OPTIONS: the schema describes what there is.
    http_method_names = ["get", "head", "post", "put"]
    throttle_classes = (PrincipalRate,)
    rate_policy = "default"
    rate: Rate | None = None

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        final = super().finalize_response(request, response, *args, **kwargs)
        if self.rate:
            self.rate.write_to(final)
        final.headers.setdefault("Cache-Control", "no-store")
        return final


def body_of(request: Request) -> Any:
    """The parsed body; an empty one is an empty object.

    Raises the framework's UnsupportedMediaType for a body that is not JSON, Invalid for malformed JSON.
    """
    http: HttpRequest = request._request
    return request.data if http.body else {}
