"""Structured logs (DESIGN, "Conventions"): one line an event, JSON unless a person watches, no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

MAX_TEXT = 2_000
MAX_TRACEBACK = 16_000
MAX_ITEMS = 50
MAX_DEPTH = 4

HIDDEN = "***"
SECRET_KEY = re.compile(r"token|passw|authorization|secret|refresh|cookie|private|credential|api_?key", re.IGNORECASE)
# Secrets inside texts: user and password of a URL, a token in a query, a JWT, a header's credentials.
SECRET_TEXT = re.compile(
    r"(?<=://)[^/@\s]+(?=@)"
    r"|(?<=token=)[^&\s\"']+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|(?<=\bbearer )[^\s\"']+",
    re.IGNORECASE,
)


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose events name it; `structlog.get_logger(name)` does the same. Usable before `configure`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _NamedLogger(structlog.WriteLogger):
    """Writes whole lines, each with one call."""

    def __init__(self, name: str, file: TextIO) -> None:
        super().__init__(file)
        self.name = name


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send the process's logs, the libraries' too, to `stream` (stderr). `level` as in the settings."""
    out = sys.stderr if stream is None else stream
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if out.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda name="", *_: _NamedLogger(name, out),
        cache_logger_on_first_use=True,
    )
    _adopt_library_logs(out, threshold, shared, renderer)


def _adopt_library_logs(out: TextIO, threshold: int, shared: list[Processor], renderer: Processor) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))


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
    text = SECRET_TEXT.sub(HIDDEN, value if isinstance(value, str) else repr(value))
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
