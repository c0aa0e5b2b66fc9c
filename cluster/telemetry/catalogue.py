"""All metrics of the realm by kind of process, as they would be in a running one: for the reference, and for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.registry import Collector

from cluster.telemetry.collectors import CounterSource, CountsCollector, HistogramSource
from cluster.telemetry.console_metrics import ConsoleMetrics
from cluster.telemetry.counts import BusCounts
from cluster.telemetry.event_metrics import EventCounts, watch_events
from cluster.telemetry.gateway_metrics import GatewayMetrics
from cluster.telemetry.login_metrics import LoginMetrics
from cluster.telemetry.metrics import PresenceMetrics, SessionMetrics, SupervisorMetrics, WebMetrics, watch_bus
from cluster.telemetry.realm_metrics import Vitals, watch_vitals
from cluster.telemetry.watch_metrics import WatchMetrics
from cluster.telemetry.zone_metrics import ZoneMetrics

EVERY = "every process"
EDGE = "rayrealm_edge_refused_total"  # of cluster/edge/counted.py, which no layer above it may import


@dataclass(frozen=True, slots=True)
class Described:
    """`kind`: counter, gauge or histogram. `name` is that of the family, with `_total` for counters. `of`: kinds of processes."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    of: tuple[str, ...]


@dataclass
class _Bus:
    counts: BusCounts
    connected: bool = True
    pending_bytes: int = 0


def catalogue() -> list[Described]:
    """Sorted by name. What all kinds of processes have is of `every process`."""
    found: dict[str, Described] = {}
    registries = _registries()
    for of, registry in registries.items():
        for one in _families(registry, of):
            known = found.get(one.name)
            found[one.name] = one if known is None else _both(known, of)
    edge = Described(EDGE, "counter", ("reason",), "Requests refused by HAProxy itself", ("web",))
    found[edge.name] = edge
    return [
        Described(one.name, one.kind, one.labels, one.help, (EVERY,)) if len(one.of) == len(registries) else one
        for _, one in sorted(found.items())
    ]


def _both(known: Described, of: str) -> Described:
    return known if of in known.of else Described(known.name, known.kind, known.labels, known.help, (*known.of, of))


def _registries() -> dict[str, CollectorRegistry]:
    """Nothing is read, so what is watched need not be there."""
    nothing = cast(Any, None)
    gateway = GatewayMetrics((), ())
    gateway.watch_hub(nothing)
    gateway.watch_limits(nothing, nothing, nothing)
    gateway.watch_reports(nothing)
    gateway.watch_zones(nothing)
    gateway.watch_reliable(nothing, nothing)
    zone = ZoneMetrics("")
    zone.watch(nothing, nothing)
    zone.watch_calls(nothing)
    zone.watch_game(nothing)
    watch_events(zone.registry, EventCounts(), nothing)
    sessions = SessionMetrics("")
    sessions.watch(nothing)
    sessions.watch_lane(nothing, nothing)
    presence = PresenceMetrics("")
    presence.watch(nothing)
    watch_events(presence.registry, EventCounts(), nothing)
    supervisor = SupervisorMetrics()
    supervisor.watch(nothing, nothing, nothing, nothing)
    watch = WatchMetrics()
    watch.watch(nothing, nothing)
    console = ConsoleMetrics()
    console.watch(nothing, nothing)
    web = WebMetrics(())
    LoginMetrics(web.registry)
    watch_vitals(web.registry, Vitals())
    made = {
        "gateway": gateway,
        "zone": zone,
        "sessions": sessions,
        "presence": presence,
        "supervisor": supervisor,
        "watch": watch,
        "web": web,
        "console": console,
    }
    for metrics in made.values():
        watch_bus(metrics.registry, _Bus(BusCounts()))
    return {of: metrics.registry for of, metrics in made.items()}


def _families(registry: CollectorRegistry, of: str) -> Iterator[Described]:
    for collector in list(registry._collector_to_names):
        yield from _described(collector, of)


def _described(collector: Collector, of: str) -> Iterator[Described]:
    if isinstance(collector, CountsCollector):
        for source in collector.sources:
            kind = (
                "counter"
                if isinstance(source, CounterSource)
                else "histogram"
                if isinstance(source, HistogramSource)
                else "gauge"
            )
            yield Described(_full(source.name, kind), kind, tuple(source.label_names()), source.help, (of,))
    elif isinstance(collector, Counter | Histogram):
        kind = collector._type
        labels = tuple(collector._labelnames)
        yield Described(_full(collector._name, kind), kind, labels, collector._documentation, (of,))
    else:
        for family in collector.collect():
            yield Described(_full(family.name, family.type), family.type, (), family.documentation, (of,))


def _full(name: str, kind: str) -> str:
    return f"{name.removesuffix('_total')}_total" if kind == "counter" else name
