"""What `rayrealm bench` and `rayrealm bots` call: each prints its result on standard output and returns the exit code.

0: done; 1: fell short, which standard error explains. A realm or a load that fails raises (cluster.errors, rayrealm_client.errors).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cluster.bench.abuse import run_seeds
from cluster.bench.border_checks import FAULTS
from cluster.bench.borders import run_borders
from cluster.bench.bots import run_bots
from cluster.bench.chat import run_chat
from cluster.bench.crew import Crew
from cluster.bench.crowd import run_crowd
from cluster.bench.drain import run_drain
from cluster.bench.guesses import run_guesses
from cluster.bench.idle import run_idle
from cluster.bench.kills import KINDS, run_kills
from cluster.bench.limits import run_limits
from cluster.bench.presence import run_presence
from cluster.bench.presence import shortcomings as presence_shortcomings
from cluster.bench.report import shortcomings
from cluster.bench.reshape import run_reshape
from cluster.bench.reshape_checks import shortcomings as reshape_shortcomings
from cluster.bench.signing import run_signing
from cluster.bench.social import run_social
from cluster.bench.social_checks import chat_shortcomings, social_shortcomings
from cluster.bench.storm import run_storm
from cluster.bench.tick import run_tick
from cluster.telemetry.logs import configure

MAX_IDLE_KIB = 100.0
STORM_99_S = 10.0
DRAIN_GAP_MS = 1_500
BORDER_GAP_MS = 250
TICK_MS = 10.0
UPDATE_BYTES = 14.0
SIGNED_US = 20.0
FRAME_NS = 2_000
DEMO_SEED = 1
MAX_FALSE = 1.0
LEAST_FOUND = 0.5  # the models have attackers who are too quiet
MAX_ADVANTAGE = 0.05
NOISES = 4.0


def bench_crowd(
    clients: int,
    seconds: float,
    url: str | None = None,
    as_json: bool = False,
    gateways: int | None = None,
    zones: int = 1,
    tls: bool = False,
) -> int:
    """The crowd benchmark (row 7.10), over `zones`. `url` None: in a realm of its own, with `gateways` gateways and `tls`."""
    result = run_crowd(clients, seconds, url, gateways=gateways, zones=zones, tls=tls)
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


def bench_guesses(samples: int, url: str | None = None, as_json: bool = False) -> int:
    """Failed logins (row 4.1). Falls short when times tell existing accounts from others, and chance does not explain it."""
    result = run_guesses(samples, url)
    off = abs(result["advantage"] - 0.5)
    told = off > max(MAX_ADVANTAGE, NOISES * result["noise"])
    return _tell(result, as_json, [f"times tell which accounts exist: {result['advantage']}, not 0.5"] if told else [])


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


def bench_storm(clients: int, as_json: bool = False) -> int:
    """The reconnect storm (row 7.5). Falls short by time, or when a client is not back, missed a message, or is another session."""
    result = run_storm(clients)
    zero = ("lost_messages", "repeated", "not_recovered", "gaps", "new_logins", "gave_up")
    problems = [f"{name}: {result[name]}" for name in zero if result[name]]
    late = result["back_99_s"]
    if late is None or late > STORM_99_S:
        problems.append(f"99 % were back after {late} s, more than {STORM_99_S:g}")
    if result["back"] < clients:
        problems.append(f"{result['back']} of {clients} came back")
    return _tell(result, as_json, problems)


def bench_drain(clients: int, deadline_s: float, as_json: bool = False) -> int:
    """The drain of a gateway (row 7.9). Falls short when a player missed a message, or saw nothing for longer than DRAIN_GAP_MS."""
    result = run_drain(clients, deadline_s)
    zero = ("lost_messages", "repeated", "not_recovered", "gaps", "new_logins", "left_behind", "still_there")
    problems = [f"{name}: {result[name]}" for name in zero if result[name]]
    if result["view_gap_max_ms"] > DRAIN_GAP_MS:
        problems.append(f"a player saw nothing for {result['view_gap_max_ms']} ms, more than {DRAIN_GAP_MS}")
    return _tell(result, as_json, problems)


def bench_tick(entities: int, ticks: int, moving: float, as_json: bool = False) -> int:
    """A zone's tick, by part. Falls short when its median is over TICK_MS, or an update over UPDATE_BYTES on the wire."""
    result = run_tick(entities, ticks, moving)
    median, size = result["tick_ms"]["median"], result["bytes_per_update"]
    problems = [f"the median tick took {median} ms, more than {TICK_MS:g}"] if median > TICK_MS else []
    if size > UPDATE_BYTES:
        problems.append(f"{size} bytes for an update, more than {UPDATE_BYTES:g}")
    return _tell(result, as_json, problems)


def bench_borders(
    count: int, seconds: float, url: str | None = None, as_json: bool = False, gateways: int | None = None
) -> int:
    """Walking over borders all day (row 7.2). Falls short when a player notices: a view too late, somebody missing or twice."""
    result = run_borders(count, seconds, url, gateways=gateways)
    problems = [f"{name}: {result[name]}" for name in (*FAULTS, "disconnected") if result[name]]
    if result["view_gap_max_ms"] > BORDER_GAP_MS:
        problems.append(f"a player saw nothing for {result['view_gap_max_ms']} ms, more than {BORDER_GAP_MS}")
    if result["looks_left_out"] * 4 > result["looks"]:
        problems.append(
            f"the load itself stood still: {result['looks_left_out']} looks were left out, {result['looks']} were not"
        )
    if not result["crossings"]:
        problems.append("nobody crossed a border")
    return _tell(result, as_json, problems)


def bench_reshape(clients: int, as_json: bool = False, gateways: int | None = None) -> int:
    """A world that is reshaped under players (rows 7.3, 7.4, 7.6). Falls short when one is left in the dark, or in error."""
    configure("warning")  # structlog as it comes writes to stdout
    result = run_reshape(clients, gateways=gateways)
    return _tell(result, as_json, reshape_shortcomings(clients, result["events"]))


def bench_limits(seconds: float, as_json: bool = False) -> int:
    """What limits cost (row 5.3). Falls short when the gateway's own take more than FRAME_NS of a message."""
    configure("warning")  # structlog as it comes writes to stdout
    result = run_limits(seconds)
    frame = result["local_ns"]["frame"]
    return _tell(result, as_json, [f"{frame} ns a frame, more than {FRAME_NS}"] if frame > FRAME_NS else [])


def bench_chat(members: int, per_s: float, seconds: float, as_json: bool = False, gateways: int | None = None) -> int:
    """A busy channel (row 2.3). Falls short when a member does not hear all messages once, in the same order as everybody."""
    result = run_chat(members, per_s, seconds, gateways=gateways)
    return _tell(result, as_json, chat_shortcomings(result))


def bench_presence(watchers: int, users: int, as_json: bool = False, gateways: int | None = None) -> int:
    """Presence (row 3.2). Falls short when a watcher is told too late or not at all, or a user takes too much memory."""
    result = run_presence(watchers, users, gateways=gateways)
    return _tell(result, as_json, presence_shortcomings(result))


def bench_signing(messages: int, as_json: bool = False) -> int:
    """Signed messages (row 6.1). Falls short when a small one costs more than SIGNED_US to verify or to sign."""
    result = run_signing(messages)
    costs = result["us_by_size"]["move"]
    worst = max(cost for name, cost in costs.items() if name != "bytes")
    return _tell(
        result, as_json, [f"{worst} us for a small message, more than {SIGNED_US:g}"] if worst > SIGNED_US else []
    )


def bench_social(count: int, seconds: float, as_json: bool = False, gateways: int | None = None) -> int:
    """The presence actor and NATS are killed under people (rows 2.3, 3.2). Falls short when one is told what is not so."""
    result = run_social(count, seconds, gateways=gateways)
    return _tell(result, as_json, social_shortcomings(result))


def bench_abuse(seeds: Sequence[int], minutes: int, as_json: bool = False) -> int:
    """Detection of abuse (row 6.3). Falls short by false positives, or when fewer than LEAST_FOUND of a kind are found."""
    result = run_seeds(seeds, minutes)
    rate = result["false_positives_per_1000_minutes"]
    problems = [f"{rate} false positives in 1,000 player-minutes, more than {MAX_FALSE:g}"] if rate > MAX_FALSE else []
    problems += [
        f"{kind}: {row['found']} of {row['there']} were found"
        for kind, row in result["attackers"].items()
        if row["found"] < LEAST_FOUND * row["there"]
    ]
    return _tell(result, as_json, problems)


def bots(url: str, count: int, seconds: float | None, password_file: Path, seed: int = DEMO_SEED) -> int:
    """Simulated players until `seconds` are over, or SIGINT or SIGTERM; then a summary on standard output.

    `password_file` is made at the first start and read at the next ones, so that the bots find their accounts again.
    """
    crew = Crew()

    async def run() -> None:
        running = asyncio.create_task(
            run_bots(url, count, seconds, seed, password=stored_password(password_file), crew=crew)
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    return _tell(crew.summary(), True, [])


def stored_password(path: Path) -> SecretStr:
    """The password in a file that only this user can read; made if it is not there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return SecretStr(path.read_text().strip())
    with os.fdopen(descriptor, "w") as file:
        password = secrets.token_urlsafe(24)
        file.write(password)
    return SecretStr(password)


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
