"""Where a request comes from."""

from typing import Any

from django.conf import settings


def client_ip(request: Any) -> str:
    """The caller's address, as seen by the outermost proxy that is ours (TRUSTED_PROXIES of them)."""
    if settings.TRUSTED_PROXIES:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if len(hops) >= settings.TRUSTED_PROXIES and hops[-settings.TRUSTED_PROXIES]:
            return str(hops[-settings.TRUSTED_PROXIES])[:45]
    address: str = request.META.get("REMOTE_ADDR", "")
    return address
