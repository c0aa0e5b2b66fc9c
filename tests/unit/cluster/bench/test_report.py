"""The JSON object: its names are a contract (DESIGN, "The commands"), its figures follow from what was counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cluster.bench.ledger import Ledger
from cluster.bench.plan import Expected, make
from cluster.bench.processes import Memory
from cluster.bench.report import Aftermath, Memories, Window, report, shortcomings

CONTRACT = {
    "clients", "moves_per_s", "deliveries_per_s", "expected_per_s", "p50_ms", "p95_ms", "p99_ms", "server_cpu_s_per_1k",
    "cpu_by_process", "rss_kib_per_connection", "bytes_per_delivery", "delivered_pct", "wrong", "missing", "ghosts",
    "beyond_radius_per_s", "zones", "places_pct", "load_core", "send_late_p99_ms", "frames_per_client_s",
}  # fmt: skip


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(np.zeros((2, 10, 2), np.float32), np.zeros((2, 10), np.uint16), 0.0, 0, 50.0)
    made.counts.deliveries, made.counts.beyond = 10_000, 50
    made.counts.frames, made.counts.wire_bytes = 1_000, 220_000
    made.counts.updates, made.counts.places = 10_200, 51
    made.latency[299] = 99
    made.latency[999] = 1
    return made


IDEAL = Expected(1_005.0, 15.0, 25.0, 48.0, 50.0)
WINDOW = Window(10.0, 1_000, {1: 1.0, 2: 0.5, 3: 0.5}, 0.5, 1.25)
PIDS = {1: "gateway", 2: "zone", 3: "zone"}
MEMORIES = Memories({"all": Memory(1_000.0, 500.0)}, {"all": Memory(1_400.0, 700.0)}, {"all": Memory(1_800.0, 900.0)})


def test_the_figures(ledger: Ledger) -> None:
    result = report(make(10, 10.0), IDEAL, ledger, WINDOW, MEMORIES, Aftermath(0, 0, 0), PIDS)
    assert result.keys() >= CONTRACT
    assert json.loads(json.dumps(result)) == result
    assert (result["moves_per_s"], result["deliveries_per_s"], result["delivered_pct"]) == (100.0, 1_000.0, 99.5)
    assert result["server_cpu_s_per_1k"] == 0.2
    assert result["cpu_by_process"] == {"gateway": 0.1, "zone": 0.1}
    assert (result["rss_kib_per_connection"], result["pss_kib_per_connection"]) == (40.0, 20.0)
    assert result["pss_kib_per_connection_after"] == 40.0
    assert (result["bytes_per_delivery"], result["frames_per_client_s"]) == (22.0, 10.0)
    assert (result["zones"], result["places_pct"]) == (1, 0.5)
    assert (result["p50_ms"], result["p99_ms"]) == (30.0, 30.0)
    assert (result["load_core"], result["send_late_p99_ms"], result["beyond_radius_per_s"]) == (0.05, 1.2, 5.0)
    assert shortcomings(result, alone=True) == []


def test_elsewhere_there_are_no_processes(ledger: Ledger) -> None:
    window = Window(10.0, 1_000, {}, 0.5, 1.0)
    result = report(make(10, 10.0), IDEAL, ledger, window, None, Aftermath(0, 0, 0), {})
    assert result["server_cpu_s_per_1k"] is None
    assert result["rss_kib_per_connection"] is None
    assert result["cpu_by_process"] == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"delivered_pct": 98.9}, "delivered 98.9 %"),
        ({"wrong": 1}, "wrong: 1"),
        ({"missing": 2}, "missing: 2"),
        ({"ghosts": 3}, "ghosts: 3"),
        ({"disconnected": 4}, "disconnected: 4"),
        ({"corrections": 5}, "corrections: 5"),
        ({"foreign": 6}, "foreign: 6"),
    ],
)
def test_what_makes_a_run_fall_short(ledger: Ledger, change: dict[str, float], words: str) -> None:
    result = report(make(10, 10.0), IDEAL, ledger, WINDOW, MEMORIES, Aftermath(0, 0, 0), PIDS) | change
    assert [words in problem for problem in shortcomings(result, alone=True)] == [True]


def test_others_are_welcome_in_a_realm_that_is_not_ours(ledger: Ledger) -> None:
    result = report(make(10, 10.0), IDEAL, ledger, WINDOW, MEMORIES, Aftermath(0, 0, 0), PIDS)
    assert shortcomings(result | {"foreign": 6}, alone=False) == []
