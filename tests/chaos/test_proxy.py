"""The proxy before Redis and NATS: passes everything on, or does what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from cluster.chaos.proxy import CHUNK_BYTES, CHUNKS_WAITING, LOOPBACK, Proxy, obey

DEADLINE_S = 10.0


class Echo:
    """A server that sends back what it gets, while it `reads`."""

    def __init__(self) -> None:
        self.port = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while await self.reads.wait() and (data := await reader.read(CHUNK_BYTES)):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    server = Echo()
    await server.start()
    yield server
    server.reads.set()
    server.stop()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    made = Proxy(echo.port)
    await made.start()
    yield made
    async with asyncio.timeout(DEADLINE_S):
        await made.stop()


class Client:
    """A connection through a proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echoed(self, data: bytes) -> bool:
        """Whether it is alive: what is sent comes back."""
        try:
            self.writer.write(data)
            async with asyncio.timeout(DEADLINE_S):
                return await self.reader.readexactly(len(data)) == data
        except (ConnectionError, asyncio.IncompleteReadError):
            return False


Dial = Callable[[int], Awaitable[Client]]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    made: list[Client] = []

    async def connect(port: int) -> Client:
        made.append(Client(*await asyncio.open_connection(LOOPBACK, port)))
        return made[-1]

    yield connect
    for client in made:
        client.writer.transport.abort()


async def test_all_bytes_come_back_in_order(proxy: Proxy, dial: Dial) -> None:
    assert await (await dial(proxy.port)).echoed(bytes(range(256)) * 4_096)


async def test_answers_come_late(proxy: Proxy, dial: Dial) -> None:
    client = await dial(proxy.port)
    obey({"p": proxy}, {"proxy": "p", "do": "delay", "delay_s": 0.3})
    began = time.monotonic()
    client.writer.write(b"one")
    await asyncio.sleep(0.05)
    client.writer.write(b"two")
    assert await client.reader.readexactly(6) == b"onetwo"
    assert 0.35 <= time.monotonic() - began < 0.6, "each was late by as much: not one after the other"
    obey({"p": proxy}, {"proxy": "p", "do": "delay", "delay_s": 0.0})
    began = time.monotonic()
    assert await client.echoed(b"three")
    assert time.monotonic() - began < 0.3


async def test_a_change_of_the_delay_keeps_the_order(proxy: Proxy, dial: Dial) -> None:
    client = await dial(proxy.port)
    proxy.delay_s = 0.2
    client.writer.write(b"first ")
    await asyncio.sleep(0.05)
    proxy.delay_s = 0.0
    client.writer.write(b"second")
    assert await client.reader.readexactly(12) == b"first second"


async def test_cut_ends_every_connection(proxy: Proxy, dial: Dial) -> None:
    clients = [await dial(proxy.port) for _ in range(3)]
    assert [await client.echoed(b"x") for client in clients] == [True] * 3
    assert obey({"p": proxy}, {"proxy": "p", "do": "cut"}) == {"cut": 3}
    assert [await client.echoed(b"x") for client in clients] == [False] * 3
    assert await (await dial(proxy.port)).echoed(b"x")


async def test_refuse_and_admit(proxy: Proxy, dial: Dial) -> None:
    client = await dial(proxy.port)
    assert await client.echoed(b"x")
    assert obey({"p": proxy}, {"proxy": "p", "do": "refuse"}) == {"cut": 1}
    assert not await client.echoed(b"x")
    assert not await (await dial(proxy.port)).echoed(b"x")
    obey({"p": proxy}, {"proxy": "p", "do": "admit"})
    assert await (await dial(proxy.port)).echoed(b"x")


async def test_a_server_that_is_away_is_no_server(proxy: Proxy, echo: Echo, dial: Dial) -> None:
    echo.stop()
    assert not await (await dial(proxy.port)).echoed(b"x")


async def test_what_nobody_reads_is_not_taken_for_ever(proxy: Proxy, echo: Echo, dial: Dial) -> None:
    echo.reads.clear()
    client = await dial(proxy.port)
    taken, chunk = 0, b"x" * CHUNK_BYTES
    with contextlib.suppress(TimeoutError):
        while taken < 8 * CHUNK_BYTES * CHUNKS_WAITING:
            client.writer.write(chunk)
            async with asyncio.timeout(0.5):
                await client.writer.drain()
            taken += len(chunk)
    assert taken < 4 * CHUNK_BYTES * CHUNKS_WAITING


def test_unknown_commands_are_errors() -> None:
    proxies = {"redis": Proxy(1)}
    with pytest.raises(ValueError, match="cannot dance"):
        obey(proxies, {"proxy": "redis", "do": "dance"})
    with pytest.raises(KeyError):
        obey(proxies, {"proxy": "nats", "do": "cut"})


async def test_the_process(echo: Echo, dial: Dial) -> None:
    """Told by lines, and gone with its standard input."""
    argv = [sys.executable, "-m", "cluster.chaos.proxy", f"echo={echo.port}"]
    process = await asyncio.create_subprocess_exec(*argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        ports = json.loads(await process.stdout.readline())
        client = await dial(ports["echo"])
        assert await client.echoed(b"x")
        process.stdin.write(b'{"proxy": "echo", "do": "cut"}\n')
        assert json.loads(await process.stdout.readline()) == {"cut": 1}
        process.stdin.close()
        assert await process.wait() == 0
