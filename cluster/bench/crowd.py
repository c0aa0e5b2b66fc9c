"""Runs the crowd's load (`load.py`) in a process of its own against a realm, and brings back its report."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.bench import plan, processes
from cluster.bench.load import Job
from cluster.bench.realm_under_test import crowd_config, members, realm_under_test, told_kinds
from cluster.errors import Ours
from cluster.fate import tied
from cluster.world_settings import InterestSettings

LOAD_BASE_S = 180.0
LOAD_PER_CLIENT_S = 0.3
TAIL = 4_000


def run_crowd(
    clients: int,
    seconds: float,
    url: str | None = None,
    *,
    gateways: int | None = None,
    seed: int = plan.SEED,
    zones: int = 1,
    tls: bool = False,
) -> dict[str, Any]:
    """The report (see `report.py`). Without `url` in a realm of its own. `zones`: spread over so many, evenly. Raises Ours."""
    with contextlib.ExitStack() as stack:
        if url is None:
            realm = stack.enter_context(realm_under_test(crowd_config(clients, zones), gateways=gateways, tls=tls))
            return run_load(realm.url, clients, seconds, realm.pids(), seed=seed, zones=zones)
        return run_load(url, clients, seconds, pids_at(url), seed=seed, zones=zones)


def pids_at(url: str) -> dict[int, str]:
    """pid -> kind of the realm at `url` if it runs on this machine, else nothing."""
    try:
        listed = members(url)
    except Ours as problem:
        sys.stderr.write(f"no figures of the server's processes: {problem}\n")
        return {}
    launcher = next((member.pid for member in listed if member.kind == "launcher"), None)
    found = processes.of_realm(launcher) if launcher is not None else {}
    kinds = found | told_kinds(listed)
    return {pid: kind for pid, kind in kinds.items() if kind != "bots"}  # players, not the realm


def run_load(
    url: str,
    clients: int,
    seconds: float,
    pids: Mapping[int, str],
    *,
    seed: int = plan.SEED,
    hysteresis_m: float | None = None,
    zones: int = 1,
    by_second: bool = False,
) -> dict[str, Any]:
    """Every run makes accounts of its own: usernames begin with something random. Raises Ours.

    `by_second`: the report has a list `by_second` of (Unix time, deliveries, p99 in ms), too.
    """
    hysteresis = InterestSettings().hysteresis if hysteresis_m is None else hysteresis_m
    users, password = f"crowd-{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    job = Job(url, clients, seconds, seed, hysteresis, users, password, dict(pids), zones, by_second)
    with tempfile.TemporaryDirectory(prefix="rayrealm-load-") as folder:  # readable by this user alone
        job_file, result_file = Path(folder) / "job.json", Path(folder) / "result.json"
        job_file.write_text(json.dumps(asdict(job)))
        argv = [sys.executable, "-m", "cluster.bench.load", str(job_file), str(result_file)]
        deadline = LOAD_BASE_S + LOAD_PER_CLIENT_S * clients + seconds
        try:
            subprocess.run(  # noqa: S603 - our own program
                tied(argv, os.getpid()), stderr=subprocess.PIPE, text=True, timeout=deadline, check=True
            )
            result: dict[str, Any] = json.loads(result_file.read_text())
        except subprocess.CalledProcessError as error:
            raise Ours(f"the load failed:\n{error.stderr[-TAIL:]}") from error
        except subprocess.TimeoutExpired as error:
            raise Ours(f"the load did not end in {deadline:.0f} s") from error
    return result
