"""`/metrics` for a whole realm: every process answers a question on the bus, whoever is asked puts it together.

Nothing needs to know which processes there are, and those behind a proxy or on other nodes are reached as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from cluster.ports.bus import Bus, Subscription
from cluster.subjects import Subjects
from cluster.telemetry.merge import merge
from cluster.telemetry.metrics import WatchedBus, watch_bus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ALONE_S = 5.0  # an event loop may stand still while a zone starts; Prometheus waits for 10

log = structlog.get_logger(__name__)


class CountingBus(Bus, WatchedBus, Protocol):
    """A bus that counts."""


async def serve_metrics(
    bus: CountingBus, subjects: Subjects, registry: CollectorRegistry, process: str
) -> Subscription:
    """Answer with the registry's metrics and the bus's, as `process` (one line of text). Once for a registry.

    Who asks all gets the name first, who asks this process alone the page.
    """
    watch_bus(registry, bus)
    name = process.replace("\n", " ").encode()

    async def answer(_request: bytes) -> bytes:
        return name + b"\n" + generate_latest(registry)

    async def answer_alone(_request: bytes) -> bytes:
        return generate_latest(registry)

    alone = await bus.respond(subjects.metrics_of(process), answer_alone)
    return _Both(alone, await bus.respond(subjects.metrics(), answer))


@dataclass(frozen=True, slots=True)
class _Both:
    """Two subscriptions as one."""

    one: Subscription
    other: Subscription

    async def unsubscribe(self) -> None:
        await self.one.unsubscribe()
        await self.other.unsubscribe()


async def collect_one(bus: Bus, subjects: Subjects, process: str, timeout_s: float = ALONE_S) -> bytes:
    """The page of one process, without a label `process`. Raises Unavailable: nobody of that name answers in time."""
    return await bus.request(subjects.metrics_of(process), b"", timeout_s)


async def collect(bus: Bus, subjects: Subjects, timeout_s: float = 0.5, limit: int = 256) -> bytes:
    """The page of all processes that answer within `timeout_s`, `limit` at most; CONTENT_TYPE is its type."""
    answers = await bus.gather(subjects.metrics(), b"", timeout_s, limit)
    return assemble(answers)


def assemble(answers: list[bytes]) -> bytes:
    """The page from the answers of `serve_metrics`. One that cannot be read is left out, logged and counted."""
    pages: list[tuple[str, str]] = []
    for data in answers:
        process, _, page = data.decode(errors="replace").partition("\n")
        try:
            merge([(process, page)])
        except ValueError as error:
            log.warning("metrics_unreadable", process=process, error=str(error))
        else:
            pages.append((process, page))
    said = {
        "rayrealm_processes_answered": ("Processes whose metrics are on this page", len(pages)),
        "rayrealm_processes_unreadable": ("Processes whose answer could not be read", len(answers) - len(pages)),
    }
    extra = "".join(f"# HELP {n} {text}\n# TYPE {n} gauge\n{n} {value}\n" for n, (text, value) in said.items())
    return merge(pages, extra).encode()
