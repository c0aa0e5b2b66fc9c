"""`scripts/cluster`: a realm on several Ray nodes of this machine. Exit codes: 0 done, 1 failed, 2 wrong usage."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from scripts.practice import places
from scripts.practice.places import Failed
from scripts.practice.rising import Rising, environment, fall, launcher_runs, remove_node
from scripts.practice.standing import Standing

LOCK_DEADLINE_S = 420.0


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(argv)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)

    where = _where(given.name)
    try:
        if given.command == "exec":
            return _exec(_there(where), given.argv)
        if given.command == "guard":
            return _guard(where, given.pid, given.mark)
        with _alone(where):
            return int(COMMANDS[given.command](given, where, say))
    except Failed as problem:
        print(f"cluster: {problem}", file=sys.stderr)
        return 1


def _up(given: argparse.Namespace, where: Path, say: Any) -> int:
    standing = Standing.load(where)
    if standing is not None and standing.ready and launcher_runs(standing) and standing.store_answers:
        say("it stands already; `down` ends it")
        _tell(standing)
        return 0
    if standing is not None:
        say("what is left of an earlier one is removed first")
        fall(standing, where, say, politely=False)
    standing = Standing.planned(
        Path(tempfile.mkdtemp(prefix="rrc-", dir="/tmp")), given.port, given.gateways, given.bots
    )
    rising = Rising(standing, where, say)
    try:
        standing.save(where)
        if given.as_long_as:
            _start_guard(standing, where, given.name, given.as_long_as)
        rising.network()
        rising.servers()
        head = rising.node()
        rising.environment(given.config)
        rising.ray(head)
        for _ in range(given.nodes - 1):
            rising.ray(rising.node())
        rising.realm()
    except BaseException as problem:  # Ctrl-C, too: nothing may stay
        say(f"it did not work: {str(problem).splitlines()[0] if str(problem) else type(problem).__name__}")
        fall(standing, where, say, politely=False, keep=given.keep_logs)
        raise
    _tell(standing)
    return 0


def _down(given: argparse.Namespace, where: Path, say: Any) -> int:
    standing = Standing.load(where)
    if standing is None:
        say("nothing stands")
        return 0
    fall(standing, where, say, politely=not given.now, keep=given.keep_logs)
    return 0


def _add_node(_: argparse.Namespace, where: Path, say: Any) -> int:
    standing = _there(where)
    rising = Rising(standing, where, say)
    place = rising.node()
    try:
        rising.ray(place)
    except Failed:
        places.clear(place)
        place.remove()
        del standing.nodes[place.name]
        standing.save(where)
        raise
    print(place.name)
    return 0


def _remove_node(given: argparse.Namespace, where: Path, say: Any) -> int:
    standing = _there(where)
    remove_node(standing, where, given.node, say, environment(standing))
    return 0


def _status(given: argparse.Namespace, where: Path, _: Any) -> int:
    standing = Standing.load(where)
    if standing is None:
        print("{}" if given.json else "nothing stands")
        return 1
    facts = _facts(standing)
    if given.json:
        print(json.dumps(facts))
    else:
        print(f"{facts['url']}  {'runs' if facts['runs'] else 'does not run'}; folder {standing.folder}")
        for node in facts["nodes"]:
            print(f"  {node['name']:8} {node['address']:15} {node['processes']:3} processes")
    return 0 if facts["runs"] else 1


def _facts(standing: Standing) -> dict[str, Any]:
    nodes = [
        {"name": place.name, "address": place.address, "url": standing.url_at(place), "processes": len(place.pids())}
        for place in standing.places()
    ]
    return {
        "url": standing.url if standing.nodes else "",
        "runs": standing.ready and launcher_runs(standing) and standing.store_answers,
        "nodes": nodes,
        "folder": standing.folder,
        "environment": standing.environment,
        "launcher": standing.launcher,
        "edges": {name: standing.url_at(standing.place(name)) for name in standing.edges if name in standing.nodes},
    }


def _exec(standing: Standing, argv: list[str]) -> int:
    """On the head, with the realm's environment."""
    command = [sys.executable, "-m", "cluster.cli.main", *argv[1:]] if argv[:1] == ["rayrealm"] else argv
    own = {**environment(standing), **standing.head.environment()}
    return subprocess.run(standing.head.argv(command), env=own, check=False).returncode


def _tell(standing: Standing) -> None:
    print(f"READY {standing.url}")
    print(f"  play     {standing.url}/play/")
    print(f"  console  {standing.url}/console/")
    print(f"  nodes    {' '.join(f'{place.name}={place.address}' for place in standing.places())}")
    print(
        f"  edges    {' '.join(standing.url_at(standing.place(name)) for name in standing.edges if name in standing.nodes)}"
    )
    print(f"  logs     {standing.folder}", flush=True)
    for line in _told(Path(standing.folder) / "up.log", standing.url):
        print(line, flush=True)


def _told(log: Path, url: str) -> Iterator[str]:
    """What the launcher said besides, as an operator's invitation: from READY on, without what is said here anyway.

    It listens on every address, and names that of loopback: `url` is the one that leads there from here.
    """
    lines = log.read_text(errors="replace").splitlines()
    after = next((number for number, line in enumerate(lines) if line.startswith("READY ")), len(lines))
    said = ("play", "API", "metrics", "console", "READY", "Ctrl-C")
    for line in lines[after + 1 :]:
        if line.startswith("  ") and not line.strip().startswith(said) and " s  " not in line:
            yield re.sub(r"https?://127\.0\.0\.1:\d+", url, line)


# --- a cluster for a test run --------------------------------------------------------------------------------------


def _start_guard(standing: Standing, where: Path, name: str, pid: int) -> None:
    argv = [sys.executable, "-m", "scripts.practice.main", "--name", name, "guard", str(pid), standing.mark]
    with (where / "guard.log").open("ab") as log:
        standing.guard = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ).pid
    standing.save(where)


def _guard(where: Path, pid: int, mark: str) -> int:
    """Takes it down when that process has ended. Ends by itself when it is down, or another one stands."""
    while psutil.pid_exists(pid):
        standing = Standing.load(where)
        if standing is None or standing.mark != mark:
            return 0
        time.sleep(1.0)
    with _alone(where):
        standing = Standing.load(where)
        if standing is not None and standing.mark == mark:
            fall(standing, where, lambda line: print(line, flush=True), politely=False)
    return 0


# --- where things are ----------------------------------------------------------------------------------------------


def _where(name: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "rayrealm" / "practice" / name


def _there(where: Path) -> Standing:
    standing = Standing.load(where)
    if standing is None:
        raise Failed("nothing stands: scripts/cluster up")
    return standing


@contextlib.contextmanager
def _alone(where: Path) -> Iterator[None]:
    """One command at a time. Raises Failed."""
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (where / "lock").open("ab") as lock:
        until = time.monotonic() + LOCK_DEADLINE_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    raise Failed("another command is at work on it") from None
                time.sleep(0.2)
        yield


def _name(text: str) -> str:
    if not text.replace("-", "").isalnum():
        raise argparse.ArgumentTypeError("letters, digits and dashes")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    parser.add_argument("--name", type=_name, default="local", help="of the cluster, if there are several")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it; once more: say where it is")
    up.add_argument(
        "--nodes", type=int, default=3, choices=range(1, 9), metavar="1-8", help="Ray nodes, the head included"
    )
    up.add_argument("--gateways", type=int, default=3, choices=range(1, 17), metavar="1-16")
    up.add_argument("--bots", type=int, default=0, help="simulated players")
    up.add_argument("--port", type=int, default=8000, help="of the edge on every node")
    up.add_argument("--config", type=Path, help="a realm.toml")
    up.add_argument("--as-long-as", type=int, metavar="PID", help="take it down when this process has ended")
    up.add_argument("--keep-logs", default="", metavar="FOLDER", help="copy the logs there if it does not start")
    down = commands.add_parser("down", help="end and remove all of it")
    down.add_argument("--now", action="store_true", help="without telling the players")
    down.add_argument("--keep-logs", default="", metavar="FOLDER")
    status = commands.add_parser("status", help="exit code 0 if it runs")
    status.add_argument("--json", action="store_true")
    commands.add_parser("add-node", help="one more; prints its name")
    remove = commands.add_parser("remove-node", help="its zones and clients go elsewhere first")
    remove.add_argument("node", metavar="NAME")
    run = commands.add_parser("exec", help="a command on the head, with the realm's settings")
    run.add_argument("argv", nargs=argparse.REMAINDER)
    guard = commands.add_parser("guard")
    guard.add_argument("pid", type=int)
    guard.add_argument("mark")
    return parser


COMMANDS = {"up": _up, "down": _down, "status": _status, "add-node": _add_node, "remove-node": _remove_node}

if __name__ == "__main__":
    sys.exit(main())
