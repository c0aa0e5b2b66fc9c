"""HAProxy as Ray starts it, before servers that say what they are told to: for the tests of `cluster/haproxy.py`."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.edge.counted import refusals
from cluster.edge.front import PEERS
from cluster.edge.orders import Orders
from cluster.haproxy import prepare
from cluster.machine import haproxy_binary
from tests.servers import Server, free_port

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
PROBLEM = b'{"reason":"full"}'
ACCEPT, CUT = 101, 0
DEADLINE_S = 5.0
SETTLED_S = 20.0
RESYNCED = 3  # HAProxy's flags for: not waiting for a process of this machine, nor for one of another
SECRET = "secret-of-the-edge-in-tests-only"
LOG = "127.0.0.1:514"  # Ray's default
PLAIN = Orders(secret=SECRET)


def generate(
    folder: Path, ports: tuple[int, int, int], backends: dict[str, tuple[str, list[int]]], fallback: int
) -> str:
    """What Ray writes. `ports`: front, metrics, statistics; `backends`: name to path prefix and servers' ports."""
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    front, metrics, statistics = ports
    made = {
        name: BackendConfig(
            name=name,
            path_prefix=prefix,
            app_name=name,
            servers=[ServerConfig(name=f"{name}-{port}", host="127.0.0.1", port=port) for port in servers],
            fallback_server=ServerConfig(name="SERVE_PROXY_ACTOR-fallback", host="127.0.0.1", port=fallback),
        )
        for name, (prefix, servers) in backends.items()
    }
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=front),
        metrics_port=metrics,
        stats_port=statistics,
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_socket_path=str(folder / "metrics.sock"),
        maxconn=200,
        nbthread=1,
        hard_stop_after_s=86_400,
        health_check_inter="100ms",
        log_target=LOG,
    )
    api = HAProxyApi(config, made, str(folder / "haproxy.cfg"))
    api._generate_config_file_internal()
    return (folder / "haproxy.cfg").read_text()


@dataclass
class Backend:
    """Answers with `answer`: 101 and an echo, a status, or CUT, which hangs up; and health checks with `health`."""

    answer: int = ACCEPT
    health: int = 200
    port: int = 0
    says: tuple[str, ...] = ()
    """Lines of its answers' heads."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each, without health checks."""
    heads: list[bytes] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.split(b"\r\n")[0].decode()
        if length := re.search(rb"(?i)content-length: (\d+)", head):
            await reader.readexactly(int(length[1]))
        if "/-/healthz" in line:
            await self._say(writer, self.health, b"")
            return
        self.requests.append(line.removesuffix(" HTTP/1.1"))
        self.heads.append(head)
        if self.answer == ACCEPT:
            await self._echo(head, reader, writer)
        elif self.answer != CUT:
            await self._say(writer, self.answer, PROBLEM)

    async def _say(self, writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} Said\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\nServer: uvicorn\r\n"
        )
        head += "".join(f"{line}\r\n" for line in self.says)
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()

    async def _echo(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())  # noqa: S324 - the handshake's own
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        while said := await reader.read(1_024):
            writer.write(said)
            await writer.drain()


@dataclass
class Answer:
    """What came back through HAProxy. Of an upgrade that was taken, `say` uses the tunnel."""

    status: int
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, text: bytes) -> bytes:
        """The echo, or b"" if the tunnel is cut."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                self.writer.write(text)
                await self.writer.drain()
                return await self.reader.readexactly(len(text))
            except (ConnectionError, asyncio.IncompleteReadError):
                return b""


class Edge:
    """A running HAProxy with Ray's configuration as `cluster/haproxy.py` corrects it."""

    def __init__(
        self, folder: Path, web: Backend, gateways: list[Backend], orders: Orders, console: Backend | None = None
    ) -> None:
        self.folder = folder
        self._ports = (free_port(), free_port(), free_port())
        self.port = self._ports[0]
        self.orders = replace(orders, port=self.port)
        self._web, self._gateways = web, gateways
        self.console = console or web
        self._open: list[asyncio.StreamWriter] = []

    def config(self, fallback: int) -> str:
        backends = {
            "http-web": ("/", [self._web.port]),
            "http-gateway": ("/ws", [gateway.port for gateway in self._gateways]),
        }
        if self.console is not self._web:
            backends["http-console"] = ("/console", [self.console.port])
        generate(self.folder, self._ports, backends, fallback)
        path = self.folder / "haproxy.cfg"
        prepare(path, self.orders)
        return path.read_text()

    def server(self, fallback: int, *arguments: str) -> Server:
        """One HAProxy process; not started. `reload`'s arguments are those that Ray gives (ray/serve/_private/haproxy.py)."""
        self.config(fallback)
        path = self.folder / "haproxy.cfg"
        argv = [str(haproxy_binary()), "-db", "-f", str(path), *arguments]
        server = Server("haproxy", lambda _: argv, lambda _: True, self.folder)
        server.port = self._ports[0]
        return server

    async def connect(
        self, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0, first: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """From `source`; `first` is sent before anything else, TLS included."""
        local = (source, 0)
        host = "::1" if ":" in source else "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, port or self.port, local_addr=local)
        self._open.append(writer)
        writer.write(first)
        if tls is not None:
            await writer.start_tls(tls, server_hostname="localhost")
        return reader, writer

    async def request(
        self,
        method: str,
        path: str,
        upgrade: bool = False,
        body: bytes = b"",
        *,
        source: str = "127.0.0.1",
        headers: tuple[str, ...] = (),
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        first: bytes = b"",
        on: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None,
    ) -> Answer:
        """`on`: a connection that is open; else a new one, see `connect`. Raises ConnectionError and IncompleteReadError."""
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = on or await self.connect(source, tls, port, first)
            lines = [f"{method} {path} HTTP/1.1", "Host: realm", *headers]
            if upgrade:
                lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
                lines.append("Sec-WebSocket-Key: cmF5cmVhbG0tcmVhZHktPw==")
            else:
                lines.append(f"Content-Length: {len(body)}")
            writer.write("\r\n".join((*lines, "", "")).encode() + body)
            said = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            answered = {name.lower(): value for name, _, value in (line.partition(": ") for line in said[1:] if line)}
            rest = await reader.readexactly(int(answered.get("content-length", 0)) if method != "HEAD" else 0)
            return Answer(int(said[0].split()[1]), answered, rest, reader, writer)

    async def upgrade(self, **how: Any) -> Answer:
        return await self.request("GET", "/ws", upgrade=True, **how)

    def refused(self) -> dict[str, int]:
        """How often the edge itself said no, by reason."""
        return refusals(self.folder / "admin.sock")

    @asynccontextmanager
    async def reloaded(self, fallback: int) -> AsyncIterator[None]:
        """A second process has taken over from the first, as after every change of Ray's."""
        pid = (await self._info())["Pid"]
        second = self.server(fallback, "-sf", pid, "-x", str(self.folder / "admin.sock"))
        second.start()
        try:
            await self._until(lambda info: info["Pid"] != pid)
            yield
        finally:
            second.stop()

    async def settled(self) -> None:
        """Wait until a first process has given up hope that one before it teaches it: only then does it teach the next."""
        async with asyncio.timeout(SETTLED_S):
            while True:
                flags = re.search(rf"id={PEERS} .*? flags=0x([0-9a-f]+)", await self._ask("show peers"))
                assert flags is not None
                if int(flags[1], 16) & RESYNCED == RESYNCED:
                    return
                await asyncio.sleep(0.1)

    async def learnt(self, refused: dict[str, int]) -> None:
        """Wait until a process that has taken over knows what the one before it refused."""
        async with asyncio.timeout(DEADLINE_S):
            while self.refused() != refused:  # noqa: ASYNC110 - HAProxy tells nobody
                await asyncio.sleep(0.02)

    async def states(self, wanted: str) -> None:
        """Wait until every gateway is `wanted`: UP, DOWN ..."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                rows = [line.split(",") for line in (await self._ask("show stat")).splitlines() if line]
                states = {row[17] for row in rows if row[0] == "http-gateway" and row[1] != "BACKEND"}
                if states == {wanted}:
                    return
                await asyncio.sleep(0.02)

    async def _until(self, true: Callable[[dict[str, str]], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not true(await self._info()):  # noqa: ASYNC110 - HAProxy tells nobody
                await asyncio.sleep(0.02)

    async def _info(self) -> dict[str, str]:
        lines = (await self._ask("show info")).splitlines()
        return {name: value for name, _, value in (line.partition(": ") for line in lines)}

    async def _ask(self, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "admin.sock"))
        try:
            writer.write(f"{command}\n".encode())
            return (await reader.read()).decode()
        finally:
            writer.close()

    def close(self) -> None:
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def edge(
    folder: Path,
    web: Backend,
    gateways: list[Backend],
    fallback: Backend,
    orders: Orders = PLAIN,
    console: Backend | None = None,
) -> AsyncIterator[Edge]:
    """All of it running; the fallback stands for Serve's Python proxy."""
    async with AsyncExitStack() as stack:
        for backend in (web, fallback, *gateways, *([console] if console is not None else [])):
            server = await asyncio.start_server(backend.handle, "127.0.0.1", backend.port)
            backend.port = server.sockets[0].getsockname()[1]
            stack.callback(server.close)
        made = Edge(folder, web, gateways, orders, console)
        # The server's own probe is a connection of a blocking socket; HAProxy accepts it without our event loop.
        stack.enter_context(made.server(fallback.port))
        stack.callback(made.close)
        yield made
