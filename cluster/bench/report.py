"""What the crowd's load reports: one JSON object (DESIGN, "The commands")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.bench.ledger import Ledger
from cluster.bench.plan import Expected, Plan
from cluster.bench.processes import Memory, by_kind

MIN_DELIVERED_PCT = 99.0


@dataclass(frozen=True, slots=True)
class Window:
    """The measuring window as the load saw it. `server_cpu_s`: by pid; `late_p99_ms`: of the load's own sends."""

    seconds: float
    moves: int
    server_cpu_s: Mapping[int, float]
    load_cpu_s: float
    late_p99_ms: float


@dataclass(frozen=True, slots=True)
class Memories:
    """Of the realm's processes by kind: before the first socket, with all of them at rest, and after the walk."""

    before: Mapping[str, Memory]
    joined: Mapping[str, Memory]
    walked: Mapping[str, Memory]

    def per_connection(self, connections: int, *, walked: bool = False) -> Memory:
        grown = (self.walked if walked else self.joined)["all"] - self.before["all"]
        return Memory(grown.rss_kib / connections, grown.pss_kib / connections)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`lost`: sockets that the server closed; the rest is Ledger.missing_and_ghosts."""

    lost: int
    missing: int
    ghosts: int


def report(
    plan: Plan,
    ideal: Expected,
    ledger: Ledger,
    window: Window,
    memories: Memories | None,
    after: Aftermath,
    pids: Mapping[int, str],
) -> dict[str, Any]:
    """Numbers are rounded to what they can mean. What needs the server's processes is null where those are elsewhere.

    `server_cpu_s_per_1k`: core-seconds for 1,000 deliveries, all processes; `cpu_by_process`: cores;
    `bytes_per_delivery`: all frames towards clients with their headers, by deliveries; `places_pct`: of all rows, those that were
    whole places; `rss_...`, `pss_kib_per_connection`: growth of
    the sum over all processes from before the first socket to all joined and at rest.
    """
    n, counts, seconds = plan.clients, ledger.counts, window.seconds
    cpu = sum(window.server_cpu_s.values())
    joined = memories.per_connection(n) if memories else None
    walked = memories.per_connection(n, walked=True) if memories else None
    delivered = counts.deliveries / seconds
    return {
        "clients": n,
        "zones": plan.zones,
        "seconds": _round(seconds, 3),
        "moves_per_s": _round(window.moves / seconds, 1),
        "deliveries_per_s": _round(delivered, 1),
        "expected_per_s": _round(ideal.deliveries_per_s, 1),
        "delivered_pct": _round(100.0 * delivered / ideal.deliveries_per_s, 2),
        "p50_ms": _round(ledger.percentile_ms(50), 1),
        "p95_ms": _round(ledger.percentile_ms(95), 1),
        "p99_ms": _round(ledger.percentile_ms(99), 1),
        "ideal_p99_ms": _round(ideal.p99_ms, 1),
        "server_cpu_s_per_1k": _round(cpu / counts.deliveries * 1_000, 5) if pids and counts.deliveries else None,
        "server_cores": _round(cpu / seconds, 3) if pids else None,
        "cpu_by_process": {
            kind: _round(used / seconds, 4) for kind, used in sorted(by_kind(window.server_cpu_s, pids).items())
        },
        "rss_kib_per_connection": _round(joined.rss_kib, 1) if joined else None,
        "pss_kib_per_connection": _round(joined.pss_kib, 1) if joined else None,
        "pss_kib_per_connection_after": _round(walked.pss_kib, 1) if walked else None,
        "bytes_per_delivery": _round(counts.wire_bytes / max(1, counts.deliveries), 2),
        "places_pct": _round(100.0 * counts.places / max(1, counts.updates), 2),
        "frames_per_client_s": _round(counts.frames / n / seconds, 2),
        "beyond_radius_per_s": _round(counts.beyond / seconds, 1),
        "wrong": ledger.faults.wrong,
        "wrong_examples": ledger.faults.examples,
        "foreign": ledger.faults.foreign,
        "corrections": ledger.faults.corrections,
        "missing": after.missing,
        "ghosts": after.ghosts,
        "disconnected": after.lost,
        "mean_neighbours": _round(ideal.mean_neighbours, 1),
        "load_core": _round(window.load_cpu_s / seconds, 3),
        "send_late_p99_ms": _round(window.late_p99_ms, 1),
    }


def shortcomings(result: Mapping[str, Any], *, alone: bool) -> list[str]:
    """Why a run does not count; empty if it does. `alone`: nobody else was in that realm."""
    wanted = ["wrong", "missing", "ghosts", "disconnected", "corrections"] + (["foreign"] if alone else [])
    problems = [f"{name}: {result[name]}" for name in wanted if result[name]]
    if result["delivered_pct"] < MIN_DELIVERED_PCT:
        problems.append(f"delivered {result['delivered_pct']} % of what was expected")
    return problems


def _round(value: float, digits: int) -> float:
    return round(float(value), digits)
