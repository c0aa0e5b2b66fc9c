"""What one process, the web one, measures for the whole realm (row 5.4): Redis from inside, fencing, the edge's certificate.

Values are of the last look: a scrape waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from prometheus_client import CollectorRegistry

from cluster.telemetry.collectors import CounterSource, CountsCollector, GaugeSource

# Field of INFO -> name and meaning.
GAUGES = {
    "used_memory": ("rayrealm_redis_memory_bytes", "Memory of Redis"),
    "maxmemory": ("rayrealm_redis_memory_limit_bytes", "Memory that Redis may use; 0: all there is"),
    "connected_clients": ("rayrealm_redis_clients", "Connections to Redis"),
    "maxclients": ("rayrealm_redis_clients_limit", "Connections that Redis takes"),
}
COUNTERS = {
    "total_commands_processed": ("rayrealm_redis_commands_total", "Commands that Redis carried out"),
    "evicted_keys": (
        "rayrealm_redis_evicted_keys_total",
        "Keys that Redis threw away to save memory: data of the realm",
    ),
    "rejected_connections": ("rayrealm_redis_rejected_connections_total", "Connections that Redis refused"),
}
FENCED = ("zone", "sessions", "presence", "supervisor")  # kinds of processes that own something
SAVING = ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")


@dataclass(slots=True)
class Vitals:
    """As of the last look. `info`: numbers of Redis's INFO; `certificate_ends`: Unix seconds, None without TLS of the realm's."""

    redis_up: bool = False
    saving: bool = False
    info: Mapping[str, float] = field(default_factory=dict)
    fenced: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(FENCED, 0))
    certificate_ends: float | None = None

    def look(self, info: Mapping[str, Any], fenced: Mapping[str, int]) -> Self:
        """Redis has answered."""
        known = (*GAUGES, *COUNTERS)
        self.info = {name: float(info[name]) for name in known if isinstance(info.get(name), int | float)}
        self.saving = all(info.get(name, "ok") == "ok" for name in SAVING)
        self.fenced, self.redis_up = {**dict.fromkeys(FENCED, 0), **fenced}, True
        return self


def watch_vitals(registry: CollectorRegistry, vitals: Vitals) -> None:
    """Add them to the process's metrics. What is not known has no value."""

    def of(name: str) -> Callable[[], float | None]:
        return lambda: vitals.info.get(name)

    sources: list[GaugeSource | CounterSource] = [
        GaugeSource("rayrealm_redis_up", "Whether Redis has answered", lambda: float(vitals.redis_up)),
        GaugeSource(
            "rayrealm_redis_saving", "Whether Redis could write its data to disk", lambda: float(vitals.saving)
        ),
        CounterSource(
            "rayrealm_epoch_refusals_total",
            "What an older incarnation said or wanted to write, and was refused (fencing)",
            lambda: vitals.fenced,
            "kind",
        ),
        GaugeSource(
            "rayrealm_edge_certificate_ends_seconds",
            "When the edge's certificate ends, Unix time",
            lambda: vitals.certificate_ends,
        ),
    ]
    sources += [GaugeSource(name, text, of(info)) for info, (name, text) in GAUGES.items()]
    sources += [CounterSource(name, text, of(info)) for info, (name, text) in COUNTERS.items()]
    registry.register(CountsCollector(sources))
