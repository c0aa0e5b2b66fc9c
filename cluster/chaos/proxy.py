"""A TCP proxy that can be told to be slow, to refuse, or to cut: stands before Redis and NATS of a realm under test.

In a process of its own (`python -m cluster.chaos.proxy`), so that a stall of the load is none of the realm. It reads commands, one
JSON object a line, on standard input and answers each with one line; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from collections.abc import Iterable
from typing import Any

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
CHUNKS_WAITING = 256
"""In one direction of one connection; then its sender is not read any more (TCP tells it so)."""
CONNECT_S = 2.0


class Proxy:
    """`delay_s`: how late what the server says arrives. `refusing`: nobody gets in."""

    def __init__(self, target_port: int) -> None:
        self.delay_s = 0.0
        self.refusing = False
        self.port = 0
        self.accepted = 0
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[Any], tuple[asyncio.StreamWriter, ...]] = {}

    async def start(self, port: int = 0) -> int:
        """Listen on loopback. Returns the port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> int:
        """End every connection at once (RST, as when a middlebox forgets it). Returns how many there were."""
        for task, writers in self._connections.items():
            for writer in writers:
                _abort(writer)
            task.cancel()
        return len(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        if self.refusing or task is None:
            _abort(writer)
            return
        self._connections[task] = (writer,)
        try:
            async with asyncio.timeout(CONNECT_S):
                upstream, to_server = await asyncio.open_connection(LOOPBACK, self._target)
            self._connections[task] = (writer, to_server)
            for end in (writer, to_server):
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, to_server, late=False))
                group.create_task(self._pump(upstream, writer, late=True))
        except* (OSError, TimeoutError, asyncio.CancelledError, _Ended):
            pass  # an end of either side is the end of the connection; that it was cut is what was wanted
        finally:
            for end in self._connections.pop(task):
                _abort(end)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, late: bool) -> None:
        """Raises _Ended at the end of the source, so that the other direction ends, too."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_WAITING)

        async def write() -> None:
            while True:
                due, data = await waiting.get()
                if (wait_s := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait_s)
                if not data:
                    raise _Ended
                sink.write(data)
                await sink.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            while data := await source.read(CHUNK_BYTES):
                await waiting.put((time.monotonic() + (self.delay_s if late else 0.0), data))
            await waiting.put((0.0, b""))


class _Ended(Exception):
    """One side has closed."""


def _abort(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def obey(proxies: dict[str, Proxy], command: dict[str, Any]) -> dict[str, Any]:
    """Do what a line says: {"proxy", "do": "delay" | "refuse" | "admit" | "cut", "delay_s"?}. Raises KeyError, ValueError."""
    proxy = proxies[command["proxy"]]
    match command["do"]:
        case "delay":
            proxy.delay_s = float(command["delay_s"])
        case "refuse":
            proxy.refusing = True
            return {"cut": proxy.cut()}
        case "admit":
            proxy.refusing = False
        case "cut":
            return {"cut": proxy.cut()}
        case other:
            raise ValueError(f"cannot {other}")
    return {}


async def run(targets: Iterable[str]) -> None:
    """`targets`: NAME=PORT. The first line on standard output is {name: port to connect to}."""
    proxies = {name: Proxy(int(port)) for name, _, port in (target.partition("=") for target in targets)}
    ports = {name: await proxy.start() for name, proxy in proxies.items()}
    _say(ports)
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        _say(obey(proxies, json.loads(line)))
    for proxy in proxies.values():
        await proxy.stop()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
