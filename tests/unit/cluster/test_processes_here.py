from __future__ import annotations

import json
import os
import time

import pytest

from cluster.processes_here import Process, Seen, merged, outside, tree

NODE = "host-a"
LAUNCHER = Seen(10, "rayrealm", 100.0)


def entry(pid: int, node: str = NODE, started_at: float = 105.0, kind: str = "zone") -> str:
    return json.dumps({"kind": kind, "name": "n", "pid": pid, "node": node, "started_at": started_at})


def by_pid(registered: dict[str, str], *seen: Seen) -> dict[int, Process]:
    return {process.pid: process for process in merged(registered, (LAUNCHER, *seen), NODE, LAUNCHER.pid)}


def test_registered_and_seen_is_one_process() -> None:
    found = by_pid({"n": entry(20)}, Seen(20, "ray::ZoneActor", 104.0))
    assert set(found) == {10, 20}
    assert found[20] == Process("zone", "n", 20, NODE, True)
    assert found[10].kind == "launcher"


def test_registered_and_gone() -> None:
    assert by_pid({"n": entry(20)})[20].alive is False


def test_the_pid_belongs_to_another_process_now() -> None:
    found = merged({"n": entry(20, started_at=105.0)}, [LAUNCHER, Seen(20, "raylet", 400.0)], NODE, 10)
    assert [(p.kind, p.alive) for p in found if p.pid == 20] == [("ray", True), ("zone", False)]


def test_another_node_cannot_be_seen() -> None:
    found = merged({"n": entry(10, node="host-b")}, [LAUNCHER], NODE, 10)
    assert [(p.kind, p.node, p.alive) for p in found] == [("launcher", NODE, True), ("zone", "host-b", None)]


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("valkey-server", "valkey"),
        ("nats-server", "nats"),
        ("haproxy", "haproxy"),
        ("bots", "bots"),
        ("raylet", "ray"),
        ("ray::ServeController", "ray"),
    ],
)
def test_kinds_that_register_nowhere(title: str, kind: str) -> None:
    assert by_pid({}, Seen(30, title, 101.0))[30].kind == kind


def test_order_and_json() -> None:
    found = merged({"b": entry(21), "a": entry(20)}, [LAUNCHER, Seen(20, "x", 1.0), Seen(21, "x", 1.0)], NODE, 10)
    assert [process.kind for process in found] == ["launcher", "zone", "zone"]
    assert json.loads(json.dumps(found[0].as_dict())) == {
        "kind": "launcher",
        "name": "rayrealm",
        "pid": 10,
        "node": NODE,
        "alive": True,
    }


def test_tree_of_this_process() -> None:
    assert os.getpid() in {process.pid for process in tree(os.getpid())}


def test_a_launcher_that_joined_a_ray_is_nobodys_parent_there() -> None:
    now = time.time()
    (found,) = outside({"n": entry(os.getpid(), started_at=now)}, [LAUNCHER], NODE)
    assert found.pid == os.getpid()
    assert outside({"n": entry(os.getpid(), "host-b", now)}, [LAUNCHER], NODE) == []
    assert outside({"n": entry(os.getpid(), started_at=now)}, [Seen(os.getpid(), "python", 1.0)], NODE) == []


def test_what_is_not_there_any_more_is_not_taken_for_it() -> None:
    """Its pid was given to another process, or to none."""
    assert outside({"n": entry(os.getpid(), started_at=105.0)}, [], NODE) == []
    assert outside({"n": entry(2**22 + 1, started_at=time.time())}, [], NODE) == []
