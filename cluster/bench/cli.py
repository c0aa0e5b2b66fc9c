"""What `rayrealm bench` calls: each prints its result on standard output and returns the exit code.

0: done; 1: fell short, which standard error explains. A realm or a load that fails raises (cluster.errors, rayrealm_client.errors).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from cluster.bench.crowd import run_crowd
from cluster.bench.idle import run_idle
from cluster.bench.kills import KINDS, run_kills
from cluster.bench.report import shortcomings

MAX_IDLE_KIB = 100.0


def bench_crowd(
    clients: int, seconds: float, url: str | None = None, as_json: bool = False, gateways: int | None = None
) -> int:
    """The crowd benchmark (row 7.10). `url` None: in a realm of its own, with `gateways` gateways."""
    result = run_crowd(clients, seconds, url, gateways=gateways)
    return _tell(result, as_json, shortcomings(result, alone=url is None))


def bench_idle(
    clients: int, seconds: float, url: str | None = None, as_json: bool = False, gateways: int | None = None
) -> int:
    """Idle sockets and their memory. Falls short when one was lost, or takes more than MAX_IDLE_KIB (PSS)."""
    result = run_idle(clients, seconds, url, gateways=gateways)
    problems = [f"held {result['held']} of {clients}"] if result["held"] < clients else []
    each = result["pss_kib_per_connection"]
    if each is not None and each > MAX_IDLE_KIB:
        problems.append(f"{each} KiB per connection, more than {MAX_IDLE_KIB:g}")
    return _tell(result, as_json, problems)


def bench_kills(
    bots: int,
    url: str | None = None,
    as_json: bool = False,
    gateways: int | None = None,
    kinds: Sequence[str] = KINDS,
) -> int:
    """The fault drill. Falls short when a bot does not walk again, had to log in, or a process did not come back."""
    result = run_kills(bots, url, gateways=gateways, kinds=kinds)
    problems = [
        f"after the {fault['kind']}: walking {fault['all_walking']}, restarted {fault['restarted']}, "
        f"new logins {fault['new_logins']}"
        for fault in result["faults"]
        if not (fault["all_walking"] and fault["restarted"] and fault["new_logins"] == 0)
    ]
    return _tell(result, as_json, problems)


def _tell(result: dict[str, Any], as_json: bool, problems: list[str]) -> int:
    text = json.dumps(result) if as_json else "\n".join(_lines(result))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    for problem in problems:
        sys.stderr.write(f"fell short: {problem}\n")
    return 1 if problems else 0


def _lines(result: dict[str, Any], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in result.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}")
            lines += [f"{indent}  {json.dumps(item)}" for item in value]
        else:
            lines.append(f"{indent}{name:<{32 - len(indent)}} {value}")
    return lines
