"""A realm of a benchmark's own: `rayrealm up` with a generated realm.toml, its processes, and the proof that it is gone."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster.bench import processes
from cluster.bench.plan import APART_M, largest, side_of
from cluster.children import runs
from cluster.errors import Ours
from cluster.own_realm import own_realm
from cluster.settings import Settings
from cluster.trusting import trusted

MARK = "REALM_UNDER_TEST"  # inherited by every process; not RAYREALM_..., which would be a setting
ZONE = "zon_crowd"
ZONE_MARGIN_M = 2.0
STATUS_DEADLINE_S = 30.0
GONE_DEADLINE_S = 5.0
MUCH = "{ per_s = 100000.0, burst = 1000000 }"
LEFT_ALONE = frozenset({"ray", "other"})  # kinds of `status` that say less than the command line does


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the realm as `rayrealm status` tells it. `kind`: zone, sessions, presence, supervisor, gateway, web..."""

    kind: str
    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunningRealm:
    """`launcher`: the pid of `rayrealm up`; `environment`: what its commands need to find it."""

    url: str
    launcher: int
    environment: Mapping[str, str]

    def members(self) -> list[Member]:
        """Those that run. Raises Ours if `rayrealm status` fails."""
        return members(self.url, self.environment)

    def pids(self) -> dict[int, str]:
        """pid -> kind of all its processes."""
        mark = (MARK, self.environment[MARK])
        return processes.of_realm(self.launcher, mark) | told_kinds(self.members())


def members(url: str, environment: Mapping[str, str] | None = None) -> list[Member]:
    """Of the realm at `url`, on this machine. Raises Ours."""
    argv = [sys.executable, "-m", "cluster.cli.main", "status", "--json", "--url", url]
    env = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            argv, env=env, capture_output=True, text=True, timeout=STATUS_DEADLINE_S, check=True
        )
        listed: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
    except subprocess.CalledProcessError as error:
        raise Ours(f"rayrealm status: {error.stderr[-2000:].strip()}") from error
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise Ours(f"rayrealm status: {error}") from error
    return [Member(p["kind"], p["name"], p["pid"]) for p in listed if p.get("alive", True)]


def told_kinds(listed: list[Member]) -> dict[int, str]:
    return {member.pid: member.kind for member in listed if member.kind not in LEFT_ALONE}


@contextmanager
def realm_under_test(
    config: str, environment: Mapping[str, str] | None = None, *, gateways: int | None = None, tls: bool = False
) -> Iterator[RunningRealm]:
    """Start a realm with `config` as its realm.toml; at the end stop it, and see that nothing is left.

    It has state folder and marks of its own: other realms on the machine, and their commands, do not notice. Raises Ours when
    it does not start, and when a process outlived it (which is then killed). With `tls` this process trusts it, too.
    """
    with tempfile.TemporaryDirectory(prefix="rayrealm-bench-") as folder:
        toml = Path(folder) / "realm.toml"
        toml.write_text(config)
        env = {
            "RAYREALM_CONFIG": str(toml),
            "XDG_STATE_HOME": folder,
            MARK: secrets.token_hex(8),
            **(environment or {}),
        }
        mark = (MARK, env[MARK])
        mine = dict[psutil.Process, str]()
        count = gateways or Settings.model_fields["gateways"].default
        with own_realm(gateways=count, environment=env, tls=tls) as own, trusted(own.authority):
            realm = RunningRealm(own.url, own.launcher.pid, env)
            try:
                yield realm
            finally:
                mine = processes.handles(processes.of_realm(realm.launcher, mark))
        left = _left(mine, mark)
        if left:
            raise Ours(f"the realm left behind: {', '.join(left)}")


def _left(mine: Mapping[psutil.Process, str], mark: tuple[str, str]) -> list[str]:
    """What still runs of `mine`, or carries the mark, after a moment of grace; killed."""
    until = time.monotonic() + GONE_DEADLINE_S
    while alive := {p: kind for p, kind in mine.items() if runs(p)} | processes.handles(processes.marked(mark)):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [f"{kind} (pid {process.pid})" for process, kind in alive.items()]


def crowd_zones(zones: int) -> list[str]:
    """Their ids."""
    return [ZONE] if zones == 1 else [f"{ZONE}_{number}" for number in range(1, zones + 1)]


def crowd_config(clients: int, zones: int = 1) -> str:
    """Ground and room for a crowd, and no limit that it meets."""
    return crowd_ground(clients, zones) + limits(clients)


def crowd_ground(clients: int, zones: int = 1) -> str:
    """Zones as large as their share of `clients` needs, apart from each other, with room for all.

    The speed rule is the default one; its budget is large enough for one leap from the spawn point to where a client's walk
    begins. There is no game; the supervisor's policy is on, and sees nothing to do in so short a time.
    """
    side = side_of(largest(clients, zones)) + 2.0 * ZONE_MARGIN_M
    movement = Settings.model_fields["world"].default.movement
    budget = side * math.sqrt(2.0) / (movement.max_speed * movement.tolerance) + 1.0
    corners = [number * (side + APART_M) for number in range(zones)]
    grounds = "".join(
        f"""
[[world.zones]]
id = "{zone}"
name = "Crowd"
bounds = {{ min_x = {x!r}, min_z = 0.0, max_x = {x + side!r}, max_z = {side!r} }}
"""
        for zone, x in zip(crowd_zones(zones), corners, strict=True)
    )
    return f"""
[world]
spawn_zone = "{crowd_zones(zones)[0]}"
zone_capacity = {max(5_000, clients + 100)}
game = ""
{grounds}
[world.movement]
budget_s = {budget!r}
"""


def limits(clients: int) -> str:
    """Sections that let `clients` in at once from one address, and make their accounts cheap.

    The limits by address are on, so that what they cost is measured, and too high to be met.
    """
    return f"""
[firewall]
exempt = []
connections_per_address = {10 * clients + 1_000}
connects_per_address = {MUCH}
connects_in_all = {MUCH}
requests_per_address = {MUCH}

[limits]
address = {MUCH}

[login]
attempts_per_address = {MUCH}
registrations_per_address = {MUCH}

[gateway]
capacity = {max(4_000, clients + 100)}

[session]
per_user = 1000
sessions_per_actor = {max(5_000, clients + 100)}

[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
hashing_queue = 1000
"""
