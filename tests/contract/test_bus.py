"""What every adapter of the bus port does (cluster/ports/bus.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.nats_bus import NatsBus
from cluster.errors import Unavailable
from cluster.ports.bus import received
from cluster.settings import NatsSettings
from cluster.telemetry import tracing
from tests.servers import Nats

DEADLINE_S = 5.0
MIB = 1024 * 1024

AnyBus = MemoryBus | NatsBus


class Inbox:
    """A handler that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._came = asyncio.Event()

    def __call__(self, data: bytes) -> None:
        self.messages.append(data)
        self._came.set()

    async def holds(self, count: int) -> list[bytes]:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.messages) < count:
                self._came.clear()
                await self._came.wait()
        return self.messages


def nats_settings(server: Nats, **changes: float) -> NatsSettings:
    return NatsSettings(url=SecretStr(server.url), token=SecretStr(server.token)).model_copy(update=changes)


async def until(condition: Callable[[], bool]) -> None:
    """For states that nothing announces: looks again at each turn of the loop, within a deadline."""
    async with asyncio.timeout(4 * DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[AnyBus]:
    made: AnyBus
    if request.param == "memory":
        made = MemoryBus()
    else:
        made = await NatsBus.connect(nats_settings(request.getfixturevalue("nats_server")), "test")
    yield made
    await made.close()


class TestEveryBus:
    async def test_messages_arrive_in_order(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        sent = [str(number).encode() for number in range(2_000)]
        for data in sent:
            bus.publish(f"{namespace}.a", data)
        assert await inbox.holds(len(sent)) == sent
        assert (bus.counts.published, bus.counts.received, bus.counts.dropped) == (2_000, 2_000, 0)

    async def test_nothing_arrives_before_publish_returns(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        bus.publish(f"{namespace}.a", b"x")
        assert inbox.messages == []
        await inbox.holds(1)

    async def test_every_subscriber_gets_its_copy(self, bus: AnyBus, namespace: str) -> None:
        inboxes = [Inbox(), Inbox()]
        for inbox in inboxes:
            await bus.subscribe(f"{namespace}.a", inbox)
        bus.publish(f"{namespace}.a", b"x")
        assert [await inbox.holds(1) for inbox in inboxes] == [[b"x"], [b"x"]]

    async def test_a_star_matches_one_token(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.*.end", inbox)
        for subject in ("a.end", "a.b.end", "end", "a.other", "b.end"):
            bus.publish(f"{namespace}.{subject}", subject.encode())
        await bus.flush(DEADLINE_S)
        assert await inbox.holds(2) == [b"a.end", b"b.end"]

    async def test_no_message_after_unsubscribe(self, bus: AnyBus, namespace: str) -> None:
        gone, stays = Inbox(), Inbox()
        subscription = await bus.subscribe(f"{namespace}.a", gone)
        await bus.subscribe(f"{namespace}.a", stays)
        bus.publish(f"{namespace}.a", b"1")
        await gone.holds(1)
        await subscription.unsubscribe()
        await subscription.unsubscribe()
        await bus.flush(DEADLINE_S)
        bus.publish(f"{namespace}.a", b"2")
        await stays.holds(2)
        assert gone.messages == [b"1"]

    async def test_flush_waits_for_what_was_published(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        for _ in range(100):
            bus.publish(f"{namespace}.a", b"x" * 10_000)
        await bus.flush(DEADLINE_S)
        assert len(inbox.messages) == 100  # the server delivers in order, so our own copies came before the answer

    async def test_a_handler_that_raises_goes_on(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()

        def handler(data: bytes) -> None:
            inbox(data)
            raise RuntimeError("this handler fails on purpose")

        await bus.subscribe(f"{namespace}.a", handler)
        for data in (b"1", b"2"):
            bus.publish(f"{namespace}.a", data)
        assert await inbox.holds(2) == [b"1", b"2"]
        assert bus.counts.handler_errors == 2

    async def test_big_messages_arrive_whole(self, bus: AnyBus, namespace: str) -> None:
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        big = bytes(range(256)) * (MIB // 256)
        for data in (big, b"", big[1:]):
            bus.publish(f"{namespace}.a", data)
        assert await inbox.holds(3) == [big, b"", big[1:]]

    async def test_a_message_over_the_limit_is_refused(self, bus: AnyBus, namespace: str) -> None:
        with pytest.raises(ValueError, match="cannot send"):
            bus.publish(f"{namespace}.a", bytes(MIB + 1))
        assert bus.connected

    @pytest.mark.parametrize("subject", ["", "a b", "a..b", "a\r\nPUB x 0"])
    async def test_a_bad_subject_is_refused(self, bus: AnyBus, subject: str) -> None:
        with pytest.raises(ValueError, match="no subject"):
            await bus.subscribe(subject, Inbox())
        assert bus.connected

    async def test_a_request_is_answered(self, bus: AnyBus, namespace: str) -> None:
        async def double(data: bytes) -> bytes:
            return data * 2

        await bus.respond(f"{namespace}.double", double)
        answers = await asyncio.gather(
            *(bus.request(f"{namespace}.double", str(n).encode(), DEADLINE_S) for n in range(50))
        )
        assert answers == [str(n).encode() * 2 for n in range(50)]

    async def test_requests_are_answered_side_by_side(self, bus: AnyBus, namespace: str) -> None:
        second_came = asyncio.Event()

        async def responder(data: bytes) -> bytes:
            if data == b"second":
                second_came.set()
            await second_came.wait()
            return data

        await bus.respond(f"{namespace}.a", responder)
        async with asyncio.timeout(DEADLINE_S):
            first, second = await asyncio.gather(
                bus.request(f"{namespace}.a", b"first", DEADLINE_S),
                bus.request(f"{namespace}.a", b"second", DEADLINE_S),
            )
        assert (first, second) == (b"first", b"second")

    async def test_headers_reach_the_handler(self, bus: AnyBus, namespace: str) -> None:
        heard: list[tuple[bytes, dict[str, str]]] = []
        came = asyncio.Event()

        def handler(data: bytes) -> None:
            heard.append((data, dict(received())))
            if data == b"3":
                came.set()

        await bus.subscribe(f"{namespace}.a", handler)
        bus.publish(f"{namespace}.a", b"1", {"TraceParent": "00-1", "other": "two words: and a colon"})
        bus.publish(f"{namespace}.a", b"2")
        bus.publish(f"{namespace}.a", b"3", {})
        async with asyncio.timeout(DEADLINE_S):
            await came.wait()
        assert heard == [(b"1", {"traceparent": "00-1", "other": "two words: and a colon"}), (b"2", {}), (b"3", {})]
        assert received() == {}

    @pytest.mark.parametrize(
        "headers", [{"a": "x\r\ny: z"}, {"a b": "x"}, {"a:": "x"}, {"": "x"}, {"a": "ü"}, {"a": "x" * 5_000}]
    )
    async def test_bad_headers_are_refused(self, bus: AnyBus, namespace: str, headers: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="header"):
            bus.publish(f"{namespace}.a", b"x", headers)
        assert bus.connected

    async def test_the_trace_of_what_is_done_goes_along(self, bus: AnyBus, namespace: str) -> None:
        trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
        heard: list[dict[str, str]] = []

        async def responder(_data: bytes) -> bytes:
            heard.append(dict(received()))
            return tracing.here().encode()

        await bus.respond(f"{namespace}.a", responder)
        with tracing.span("test", parent=trace):
            assert await bus.request(f"{namespace}.a", b"", DEADLINE_S) == trace.encode()
        assert await bus.request(f"{namespace}.a", b"", DEADLINE_S) == b""
        assert await bus.request(f"{namespace}.a", b"", DEADLINE_S, {"traceparent": "nonsense"}) == b""
        assert heard == [{"traceparent": trace}, {}, {"traceparent": "nonsense"}]

    async def test_a_large_message_goes_without_its_trace(self, bus: AnyBus, namespace: str) -> None:
        """Headers count for the server's limit, and what is over it ends the connection."""
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        with tracing.span("test", parent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"):
            bus.publish(f"{namespace}.a", bytes(MIB))
        await bus.flush(DEADLINE_S)
        assert await inbox.holds(1) == [bytes(MIB)]

    async def test_nobody_to_answer(self, bus: AnyBus, namespace: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(Unavailable):
                await bus.request(f"{namespace}.nobody", b"", 60.0)
            assert await bus.gather(f"{namespace}.nobody", b"", 60.0, 10) == []

    @pytest.mark.parametrize("raises", [False, True])
    async def test_an_answer_that_never_comes(self, bus: AnyBus, namespace: str, raises: bool) -> None:
        async def silent(_data: bytes) -> bytes:
            if raises:
                raise RuntimeError("this responder fails on purpose")
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        await bus.respond(f"{namespace}.a", silent)
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(Unavailable):
            await bus.request(f"{namespace}.a", b"", 0.2)
        assert 0.15 < loop.time() - before < DEADLINE_S
        assert bus.counts.handler_errors == raises

    async def test_gather_takes_what_comes_and_no_more_than_the_limit(self, bus: AnyBus, namespace: str) -> None:
        def answer(with_: bytes) -> Callable[[bytes], Awaitable[bytes]]:
            async def responder(_data: bytes) -> bytes:
                return with_

            return responder

        for number in range(5):
            await bus.respond(f"{namespace}.a", answer(str(number).encode()))
        everyone = await bus.gather(f"{namespace}.a", b"", 0.3, 100)
        assert sorted(everyone) == [b"0", b"1", b"2", b"3", b"4"]
        async with asyncio.timeout(DEADLINE_S):
            assert len(await bus.gather(f"{namespace}.a", b"", 60.0, 3)) == 3

    async def test_after_close(self, bus: AnyBus, namespace: str) -> None:
        await bus.close()
        await bus.close()
        assert not bus.connected
        bus.publish(f"{namespace}.a", b"x")
        assert (bus.counts.published, bus.counts.dropped) == (0, 1)
        with pytest.raises(Unavailable):
            await bus.subscribe(f"{namespace}.a", Inbox())


class TestMemoryBus:
    """What tests may count on."""

    def test_works_without_an_event_loop(self) -> None:
        bus = MemoryBus()
        bus.publish("a", b"x")
        assert (bus.deliver(), bus.deliver()) == (1, 0)

    async def test_an_outage_delays(self) -> None:
        bus, inbox = MemoryBus(), Inbox()
        await bus.subscribe("a", inbox)
        bus.set_connected(False)
        bus.publish("a", b"x")
        with pytest.raises(Unavailable):
            await bus.flush(0.05)
        assert (bus.connected, inbox.messages) == (False, [])
        bus.set_connected(True)
        assert await inbox.holds(1) == [b"x"]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Nats]:
    with Nats(tmp_path) as server:
        yield server


class TestNatsOutages:
    async def test_killed_and_started_again(self, own_server: Nats, namespace: str) -> None:
        bus = await NatsBus.connect(nats_settings(own_server), "test")
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        own_server.kill()
        await until(lambda: not bus.connected)

        during = Inbox()
        async with asyncio.timeout(DEADLINE_S):
            await bus.subscribe(f"{namespace}.b", during)
        bus.publish(f"{namespace}.a", b"while away")
        with pytest.raises(Unavailable):
            await bus.flush(0.05)
        with pytest.raises(Unavailable):
            await bus.request(f"{namespace}.a", b"", 0.05)

        await asyncio.to_thread(own_server.start)
        await until(lambda: bus.connected)
        bus.publish(f"{namespace}.a", b"after")
        bus.publish(f"{namespace}.b", b"new")
        assert await during.holds(1) == [b"new"]
        assert inbox.messages == [b"while away", b"after"]
        assert bus.counts.connects == 2
        await bus.close()

    async def test_publishing_while_away_is_bounded_and_keeps_the_newest(
        self, own_server: Nats, namespace: str
    ) -> None:
        bus = await NatsBus.connect(nats_settings(own_server, pending_bytes=100_000, timeout_s=60.0), "test")
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        own_server.kill()
        await until(lambda: not bus.connected)
        sent = [f"{number:010}".encode() * 1_000 for number in range(50)]
        for data in sent:
            bus.publish(f"{namespace}.a", data)
        assert bus.counts.dropped == 40
        await asyncio.to_thread(own_server.start)
        assert await inbox.holds(10) == sent[40:]
        await bus.close()

    async def test_a_silent_server_is_noticed_and_bounded(self, own_server: Nats, namespace: str) -> None:
        """A frozen process: its sockets stay open, the kernel's buffers fill, and no error comes."""
        settings = nats_settings(own_server, pending_bytes=8 * MIB, timeout_s=1.0, ping_interval_s=0.2)
        bus = await NatsBus.connect(settings, "test")
        inbox = Inbox()
        await bus.subscribe(f"{namespace}.a", inbox)
        own_server.pause()
        for _ in range(64):  # a publisher that waited for the server would stay here for good
            bus.publish(f"{namespace}.a", bytes(MIB // 2))
            await asyncio.sleep(0)
        assert bus.counts.dropped > 0
        await until(lambda: not bus.connected)
        own_server.unpause()
        await until(lambda: bus.connected)
        bus.publish(f"{namespace}.a", b"after")
        await bus.flush(DEADLINE_S)
        assert inbox.messages[-1] == b"after"
        await bus.close()

    async def test_a_server_that_is_not_there(self, own_server: Nats) -> None:
        own_server.kill()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(Unavailable) as raised:
                await NatsBus.connect(nats_settings(own_server, timeout_s=0.3), "test")
        assert isinstance(raised.value.__cause__, ConnectionRefusedError)

    async def test_a_wrong_token(self, own_server: Nats) -> None:
        settings = nats_settings(own_server, timeout_s=0.3).model_copy(update={"token": SecretStr("wrong")})
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(Unavailable) as raised:
                await NatsBus.connect(settings, "test")
        assert "Authorization Violation" in str(raised.value.__cause__)
        assert "wrong" not in str(raised.value.__cause__)

    async def test_close_sends_what_is_buffered(self, own_server: Nats, namespace: str) -> None:
        listener = await NatsBus.connect(nats_settings(own_server), "listener")
        inbox = Inbox()
        await listener.subscribe(f"{namespace}.a", inbox)
        bus = await NatsBus.connect(nats_settings(own_server), "test")
        for _ in range(100):
            bus.publish(f"{namespace}.a", bytes(10_000))
        await bus.close()
        assert len(await inbox.holds(100)) == 100
        await listener.close()
