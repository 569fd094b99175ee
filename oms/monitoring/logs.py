"""What the log lines look like: structured, with the request's id, and never with a secret in them.

JSON for machines (default), aligned text for people (`OMS_LOG_FORMAT=console`). Which events are
logged is decided where they happen.
"""

import re
from typing import Any

import structlog
from django.dispatch import receiver
from django.http import HttpResponseBase
from django_structlog import signals
from structlog.typing import EventDict, Processor, WrappedLogger

SECRET_NAMES = re.compile(
    r"password|secret|token|authorization|cookie|checksum|session_key|api_?key|fernet|otp|\bpan\b", re.IGNORECASE
)
HIDDEN = "[hidden]"
# What identifies a request also travels in query strings, and so does what a broker's login page hands out.
_QUERY = re.compile(r"\?\S*")
_BEARER = re.compile(r"((?:Bearer|token|Basic)\s+)[\w.:=+/-]{8,}", re.IGNORECASE)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask values whose name says secret, credentials inside texts, and query strings of requests."""
    for name, value in event.items():
        event[name] = HIDDEN if SECRET_NAMES.search(name) else _without_secrets(value)
    if isinstance(event.get("request"), str):
        event["request"] = _QUERY.sub("", event["request"])
    return event


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return _BEARER.sub(rf"\1{HIDDEN}", value)
    if isinstance(value, dict):
        return {
            name: HIDDEN if isinstance(name, str) and SECRET_NAMES.search(name) else _without_secrets(inner)
            for name, inner in value.items()
        }
    return value


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(*, log_format: str, level: str) -> dict[str, Any]:
    """Set structlog up and give the matching LOGGING setting; `log_format` is `json` or `console`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        # Plain: a pretty traceback shows local variables, and with them secrets.
        structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
        if log_format == "console"
        else structlog.processors.JSONRenderer()
    )
    last = [structlog.processors.format_exc_info, hide_secrets, renderer]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {
            # Every poll of every second would be a line of each of these.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            # A line for every login that went well, and three about keeping its own tables.
            "axes": {"level": "WARNING"},
            # Said once already, with the request's id, by django_structlog.
            "django.request": {"level": "CRITICAL"},
        },
    }


@receiver(signals.bind_extra_request_finished_metadata)
@receiver(signals.update_failure_response)
def name_request(response: HttpResponseBase, **_signal: object) -> None:
    """Give the caller the id that the log lines of its request carry."""
    response["X-Request-ID"] = structlog.contextvars.get_contextvars()["request_id"]
