"""Structured logs (DESIGN, "Conventions"): one line an event, JSON unless a person watches, no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from cluster.telemetry import tracing

MAX_TEXT = 2_000
MAX_TRACEBACK = 16_000
MAX_ITEMS = 50
MAX_DEPTH = 4
MAX_SECRET = 4_096  # one that begins before the cut is seen whole

HIDDEN = "***"
SECRET_KEY = re.compile(
    r"token|passw|authorization|secret|refresh|cookie|private|credential|api_?key|rayrealm-edge|sealed|jwe\b",
    re.IGNORECASE,
)
# Secrets inside texts, by their shape; what a group has stays readable. Linear in the text: it may be an attacker's.
_NAMED = r"[\w-]{0,32}(?:passw(?:or)?d|passphrase|token|secret|api_?key)|requirepass|x-rayrealm-edge"
SECRET_TEXT = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"  # PEM (RFC 7468)
    r"|\brrt_[\w-]+"  # a refresh token
    r"|\brr(?:in|op)\.[\w.-]+"  # an operator's invitation or token (cluster/operators.py)
    r"|\beyJ[\w-]+(?:\.[\w-]*){1,4}"  # a JWT or a JWE (RFC 7515, RFC 7516)
    r"|\$argon2(?:id?|d)\$[^\s\"']+"  # a password's hash
    r"|(?P<url>://)[^\s/?#\"']*(?=@)"  # user and password of a URL
    rf"|(?P<named>\b(?:{_NAMED})[\"']?\s*[=:]\s*[\"']?)[^\s&,;\"'}}\])]+"  # a query, a header, JSON, key=value
    r"|(?P<key>\"d\"\s*:\s*\")[\w-]+"  # the private part of a JWK
    r"|(?P<scheme>\b(?:bearer|basic) )[^\s\"',]+",
    re.IGNORECASE | re.DOTALL,
)
# What this process was told to hide: the realm's own secrets, which look like nothing in particular.
_own: list[str] = []
_SHORTEST = 8  # a word that is shorter would be hidden wherever it is part of another


def hide(*secrets: str) -> None:
    """Never write these, wherever they come up. For a process's own secrets, as it learns them; again is fine."""
    for secret in secrets:
        if len(secret) >= _SHORTEST and secret not in _own:
            _own.append(secret)


class _Live:
    """What all loggers of this process share, also those that were made and kept before it changed.

    structlog's loggers keep their class and their list of processors from their first line on. So both stay the same objects, and
    whatever may change is here: the level, the stream, and what is in that list.
    """

    def __init__(self) -> None:
        self.threshold = logging.NOTSET
        self.stream: TextIO | None = None  # None: sys.stderr, whatever that is at the moment
        self.about: dict[str, str] = {}
        self.taps: list[Processor] = []
        self.processors: list[Processor] = []

    def write(self, line: str) -> None:
        """Whole lines, each with one call."""
        out = self.stream if self.stream is not None else sys.stderr
        out.write(line + "\n")
        out.flush()


_live = _Live()


class _NamedLogger:
    """The end of a logger's processors."""

    def __init__(self, name: str) -> None:
        self.name = name

    def msg(self, line: str) -> None:
        _live.write(line)

    log = debug = info = warn = warning = error = err = critical = fatal = failure = exception = msg


_Everything: Any = structlog.make_filtering_bound_logger(logging.NOTSET)


def _from(level: int, inner: Callable[..., Any]) -> Callable[..., Any]:
    def say(self: Any, event: str | None = None, *args: Any, **values: Any) -> Any:
        return None if level < _live.threshold else inner(self, event, *args, **values)

    return say


class LiveLogger(_Everything):  # type: ignore[misc]  # the class is made while running
    """Asks for the level at each line."""

    debug = _from(logging.DEBUG, _Everything.debug)
    info = _from(logging.INFO, _Everything.info)
    warning = warn = _from(logging.WARNING, _Everything.warning)
    error = _from(logging.ERROR, _Everything.error)
    exception = _from(logging.ERROR, _Everything.exception)
    critical = fatal = _from(logging.CRITICAL, _Everything.critical)

    def log(self, level: int, event: str, *args: Any, **values: Any) -> Any:
        return None if level < _live.threshold else super().log(level, event, *args, **values)

    def is_enabled_for(self, level: int) -> bool:
        return level >= _live.threshold

    def get_effective_level(self) -> int:
        return _live.threshold


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose events name it; `structlog.get_logger(name)` does the same. Usable before `configure`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the process's logs, the libraries' too, to `stream` (stderr). `level` as in the settings. Again is fine, at any time.

    One JSON object a line: `at` (ISO 8601, UTC), `level`, `event`, `logger`, `kind`, `process` and `node`, `trace_id` and `span_id`
    where something traced is done, and what the event says. Only a person at a terminal gets the same in columns.
    """
    _live.stream = stream
    out = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _add_about,
        _add_trace,
        structlog.processors.format_exc_info,
        redact,
        _tap,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, timestamp_key="at")
        if out.isatty()
        else structlog.processors.JSONRenderer()
    )
    _live.processors[:] = [*shared, renderer]
    structlog.configure(
        processors=_live.processors,
        wrapper_class=LiveLogger,
        logger_factory=lambda name="", *_: _NamedLogger(name),
        cache_logger_on_first_use=True,
    )
    _adopt_library_logs(shared, renderer)
    set_level(level)


def level() -> str:
    """The one that holds."""
    return logging.getLevelName(_live.threshold).lower()


def set_level(level: str) -> None:
    """For every logger of this process, from its next line on. Libraries say nothing below `warning`."""
    _live.threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(_live.threshold, logging.WARNING))


def about(kind: str, process: str, node: str) -> None:
    """Who this is, in each line."""
    _live.about = {"kind": kind, "process": process, "node": node}


def tap(*processors: Processor) -> None:
    """Show each line to them as well, without its secrets; to nobody else any more."""
    _live.taps = list(processors)


def _add_about(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in _live.about.items():
        event.setdefault(key, value)
    return event


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace = tracing.here()
    if trace:
        event["trace_id"], event["span_id"] = tracing.ids(trace)
    return event


def _tap(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for processor in _live.taps:
        processor(logger, method, event)
    return event


class _LiveHandler(logging.StreamHandler[Any]):
    """Writes where our own lines go."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _live.write(self.format(record))
        except Exception:
            self.handleError(record)


def _adopt_library_logs(shared: list[Processor], renderer: Processor) -> None:
    handler = _LiveHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.getLogger().handlers[:] = [handler]


def without_secrets(text: str) -> str:
    """The text, with what looks secret and what is known to be hidden."""
    for secret in _own:
        text = text.replace(secret, HIDDEN)
    return SECRET_TEXT.sub(
        lambda found: (found["url"] or found["named"] or found["key"] or found["scheme"] or "") + HIDDEN, text
    )


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor: hides what looks secret, by its key or in its text, and cuts what is too long."""
    return {
        key: HIDDEN if SECRET_KEY.search(key) else _clean(value, MAX_TRACEBACK if key == "exception" else MAX_TEXT)
        for key, value in event.items()
    }


def _clean(value: Any, most: int, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:MAX_ITEMS]
        return {str(k): HIDDEN if SECRET_KEY.search(str(k)) else _clean(v, most, depth + 1) for k, v in items}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, most, depth + 1) for item in list(value)[:MAX_ITEMS]]
    said = value if isinstance(value, str) else repr(value)
    text = without_secrets(said[: most + MAX_SECRET])
    return text if len(text) <= most else f"{text[:most]}... ({len(said)} characters)"
