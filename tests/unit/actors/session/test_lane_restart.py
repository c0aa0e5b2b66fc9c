"""A session actor that died anywhere between numbering and sending: its next incarnation repeats and skips nothing (row 1.9)."""

from __future__ import annotations

import pytest

from actors.session.lane import RESEND_MOST_S
from cluster.errors import Unavailable
from tests.unit.actors.session.lane_rig import ACTOR, Rig, body


@pytest.fixture
def rig() -> Rig:
    return Rig()


class TestRestart:
    async def test_what_was_numbered_and_not_logged_never_was(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("lost"), ("news", "5-0"))
        rig.flaky.fail("append")
        with pytest.raises(Unavailable):
            await lane.flush()
        rig.restarted()
        lane = await rig.lane()
        lane.put(["ses_1"], body("again"))
        await lane.flush()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["again"])]
        assert await rig.log.cursors(ACTOR) == {}

    async def test_what_was_logged_and_not_sent_comes_though_nothing_follows(self, rig: Rig) -> None:
        """Its gateway is asked, says that something is missing, and gets it."""
        session = rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        await lane.flush()
        lane.put(["ses_1"], body("2"))
        rig.flaky.fail("append", acted=True)
        with pytest.raises(Unavailable):
            await lane.flush()
        rig.restarted(ses_1=2)
        rig.published.clear()
        lane, session = await rig.lane(), rig.sessions["ses_1"]
        rig.now += 0.5
        lane.resend()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 3, [])]
        lane.reported(session, 1, 0, True)
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["2"])]
        lane.reported(session, 2, 0, False)
        rig.now += 60.0
        lane.resend()
        assert rig.sent() == []

    async def test_a_gateway_that_has_all_is_asked_until_it_answers(self, rig: Rig) -> None:
        rig.session()
        rig.restarted(ses_1=7)
        lane, asked = await rig.lane(), 0
        for _ in range(400):
            rig.now += 0.05
            lane.resend()
            asked += len(rig.sent())
        assert 20 / RESEND_MOST_S <= asked <= 5 + 40 / RESEND_MOST_S, "with backoff"
        lane.reported(rig.sessions["ses_1"], 7, 0, False)
        rig.now += 60.0
        lane.resend()
        assert (rig.sent(), rig.outrun) == ([], [])

    async def test_one_that_lacks_what_is_not_kept_any_more_is_outrun(self, rig: Rig) -> None:
        rig.session()
        rig.restarted(ses_1=7)
        lane = await rig.lane()
        lane.reported(rig.sessions["ses_1"], 5, 0, True)
        assert rig.outrun == ["ses_1"]

    async def test_its_word_counts_even_if_it_does_not_complain(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        for n in range(3):
            lane.put(["ses_1"], body(str(n)))
        await lane.flush()
        rig.restarted(ses_1=3)
        lane, session = await rig.lane(), rig.sessions["ses_1"]
        rig.published.clear()
        lane.reported(session, 1, 0, False)
        rig.now += 0.5
        lane.resend()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["1", "2"])]

    async def test_those_without_a_socket_and_those_that_were_told_nothing_are_not_asked_about(self, rig: Rig) -> None:
        rig.session("ses_1", gateway=""), rig.session("ses_2")
        rig.restarted(ses_1=7)
        lane = await rig.lane()
        rig.now += 5.0
        lane.resend()
        assert rig.sent() == []

    async def test_the_outboxes_are_as_they_were_but_for_acknowledgements(self, rig: Rig) -> None:
        rig.session("ses_1"), rig.session("ses_2")
        lane = await rig.lane()
        lane.put(["ses_1", "ses_2"], body("1"))
        await lane.flush()
        rig.now += 60.0
        lane.put(["ses_2"], body("2"))
        lane.put(["ses_1"], body("3"))
        await lane.flush()
        rig.sessions["ses_1"].outbox.ack(1)
        rig.restarted(ses_1=2, ses_2=2)
        lane = await rig.lane()
        found = {n: [(e.seq, e.at, e.body) for e in s.outbox.after(0) or []] for n, s in rig.sessions.items()}
        assert found == {
            "ses_1": [(1, 1_000.0, body("1")), (2, 1_060.0, body("3"))],
            "ses_2": [(1, 1_000.0, body("1")), (2, 1_060.0, body("2"))],
        }
        rig.now += 61.0
        lane.expire()
        assert [e.seq for e in rig.sessions["ses_2"].outbox.after(1) or []] == [2]
        assert rig.sessions["ses_2"].outbox.after(0) is None

    async def test_batches_that_are_too_old_stay_away(self, rig: Rig) -> None:
        rig.session()
        lane = await rig.lane()
        lane.put(["ses_1"], body("1"))
        await lane.flush()
        rig.restarted(ses_1=1)
        rig.now += 121.0
        await rig.lane()
        assert [rig.sessions["ses_1"].outbox.after(seq) for seq in (0, 1)] == [None, []]
