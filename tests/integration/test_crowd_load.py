"""The crowd's load as the process that it is, against a server that does nothing but tell everyone of everyone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from cluster.bench import processes
from cluster.bench.crowd import run_load
from cluster.bench.plan import largest, side_of
from cluster.bench.realm_under_test import _left
from cluster.errors import Ours
from cluster.fate import tied

CLIENTS = 30
MARK = ("REALM_UNDER_TEST", f"test-{os.getpid()}")


@pytest.fixture(params=[1, 3], ids=["one zone", "three zones"])
def zones(request: pytest.FixtureRequest) -> int:
    made: int = request.param
    return made


@pytest.fixture
def server(zones: int) -> Iterator[tuple[str, int]]:
    """Address and pid."""
    side = side_of(largest(CLIENTS, zones)) + 1.0
    argv = [sys.executable, "-m", "tests.integration.fake_crowd", str(side), str(zones)]
    process = subprocess.Popen(tied(argv, os.getpid()), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.kill()
        process.communicate()


def test_every_update_is_told_from_a_lie(server: tuple[str, int], zones: int) -> None:
    """How much arrives in time depends on the machine; that nothing is wrong, missing or of another world does not."""
    url, pid = server
    result = run_load(url, CLIENTS, 1.0, {pid: "gateway"}, zones=zones)
    bad = ("wrong", "missing", "ghosts", "foreign", "disconnected", "corrections")
    assert {name: result[name] for name in bad} == dict.fromkeys(bad, 0)
    assert 0.0 < result["delivered_pct"] < 150.0  # what was late before the second began comes in it
    assert 0.0 < result["p50_ms"] <= result["p95_ms"] <= result["p99_ms"]
    assert result["server_cpu_s_per_1k"] > 0.0
    assert set(result["cpu_by_process"]) == {"gateway"}
    assert 8.0 < result["bytes_per_delivery"] < 40.0
    assert 0.0 < result["places_pct"] < 50.0
    assert result["zones"] == zones
    assert result["load_core"] > 0.0


def test_a_load_that_fails_says_why() -> None:
    with pytest.raises(Ours, match="needs at least 2 clients"):
        run_load("http://127.0.0.1:9/", 1, 1.0, {})


def test_a_process_is_found_by_its_parent_its_session_and_its_mark() -> None:
    """A shell that starts one child in its session, and one that leaves it and loses its parent."""
    script = "sleep 60 & setsid sh -c 'sleep 60 & echo $!' & wait $!; echo done; exec sleep 60"
    shell = subprocess.Popen(
        ["sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, MARK[0]: MARK[1]},
    )
    assert shell.stdout is not None
    orphan = int(shell.stdout.readline())
    assert shell.stdout.readline() == "done\n"
    found = processes.of_realm(shell.pid, MARK)
    assert len(found) == 3
    assert {shell.pid, orphan} <= set(found)
    assert set(processes.of_realm(shell.pid)) == set(found) - {orphan}
    assert set(processes.marked(MARK)) == set(found)
    handles = processes.handles(found)
    left = _left(handles, MARK)
    assert len(left) == 3
    shell.communicate()
    gone, alive = psutil.wait_procs(list(handles), timeout=5.0)
    assert (len(gone), alive) == (3, [])
    assert processes.marked(MARK) == {}
    assert _left(handles, MARK) == []
