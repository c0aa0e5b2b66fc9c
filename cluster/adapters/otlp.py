"""Spans by OpenTelemetry's SDK, sent as OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp) by a thread of its own.

Nobody waits for the collector. What does not fit the queue, or cannot be sent within the deadline, is dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from cluster.errors import Theirs
from cluster.operator_settings import TracingSettings
from cluster.telemetry.counts import SPANS
from cluster.telemetry.tracing import Kind, Value, ids
from cluster.version import VERSION

PATH = "/v1/traces"
SEND_S = 3.0  # one batch, with its repetitions
EVERY_S = 1.0
AT_ONCE = 256
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.CONSUMER: SpanKind.CONSUMER,
}

log = structlog.get_logger(__name__)


class OpenSpan:
    """Implements `cluster.telemetry.tracing.Open`."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Any) -> None:
        context = span.get_span_context()
        self._span = span
        self.traceparent = f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-01"

    def end(self, error: BaseException | None) -> None:
        """What the caller did wrong is no failure of ours."""
        if error is not None:
            self._span.set_attribute("error.type", getattr(error, "reason", "") or type(error).__name__)
            if not isinstance(error, Theirs):
                self._span.set_status(StatusCode.ERROR)
        self._span.end()


class OtlpSpans:
    """Implements `cluster.telemetry.tracing.Spans` for one process. `exporter`: for tests."""

    def __init__(
        self,
        settings: TracingSettings,
        realm: str,
        kind: str,
        name: str,
        node: str,
        exporter: SpanExporter | None = None,
    ) -> None:
        # Its own words on each failed attempt would be more than what there is to say: _Counting says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        about = {
            "service.namespace": realm,
            "service.name": f"rayrealm-{kind}",
            "service.instance.id": name,
            "service.version": VERSION,
            "host.id": node,
        }
        self._sender = exporter or OTLPSpanExporter(
            endpoint=settings.otlp.rstrip("/") + PATH,
            headers={key: value.get_secret_value() for key, value in settings.headers.items()},
            timeout=SEND_S,
            compression=Compression.Gzip,
        )
        self._counting = _Counting(self._sender)
        self._provider = TracerProvider(ALWAYS_ON, Resource(about), shutdown_on_exit=False)
        self._provider.add_span_processor(
            _CountingProcessor(
                self._counting,
                max_queue_size=settings.queue,
                schedule_delay_millis=EVERY_S * 1_000,
                max_export_batch_size=min(AT_ONCE, settings.queue),
            )
        )
        self._tracer = self._provider.get_tracer("rayrealm", VERSION)
        self._process = name

    def begin(self, name: str, kind: Kind, parent: str, values: Mapping[str, Value]) -> OpenSpan:
        above = None
        if parent:
            trace_id, span_id = ids(parent)
            context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=SAMPLED)
            above = set_span_in_context(NonRecordingSpan(context))
        return OpenSpan(self._tracer.start_span(name, above, KINDS[kind], dict(values)))

    def flush(self) -> None:
        """Send what waits. Blocks for SEND_S or so a batch."""
        self._provider.force_flush()

    def close(self, deadline_s: float = SEND_S) -> None:
        """Send what waits, in `deadline_s` at most, and end. Does not block for longer than that."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(deadline_s)


class _CountingProcessor(BatchSpanProcessor):
    """Counts what its queue did not take. It has the queue's own word for that: the newest replaces the oldest."""

    def __init__(self, exporter: SpanExporter, *, max_queue_size: int, **rest: Any) -> None:
        super().__init__(exporter, max_queue_size=max_queue_size, **rest)
        self._most = max_queue_size

    def on_end(self, span: ReadableSpan) -> None:
        SPANS.add("ended")
        if len(self._batch_processor._queue) >= self._most:
            SPANS.add("dropped")
        super().on_end(span)

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Nothing is done for a span that has only begun."""


class _Counting(SpanExporter):
    """Counts what was sent and what was not, and says once when the collector goes away or is back."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # whatever it is: spans are not worth a thread's end
            log.debug("span_export_raised", error=repr(error))
            result = SpanExportResult.FAILURE
        sent = result is SpanExportResult.SUCCESS
        SPANS.add("sent" if sent else "failed", len(spans))
        if sent and self._away:
            log.info("collector_back")
        elif not sent and not self._away:
            log.warning("collector_away", spans=len(spans))
        self._away = not sent
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
