"""A collector of traces for tests: OTLP over real HTTP, protobuf as it comes."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATH = "/v1/traces"


@dataclass(frozen=True)
class Told:
    """A span. Ids in hex; `parent` is "" for a root; `values` and `about` (of its process) as texts."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    values: dict[str, str]
    about: dict[str, str]
    failed: bool


class Collector:
    """`url` is what the setting says. `answer`: the status that it answers with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer = 200
        self.authorization: list[str] = []
        self._spans: list[Told] = []
        self._came = threading.Condition()

    def took(self, body: bytes, authorization: str) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.authorization.append(authorization)
            for resource in request.resource_spans:
                about = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [
                        Told(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            span.kind,
                            {a.key: a.value.string_value or str(a.value.int_value) for a in span.attributes},
                            about,
                            span.status.code == 2,
                        )
                        for span in scope.spans
                    ]
            self._came.notify_all()

    def spans(self, trace: str = "") -> list[Told]:
        with self._came:
            return [span for span in self._spans if trace in ("", span.trace)]


@contextmanager
def collector() -> Iterator[Collector]:
    """Runs in a thread, so that a test that blocks its loop does not block it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["Content-Type"] == "application/x-protobuf"
            status = made.answer if self.path == PATH else 404
            if status == 200:
                made.took(body, self.headers.get("Authorization", ""))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Tests say themselves what is wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
