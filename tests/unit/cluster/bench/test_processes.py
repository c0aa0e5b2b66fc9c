"""Which process is what, and what this very process costs."""

from __future__ import annotations

import os

import pytest

from cluster.bench import processes
from cluster.bench.processes import Memory, by_kind, kind_of


@pytest.mark.parametrize(
    ("cmdline", "kind"),
    [
        (["ray::ServeReplica:gateway:Gateway"], "gateway"),
        (["ray::ServeReplica:web:Web.handle_request"], "web"),
        (["ray::ServeController.listen"], "serve"),
        (["ray::HAProxyManager"], "serve"),
        (["ray::ZoneRunner.tick"], "zone"),
        (["ray::SessionsRunner"], "sessions"),
        (["ray::PresenceRunner"], "presence"),
        (["ray::WatchRunner"], "watch"),
        (["ray::SupervisorRunner"], "supervisor"),
        (["ray::WorldSupervisor"], "supervisor"),
        (["ray::IDLE"], "ray_other"),
        (["/x/ray/core/src/ray/raylet/raylet", "--raylet_socket_name=/tmp/s"], "raylet"),
        (["/x/ray/core/src/ray/gcs/gcs_server", "--port=1"], "gcs"),
        (["python", "-u", "/x/ray/dashboard/agent.py"], "dashboard"),
        (["python", "/x/ray/_private/log_monitor.py"], "ray_other"),
        (["/x/bin/haproxy", "-db", "-f", "/tmp/c"], "haproxy"),
        (["/x/bin/nats-server", "--config", "c"], "nats"),
        (["/x/valkey-server *:6379"], "valkey"),
        (["/x/valkey-server", "/tmp/c"], "valkey"),
        (["python", "-m", "cluster.cli.main", "up", "--port", "1"], "launcher"),
        (["/x/bin/python", "/x/bin/rayrealm", "up"], "launcher"),
        (["python", "-m", "cluster.cli.main", "bots", "--count", "5"], "bots"),
        (["bash"], "other"),
    ],
)
def test_kinds(cmdline: list[str], kind: str) -> None:
    assert kind_of(cmdline) == kind


def test_this_process_uses_time_and_memory() -> None:
    me = os.getpid()
    before = processes.cpu_s([me])[me]
    while processes.cpu_s([me])[me] < before + 0.02:
        sum(range(10_000))
    measured = processes.memory({me: "test"})
    assert measured["test"] == measured["all"]
    assert 1_000 < measured["all"].pss_kib <= measured["all"].rss_kib


def test_processes_that_have_ended_are_left_out() -> None:
    gone = 2**22 + 1  # above the kernel's largest pid
    assert processes.cpu_s([gone]) == {}
    assert processes.memory({gone: "zone"}) == {}
    assert processes.handles({gone: "zone"}) == {}


def test_sums() -> None:
    assert by_kind({1: 0.5, 2: 0.25, 3: 1.0}, {1: "zone", 2: "zone", 3: "nats"}) == {"zone": 0.75, "nats": 1.0}
    assert Memory(10.0, 6.0) - Memory(4.0, 5.0) == Memory(6.0, 1.0)
