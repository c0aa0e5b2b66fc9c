"""What `rayrealm export envoy` and `haproxy` say, held by these programs: they accept it, and carry sockets as it promises."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import sysconfig
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from cluster.embedded import free_port
from cluster.export import envoy, haproxy
from cluster.export.upstreams import HEALTH, SOCKETS_HEALTH
from cluster.machine import haproxy_binary
from cluster.security.certificates import ensure_local, local_files
from cluster.security_settings import TlsSettings
from cluster.settings import EdgeSettings, GatewaySettings, Settings

LOOPBACK = (ip_network("127.0.0.0/8"),)
DEADLINE_S = 20.0
NAME = "play.example.org"
ENVOY = Path(sysconfig.get_path("scripts")) / "envoy"
KINDS = ["plain", "proxy protocol", "tls", "tls and proxy protocol"]


def settings_for(kind: str, folder: Path, port: int = 8443) -> Settings:
    tls = TlsSettings()
    if "tls" in kind:
        ensure_local(folder, [NAME], time.time())
        made = local_files(folder)
        tls = TlsSettings(certificate=str(made.certificate), key=str(made.key), redirect_port=8081)
        (folder / "both.pem").write_text(made.certificate.read_text() + made.key.read_text())
    edge = EdgeSettings(trusted_proxies=LOOPBACK, proxy_protocol="proxy protocol" in kind, tls=tls)
    return Settings(edge=edge, port=port, gateways=1, gateway=GatewaySettings(capacity=500))


@pytest.mark.parametrize("kind", KINDS)
def test_envoy_accepts_it(kind: str, tmp_path: Path) -> None:
    config = tmp_path / "envoy.json"
    config.write_text(envoy.render(settings_for(kind, tmp_path), ["10.0.0.1", "[::1]:9000"], NAME))
    done = subprocess.run(
        [str(ENVOY), "--mode", "validate", "--log-level", "warning", "-c", str(config)],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_haproxy_accepts_it(kind: str, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    settings = settings_for(kind, tmp_path)
    config.write_text(haproxy.render(settings, ["10.0.0.1", "[::1]:9000"], str(tmp_path / "both.pem"), NAME))
    done = subprocess.run(
        [str(haproxy_binary()), "-c", "-f", str(config)], capture_output=True, text=True, timeout=60.0, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr


# --- with sockets ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def edge(name: str) -> AsyncIterator[tuple[Server, int]]:
    """What stands for a node's edge: it is well, and says of each socket who it is and whose address it was told."""

    def plain(connection: ServerConnection, request: Request) -> Response | None:
        if request.path in (HEALTH, SOCKETS_HEALTH):
            return connection.respond(HTTPStatus.OK, "well\n")
        if request.path == "/ws":
            return None
        return connection.respond(HTTPStatus.OK, f"{name}\n")

    async def socket(connection: ServerConnection) -> None:
        assert connection.request is not None
        told = connection.request.headers.get_all("X-Forwarded-For")
        await connection.send(json.dumps({"edge": name, "told": told}))
        async for message in connection:
            await connection.send(message)

    async with serve(socket, "127.0.0.1", 0, process_request=plain) as server:
        yield server, next(iter(server.sockets)).getsockname()[1]


Render = Callable[[Settings, list[str]], str]
PROGRAMS: dict[str, tuple[Callable[[Path], list[str]], Render]] = {
    "haproxy": (
        lambda config: [str(haproxy_binary()), "-f", str(config)],
        lambda settings, nodes: haproxy.render(settings, nodes, admin=""),
    ),
    "envoy": (
        lambda config: [
            str(ENVOY),
            "--concurrency",
            "1",
            "--log-level",
            "warning",
            "--disable-hot-restart",
            "-c",
            str(config),
        ],
        lambda settings, nodes: envoy.render(settings, nodes, admin_port=0),
    ),
}


@contextmanager
def running(program: str, settings: Settings, nodes: list[str], folder: Path) -> Iterator[None]:
    argv, render = PROGRAMS[program]
    config = folder / ("envoy.json" if program == "envoy" else "haproxy.cfg")
    config.write_text(render(settings, nodes))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv(config), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        sys.stderr.write((folder / "log").read_text(errors="replace")[-2000:])


async def first_words(url: str, headers: dict[str, str] | None = None) -> tuple[dict[str, object], str]:
    """What the edge said, and what came back."""
    async with connect(url, additional_headers=headers, proxy=None) as socket:
        said = json.loads(await socket.recv())
        await socket.send("hello")
        return said, str(await socket.recv())


async def until_up(url: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(Exception):
                await first_words(url)
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_sockets_reach_both_nodes_and_outlive_one(program: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/ws"
    async with edge("a") as (a, a_port), edge("b") as (_, b_port):
        settings = settings_for("plain", tmp_path, port)
        with running(program, settings, [f"127.0.0.1:{a_port}", f"127.0.0.1:{b_port}"], tmp_path):
            await until_up(url)
            async with contextlib.AsyncExitStack() as stack:
                open_sockets = [await stack.enter_async_context(connect(url, proxy=None)) for _ in range(12)]
                edges = [json.loads(await socket.recv())["edge"] for socket in open_sockets]
                assert {"a", "b"} == set(edges)
                a.close(close_connections=False)  # it listens no more; its sockets go on
                said = [(await first_words(url))[0]["edge"] for _ in range(6)]
                assert said == ["b"] * 6
                for socket in open_sockets:
                    await socket.send("still here")
                    assert await socket.recv() == "still here"
                for socket, where in zip(open_sockets, edges, strict=True):
                    if where == "a":
                        await socket.close()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_last_address_is_the_clients_own(program: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/ws"
    async with edge("a") as (_, a_port):
        with running(program, settings_for("plain", tmp_path, port), [f"127.0.0.1:{a_port}"], tmp_path):
            await until_up(url)
            said, echo = await first_words(url, {"X-Forwarded-For": "203.0.113.7"})
            told = said["told"]
            assert isinstance(told, list)
            # For a client on loopback Envoy says an address of its own machine.
            assert ",".join(told).split(",")[-1].strip() != "203.0.113.7"
            if program == "haproxy":
                assert told == ["127.0.0.1"]
            assert echo == "hello"
