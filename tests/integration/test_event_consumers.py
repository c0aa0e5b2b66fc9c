"""Other processes read the event streams (row 4.3): docs/examples/analytics.py, against a real NATS. No realm."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.event_rig import DEADLINE_S, bodies, presence, publisher, until
from tests.servers import Nats

EXAMPLE = Path(__file__).parents[2] / "docs/examples/analytics.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """Its own for each test: streams belong to the whole server."""
    with Nats(tmp_path) as running:
        yield running


class Consumer:
    """docs/examples/analytics.py in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[tuple[str, int]] = []
        self.reading = asyncio.Event()
        self.summary: dict[str, object] = {}
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, server: Nats, *arguments: str) -> Consumer:
        argv = [str(EXAMPLE), "--server", server.url, "--token", server.token, "--verbose", *arguments]
        # What it says besides, pytest shows if a test fails.
        process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdout=asyncio.subprocess.PIPE)
        return cls(process)

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            word, *rest = line.decode().split()
            if word == "reading":
                self.reading.set()
            elif word == "event":
                self.events.append((rest[0], int(rest[1])))
            else:
                self.summary = json.loads(line)

    async def end(self, kill: bool = False) -> int:
        """Its code, once it has ended and all it said was heard."""
        if kill:
            self.process.kill()
        async with asyncio.timeout(DEADLINE_S):
            code = await self.process.wait()
            await self._listening
        return code


async def test_two_consumers_get_every_event_once_between_them(server: Nats) -> None:
    async with publisher(server) as events:
        first, second = [await Consumer.start(server, "--count", "100") for _ in range(2)]
        try:
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(first.reading.wait(), second.reading.wait())
            for version in (1, 2):
                for user in range(100):
                    presence(events, f"usr_{user}", version, "online" if version == 1 else "busy", f"zon_{user % 2}")
            presence(events, "usr_0", 1)  # again: it is in the stream already
            assert [await first.end(), await second.end()] == [0, 0]
        finally:
            for consumer in (first, second):
                if consumer.process.returncode is None:
                    await consumer.end(kill=True)
    got = Counter(first.events + second.events)
    assert got == Counter((f"usr_{user}", version) for user in range(100) for version in (1, 2))
    assert first.summary["events"] == second.summary["events"] == 100
    assert await bodies(server, "PRESENCE") == []  # a work queue: what was acknowledged is gone


async def test_the_example_counts_players_by_zone_and_changes_of_status(server: Nats) -> None:
    async with publisher(server) as events:
        presence(events, "usr_a", 1, "online", "zon_meadow")
        presence(events, "usr_b", 2, "online", "zon_meadow")
        presence(events, "usr_b", 3, "busy", "zon_harbour")
        presence(events, "usr_c", 4, "online", "zon_meadow")
        presence(events, "usr_c", 5, "offline", "")
        await until(lambda: events.waiting == 0)
        consumer = await Consumer.start(server, "--count", "5")
        assert await consumer.end() == 0
    assert consumer.summary == {
        "events": 5,
        "players_by_zone": {"zon_meadow": 1, "zon_harbour": 1},
        "status_changes": {"online": 3, "busy": 1, "offline": 1},
    }


async def test_a_consumer_reads_on_after_nats_was_killed(server: Nats) -> None:
    async with publisher(server) as events:
        consumer = await Consumer.start(server, "--again", "2")
        try:
            async with asyncio.timeout(DEADLINE_S):
                await consumer.reading.wait()
            for user in range(30):
                presence(events, f"usr_{user}", 1)
            await until(lambda: len(consumer.events) >= 10)
            for user in range(30, 45):
                presence(events, f"usr_{user}", 1)
            await asyncio.sleep(0)  # they are on their way, and perhaps to the consumer
            server.kill()
            server.start()
            for user in range(45, 60):
                presence(events, f"usr_{user}", 1)
            await until(lambda: {user for user, _ in consumer.events} == {f"usr_{user}" for user in range(60)})
        finally:
            await consumer.end(kill=True)
    assert events.counts.dropped["presence"] == 0
