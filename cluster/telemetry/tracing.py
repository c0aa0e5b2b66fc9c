"""Distributed traces (row 4.4): W3C Trace Context, from a client's request through every process that has part in it.

A context is passed on as text, a `traceparent` (https://www.w3.org/TR/trace-context/): in requests of clients, in headers of the
bus, with what is kept in logs, and with calls of actors. Only what is sampled has one. So where nothing is sampled, tracing costs a
look at an empty text.

What makes spans and sends them is told by `use`: cluster/adapters/otlp.py. Without it contexts are passed on as they came.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from enum import Enum
from typing import Any, Protocol

from cluster.operator_settings import TracingSettings
from cluster.token_bucket import Bucket

HEADER = "traceparent"
# Version, trace id, span id and flags; a later version may say more behind them.
FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
SAMPLED = 0x01
MOST_AT_ONCE = 8  # traces of which the same work is part: batches are told in so many of them

Value = str | int | float | bool


class Kind(Enum):
    """As OpenTelemetry has them."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Open(Protocol):
    """A span that has begun."""

    @property
    def traceparent(self) -> str: ...

    def end(self, error: BaseException | None) -> None: ...


class Spans(Protocol):
    """`parent` is a traceparent, "" for a new trace."""

    def begin(self, name: str, kind: Kind, parent: str, values: Mapping[str, Value]) -> Open: ...


_spans: Spans | None = None
_here: ContextVar[str] = ContextVar("traceparent", default="")


def use(spans: Spans | None) -> None:
    """For the whole process: who makes spans. None: nobody."""
    global _spans
    _spans = spans


def on() -> bool:
    """Whether spans are made."""
    return _spans is not None


def here() -> str:
    """The context of what is being done, "" when it is not traced."""
    return _here.get()


def headers() -> dict[str, str] | None:
    """For a message of the bus."""
    trace = _here.get()
    return {HEADER: trace} if trace else None


def parse(traceparent: str) -> tuple[str, str, bool] | None:
    """Trace id, span id, and whether it is sampled; None for what is no context (section 3.2 of the standard)."""
    found = FORM.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return trace_id, span_id, bool(int(flags, 16) & SAMPLED)


def ids(traceparent: str) -> tuple[str, str]:
    """Trace id and span id of a context that this process has made or judged."""
    _, trace_id, span_id, _ = traceparent.split("-", 3)
    return trace_id, span_id


def told(header: str) -> str:
    """A context that another process of the realm told; "" for anything else than a sampled one."""
    found = parse(header) if header else None
    return header if found is not None and found[2] else ""


@contextmanager
def span(name: str, kind: Kind = Kind.INTERNAL, parent: str | None = None, **values: Value) -> Iterator[str]:
    """A span, its context for whatever is done inside. None: of what is being done here; "" does nothing.

    `values` are for operators: names and counts, never what users say.
    """
    above = _here.get() if parent is None else parent
    if not above:
        yield ""
        return
    with _begun(name, kind, above, values) as context:
        yield context


@contextmanager
def root(name: str, kind: Kind, parent: str, **values: Value) -> Iterator[str]:
    """As `span`, but "" begins a new trace."""
    with _begun(name, kind, parent, values) as context:
        yield context


@contextmanager
def spans(name: str, kind: Kind, parents: Iterable[str], **values: Value) -> Iterator[list[str]]:
    """The same work in several traces: a span in each, MOST_AT_ONCE at most, and what is done inside belongs to the first.

    Gives the new contexts, in order; those beyond are as they were.
    """
    made: list[str] = []
    with ExitStack() as stack:
        for parent in parents:
            begin = parent and len(made) < MOST_AT_ONCE
            made.append(stack.enter_context(_begun(name, kind, parent, values)) if begin else parent)
        token = _here.set(made[0]) if made else None
        try:
            yield made
        finally:
            if token is not None:
                _here.reset(token)


@contextmanager
def _begun(name: str, kind: Kind, parent: str, values: Mapping[str, Value]) -> Iterator[str]:
    begun = _spans.begin(name, kind, parent, values) if _spans is not None else None
    context = parent if begun is None else begun.traceparent
    token = _here.set(context)
    error: BaseException | None = None
    try:
        yield context
    except BaseException as raised:
        error = raised
        raise
    finally:
        _here.reset(token)
        if begun is not None:
            begun.end(error)


class Sampling:
    """Which requests of a gateway's clients are traced. `clock`: monotonic seconds.

    Of those without a context, a share; one whose context says that it is sampled is, but only so many a second: a client must not
    be able to have everything traced.
    """

    def __init__(self, settings: TracingSettings, clock: Callable[[], float], rng: random.Random) -> None:
        self.forced = 0
        self.refused = 0
        self._ratio = settings.ratio
        self._clock = clock
        self._random = rng.random
        self._bucket = Bucket(settings.forced_per_s, max(1, round(settings.forced_per_s)))

    def parent(self, offered: str) -> str | None:
        """None: it is not traced. "": it begins a trace. Else the client's context, which it is part of."""
        if not offered:
            return "" if self._random() < self._ratio else None
        found = parse(offered)
        if found is None or not found[2]:
            return None
        if self._bucket.take(self._clock()):
            self.refused += 1
            return None
        self.forced += 1
        return offered


class Traced:
    """Of actors: calls that are part of a trace come through here (cluster/adapters/ray_calls.py)."""

    async def traced(self, trace: str, method: str, *args: Any) -> Any:
        """The method's answer. `trace`: the caller's context."""
        with span(f"{type(self).__name__.removesuffix('Runner').lower()}.{method}", Kind.SERVER, told(trace)):
            result = getattr(self, method)(*args)
            return await result if inspect.isawaitable(result) else result
