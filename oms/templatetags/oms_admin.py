"""Filters of the admin's templates: money, times in IST, chips, links. The look itself is `oms.lib.admin.formats`."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from unfold.settings import get_config
from unfold.utils import convert_color

from oms.lib.admin import formats
from oms.lib.clock import IST, now

register = template.Library()
MINUTE = 60


@lru_cache(maxsize=1)
def _tones() -> dict[str, dict[str, str]]:
    """Loaded on first use: unfold renders templates while the admin's own modules are being imported."""
    from compliance.admin.alerts import SEVERITY_TONES
    from compliance.admin.kill_switches import MODE_TONES
    from ledger.admin.capital import KIND_TONES, STATUS_TONES
    from orders.admin import tones

    return {
        "state": tones.STATE_TONES, "side": tones.SIDE_TONES, "amendment": tones.AMENDMENT_TONES,
        "session": tones.SESSION_TONES, "source": tones.SOURCE_TONES, "capital": KIND_TONES, "entry": STATUS_TONES,
        "severity": SEVERITY_TONES, "mode": MODE_TONES,
    }  # fmt: skip


@register.filter
def rupees(amount: Decimal | None, places: int = 2) -> Any:
    return formats.EMPTY if amount is None else formats.rupees(amount, places)


@register.filter
def units(quantity: Decimal | None) -> Any:
    return formats.EMPTY if quantity is None else formats.units(quantity)


@register.filter
def ist(at: datetime | None) -> Any:
    return formats.EMPTY if at is None else formats.instant(at, year=False)


@register.filter
def ago(at: datetime | None) -> Any:
    """How long ago, in the unit that fits; the instant on hover."""
    if at is None:
        return formats.EMPTY
    return format_html(
        '<span class="oms-time" title="{} UTC">{}</span>',
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        gap(now() - at)[1:],
    )


@register.filter
def ist_precise(at: datetime | None) -> Any:
    return formats.EMPTY if at is None else formats.instant(at, precise=True)


@register.filter
def chip(value: str, family: str) -> Any:
    """A coloured label; `family` names a table of tones, or is itself a tone."""
    text = str(value)
    return formats.chip(text.replace("_", " "), _tones()[family].get(text, "grey") if family in _tones() else family)


@register.filter
def event_chip(event_type: str) -> Any:
    from compliance.admin.events import event_tone

    return formats.chip(event_type.replace("_", " "), event_tone(event_type))


@register.filter
def order_link(order_id: Any) -> Any:
    from compliance.admin.alerts import order_link as link

    return link(order_id)


@register.filter
def plain(number: float) -> str:
    """A number for a style attribute: a point, whatever the locale."""
    return f"{number:.2f}"


@register.filter
def hexed(value: bytes) -> str:
    return bytes(value).hex()


@register.filter
def clock(at: datetime) -> Any:
    """The time of day in IST to the millisecond, and in UTC beneath; the whole of it on hover."""
    local, zulu = at.astimezone(IST), at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC"><b>{}</b> IST<small>{} UTC</small></time>',
        zulu.isoformat(),
        f"{zulu:%Y-%m-%d %H:%M:%S.%f}",
        f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}",
        f"{zulu:%H:%M:%S}.{zulu.microsecond // 1000:03d}",
    )


@register.filter
def ist_day(at: datetime) -> str:
    return f"{at.astimezone(IST):%A, %-d %B %Y}"


@register.filter
def utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


@register.filter
def gap(span: timedelta) -> str:
    """The time since the moment before, in the unit that fits."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"+{seconds * 1000:.0f} ms"
    if seconds < MINUTE:
        return f"+{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    return f"+{hours} h {minutes} min" if hours else f"+{minutes} min {rest} s"


@register.filter
def spoken(name: str) -> str:
    """An upper-case constant as words."""
    return name.replace("_", " ").lower()


@register.filter
def json_text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


@register.simple_tag
def theme_variables() -> Any:
    """The site's colours as CSS variables, for pages outside the admin; inside, unfold writes them itself."""
    colours = get_config()["COLORS"]
    lines = [
        f"--color-{name}-{weight}: {convert_color(value)};"
        for name, weights in colours.items()
        for weight, value in weights.items()
    ]
    return mark_safe(":root {" + "".join(lines) + "}")  # noqa: S308  settings, not input
