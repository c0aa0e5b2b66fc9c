"""A TCP relay that is far away: what either side says arrives a fixed time later, in order and as much of it as was said."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
CHUNKS_ON_THE_WAY = 1_024  # of one direction; then its sender is not read any more


class DelayLine:
    """`url`: of a WebSocket server, as it is from far away. `one_way_s`: how long anything takes in each direction."""

    def __init__(self, url: str, one_way_s: float) -> None:
        parts = urlsplit(url)
        self.one_way_s = one_way_s
        self.url = ""
        self._path = parts.path
        self._target = parts.hostname or LOOPBACK, parts.port or 80
        self._serving: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        ends = [writer]
        try:
            upstream, to_server = await asyncio.open_connection(*self._target)
            ends.append(to_server)
            for end in ends:
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, to_server))
                group.create_task(self._carry(upstream, writer))
        except* ConnectionError:
            pass  # an end of either side is the end of the connection
        finally:
            self._serving.discard(task)
            for end in ends:
                end.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Until the source has ended, and the sink has been told so."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_ON_THE_WAY)

        async def leave() -> None:
            data = b"-"
            while data:
                data = await source.read(CHUNK_BYTES)
                await on_the_way.put((time.monotonic() + self.one_way_s, data))

        async with asyncio.TaskGroup() as group:
            group.create_task(leave())
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(max(due - time.monotonic(), 0.0))
                if not data:
                    break
                sink.write(data)
                await sink.drain()
            sink.write_eof()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[DelayLine]:
        """While it is open, it listens at `url`."""
        server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.url = f"ws://{LOOPBACK}:{server.sockets[0].getsockname()[1]}{self._path}"
        try:
            yield self
        finally:
            server.close()
            serving = list(self._serving)
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
