"""One log record a line, the same shape from every library and process.

Fields: ``timestamp`` (UTC), ``level``, ``logger``, ``message``, ``workflow_id``, ``user_id``, ``correlation_id``, and
what the caller adds. Values of fields that are named like secrets, passwords inside addresses and e-mail addresses are
masked.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

import structlog

from service.platform.log_context import bind_contextvars, bound_contextvars, merge

__all__ = ["bind_contextvars", "bound_contextvars", "configure_logging", "get_logger"]

MASK = "***"
_CONTEXT_FIELDS = ("workflow_id", "user_id", "correlation_id")
_FIRST_FIELDS = ("timestamp", "level", "logger", "message", *_CONTEXT_FIELDS)
_SECRET_NAME = re.compile(
    r"passw|secret|authorization|cookie|dsn|database_url|credential|api_?key$|access_token|key_hash|^token$|jwt",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@")
_E_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_BEARER = re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")

_PLAIN = frozenset({int, float, bool, type(None)})
_write_json = json.JSONEncoder(default=str).encode

# Libraries whose INFO lines would drown ours; their warnings still show.
_QUIET = ("aiokafka", "kafka", "httpx", "httpcore", "asyncio", "alembic.runtime.plugins")


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def masked(value: Any) -> Any:
    """The value without what must not be kept: fields that are named like secrets, passwords, tokens, addresses."""
    if isinstance(value, str):
        if "@" in value:
            value = _E_MAIL.sub(MASK, _URL_PASSWORD.sub(rf"\1:{MASK}@", value))
        if "eyJ" in value:
            value = _JWT.sub(MASK, value)
        return _BEARER.sub(rf"\1 {MASK}", value) if "earer" in value.lower() else value
    if isinstance(value, dict):
        return {
            key: MASK if _is_secret(str(key)) else inner if type(inner) in _PLAIN else masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(inner) for inner in value]
    return value


def _mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return cast(MutableMapping[str, Any], masked(dict(event)))


def _in_documented_form(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["message"] = event.pop("event", "")
    event.pop("color_message", None)
    event["level"] = str(event.get("level", "info")).upper()
    return {name: event.pop(name, None) for name in _FIRST_FIELDS} | dict(event)


def _as_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return _write_json(event)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes records of other libraries the general way, and our own, which are in form already, without its copies."""

    def __init__(self, shared: Sequence[structlog.types.Processor], rendering: Sequence[structlog.types.Processor]):
        super().__init__(foreign_pre_chain=shared, processors=[self.remove_processors_meta, *rendering])
        self._rendering = rendering

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.msg, dict) or not hasattr(record, "_logger"):
            return super().format(record)
        event: Any = record.msg.copy()
        for process in self._rendering:
            event = process(None, record.levelname.lower(), event)
        return str(event)


class LogSettings(Protocol):
    """The part of a process's settings that says how it logs."""

    @property
    def log_level(self) -> str:
        """The least level that is written."""

    @property
    def log_format(self) -> str:
        """`json` or `text`."""


class _PassingTroubles(logging.Filter):
    """aiokafka reports as errors what it mends by itself, like a coordinator that is only being chosen. Where Kafka
    stays away, our own records say so as errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("aiokafka") and record.levelno == logging.ERROR:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def configure_logging(settings: LogSettings) -> None:
    """Send every record of this process to standard output in the chosen form; safe to call again."""
    shared: list[structlog.types.Processor] = [
        merge,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[structlog.types.Processor]
    if settings.log_format == "json":
        rendering = [
            structlog.processors.format_exc_info,
            _mask_secrets,
            _in_documented_form,
            _as_json,
        ]
    else:
        rendering = [
            structlog.processors.format_exc_info,
            _mask_secrets,
            structlog.dev.ConsoleRenderer(colors=False),
        ]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter(shared, rendering))
    handler.addFilter(_PassingTroubles())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "sqlalchemy.engine", "alembic"):
        logging.getLogger(name).handlers.clear()
        # The application writes the access records itself, with more in them.
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; fields are given as keywords: ``log.info("Run accepted", run_id=...)``."""
    return structlog.stdlib.get_logger(name)
