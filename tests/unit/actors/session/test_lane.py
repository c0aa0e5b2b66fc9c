"""Number, log, send: one batch at a time, nothing sent that the log does not have (row 2.5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.session import lane as lane_module
from actors.session.lane import BATCH_MESSAGES
from cluster.errors import Fenced, Unavailable
from cluster.ports.sessions import Fence, SessionRecord
from tests.unit.actors.session.lane_rig import ACTOR, Rig, body


@pytest.fixture
def rig() -> Rig:
    return Rig()


class TestFlush:
    async def test_what_waits_goes_together(self, rig: Rig) -> None:
        rig.session("ses_1"), rig.session("ses_2", "gtw_b", 4)
        lane = await rig.lane()
        await rig.log.follow(Fence(ACTOR, 1), {"news": "", "chat:a": ""})
        lane.put(["ses_1", "ses_2"], body("1"), ("news", "5-0"))
        lane.put(["ses_2"], body("2"))
        lane.put(["ses_1"], body("3"), ("news", "7-0"))
        lane.put(["ses_1"], body("4"), ("chat:a", "2-0"))
        await lane.flush()
        assert await rig.batches() == [["1", "2", "3", "4"]]
        assert await rig.log.cursors(ACTOR) == {"news": "7-0", "chat:a": "2-0"}
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1", "3", "4"]), ("gtw_b", "ses_2", 4, 1, ["1", "2"])]
        assert lane.sent == 2

    async def test_a_gateway_gets_the_bodies_of_its_own_sessions_once(self, rig: Rig) -> None:
        rig.session("ses_1"), rig.session("ses_2"), rig.session("ses_3", "gtw_b")
        lane = await rig.lane()
        lane.put(["ses_3"], body("secret"))
        lane.put(["ses_1", "ses_2"], body("news"))
        await lane.flush()
        assert {gateway: [b.params_json for b in batch.bodies] for gateway, batch in rig.published} == {
            "gtw_a": [b"news"],
            "gtw_b": [b"secret"],
        }
        assert {(batch.actor, batch.epoch) for _, batch in rig.published} == {(ACTOR, 1)}

    async def test_nothing_is_sent_before_the_log_has_it(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        session = rig.session()
        lane, gate = await rig.lane(), asyncio.Event()
        append = rig.log.append

        async def slow(*args: Any) -> None:
            assert rig.published == []
            await gate.wait()
            await append(*args)
            assert rig.published == []

        monkeypatch.setattr(rig.log, "append", slow)
        lane.put(["ses_1"], body("1"))
        flushing = asyncio.create_task(lane.flush())
        await asyncio.sleep(0)
        lane.put(["ses_1"], body("2"))
        lane.put(["ses_1"], body("3"))
        assert (session.outbox.logged, session.outbox.after(0)) == (0, [])
        gate.set()
        await flushing
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1"])]
        await lane.flush()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["2", "3"])]
        assert await rig.batches() == [["1"], ["2", "3"]], "what waited went together"

    async def test_there_is_work_until_all_is_logged(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        waiting = asyncio.create_task(lane.wait_for_work())
        await asyncio.sleep(0)
        assert not waiting.done()
        lane.put(["ses_1"], body("1"))
        rig.flaky.fail("append")
        with pytest.raises(Unavailable):
            await lane.flush()
        await asyncio.wait_for(lane.wait_for_work(), 1)
        await lane.flush()
        await waiting
        waiting = asyncio.create_task(lane.wait_for_work())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await lane.flush()
        assert await rig.batches() == [["1"]]

    async def test_one_without_a_socket_is_numbered_and_not_sent_to(self, rig: Rig) -> None:
        session = rig.session(gateway="")
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        await lane.flush()
        assert rig.sent() == []
        assert [e.body for e in session.outbox.after(0) or []] == [body("1")]

    async def test_one_that_is_over_is_left_out_also_while_the_batch_is_on_its_way(self, rig: Rig) -> None:
        rig.session("ses_1"), rig.session("ses_2")
        lane = await rig.lane()
        lane.put(["ses_1", "ses_none"], body("1"))
        lane.put(["ses_2"], body("2"))
        rig.flaky.fail("append")
        with pytest.raises(Unavailable):
            await lane.flush()
        del rig.sessions["ses_2"]
        await lane.flush()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1"])]

    async def test_a_socket_that_came_meanwhile_gets_it(self, rig: Rig) -> None:
        """It was not in the answer to the attach, because the log had not got it."""
        session = rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        rig.flaky.fail("append", acted=True)
        with pytest.raises(Unavailable):
            await lane.flush()
        session.record = SessionRecord("ses_1", "usr_1", ACTOR, "authenticated", "gtw_b", 2)
        lane.attached(session, session.outbox.logged)
        await lane.flush()
        assert rig.sent() == [("gtw_b", "ses_1", 2, 1, ["1"])]

    async def test_a_batch_is_bounded(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.session()
        lane = await rig.lane()
        for n in range(BATCH_MESSAGES + 1):
            lane.put(["ses_1"], body(str(n)))
        await lane.flush()
        await lane.flush()
        assert [len(bodies) for bodies in await rig.batches()] == [BATCH_MESSAGES, 1]
        monkeypatch.setattr(lane_module, "BATCH_BYTES", 10)
        for _ in range(3):
            lane.put(["ses_1"], body("123456"))
        await lane.flush()
        assert (await rig.batches())[-1] == ["123456"] * 2
        monkeypatch.setattr(lane_module, "BATCH_NUMBERS", 4)
        monkeypatch.setattr(lane_module, "BATCH_BYTES", 1_000)
        for _ in range(3):
            lane.put([f"ses_{n}" for n in range(3)], body("x"))
        await lane.flush()
        assert (await rig.batches())[-1] == ["123456", "x"]

    async def test_no_message_to_a_gateway_is_larger_than_the_bus_takes(self, rig: Rig) -> None:
        for n in range(40):
            rig.session(f"ses_{n}")
        lane = await rig.lane()
        for n in range(40):
            lane.put([f"ses_{n}"], body("x" * 60_000))
        while lane._pending:
            await lane.flush()
        assert max(batch.ByteSize() for _, batch in rig.published) < 600_000
        assert sorted(name for _, name, *_ in rig.sent()) == sorted(rig.sessions)

    async def test_it_says_when_it_takes_no_more(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.session()
        lane = await rig.lane()
        monkeypatch.setattr(lane_module, "PENDING_MESSAGES", 2)
        full = [lane.full]
        for text in "12":
            lane.put(["ses_1"], body(text))
            full.append(lane.full)
        assert full == [False, False, True]
        with pytest.raises(Unavailable):
            await lane.post([(["ses_1"], "n", b"3")], 1.0)
        await lane.flush()
        full = [lane.full]
        monkeypatch.setattr(lane_module, "PENDING_BYTES", 8)
        lane.put(["ses_1"], body("1234567"))
        full.append(lane.full)
        await lane.flush()
        assert [*full, lane.full] == [False, True, False]
        assert await rig.batches() == [["1", "2"], ["1234567"]]


class TestFailing:
    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    async def test_the_same_numbers_are_sent_once(self, rig: Rig, acted: bool) -> None:
        session = rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        rig.flaky.fail("append", acted=acted, times=3)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await lane.flush()
        assert (rig.sent(), session.outbox.logged) == ([], 0)
        lane.put(["ses_1"], body("2"))
        await lane.flush()
        await lane.flush()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1"]), ("gtw_a", "ses_1", 1, 2, ["2"])]
        assert await rig.batches() == [["1"]] * (4 if acted else 1) + [["2"]]

    async def test_a_newer_incarnation_stops_it(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        await rig.lane()
        for _ in range(2):
            with pytest.raises(Fenced):
                await lane.flush()
        assert (rig.sent(), await rig.batches()) == ([], [])

    async def test_a_post_returns_when_it_is_logged(self, rig: Rig) -> None:
        rig.session("ses_1"), rig.session("ses_2")
        lane = await rig.lane()
        posting = asyncio.create_task(lane.post([(["ses_1"], "n", b"1"), (["ses_1", "ses_2"], "m", b"2")], 5.0))
        await asyncio.sleep(0)
        rig.flaky.fail("append", acted=True)
        with pytest.raises(Unavailable):
            await lane.flush()
        assert not posting.done()
        await lane.flush()
        await posting
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1", "2"]), ("gtw_a", "ses_2", 1, 1, ["2"])]

    async def test_a_post_that_takes_too_long_may_still_come(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        with pytest.raises(Unavailable):
            await lane.post([(["ses_1"], "n", b"1")], 0.001)
        await lane.flush()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1"])]

    async def test_a_bus_that_refuses_it_keeps_nobody_waiting(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        posting = asyncio.create_task(lane.post([(["ses_1"], "n", b"1")], 5.0))
        await asyncio.sleep(0)

        def refuse(_gateway_id: str, _data: bytes) -> None:
            raise ValueError("too large")

        lane._send = refuse
        with pytest.raises(ValueError, match="too large"):
            await lane.flush()
        await posting


async def test_an_overflow_is_not_silent() -> None:
    """What is dropped to stay within the bounds makes recovery say so."""
    rig = Rig(outbox_count=3)
    session = rig.session(gateway="")
    lane = await rig.lane()
    for n in range(1, 6):
        lane.put(["ses_1"], body(str(n)))
    await lane.flush()
    assert session.outbox.after(1) is None
    assert [e.seq for e in session.outbox.after(2) or []] == [3, 4, 5]
