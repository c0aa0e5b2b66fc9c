"""What no gateway has confirmed goes again, with backoff; what clients acknowledge is kept no longer (row 2.5)."""

from __future__ import annotations

import itertools

import pytest
from structlog.testing import capture_logs

from actors.session import lane as lane_module
from actors.session.lane import RESEND_FIRST_S, RESEND_MOST_S, ReliableLane
from actors.session.session import Session
from cluster.ports.sessions import SessionRecord
from tests.unit.actors.session.lane_rig import ACTOR, Rig, body


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def told(rig: Rig, count: int = 1) -> tuple[ReliableLane, Session]:
    """A session that was sent so many, which nobody has confirmed."""
    session = rig.session()
    lane = await rig.lane()
    for n in range(1, count + 1):
        lane.put(["ses_1"], body(str(n)))
    await lane.flush()
    rig.published.clear()
    return lane, session


class TestResending:
    async def test_again_and_again_with_backoff(self, rig: Rig) -> None:
        lane, _ = await told(rig)
        times, start = [], rig.now
        while rig.now < start + 60.0:
            rig.now += 0.05
            lane.resend()
            times += [round(rig.now - start, 2)] * len(rig.sent())
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert times[0] == pytest.approx(RESEND_FIRST_S, abs=0.06)
        pauses = [min(RESEND_FIRST_S * 2.0 ** (n + 1), RESEND_MOST_S) for n in range(len(gaps))]
        for gap, pause in zip(gaps, pauses, strict=True):
            assert pause / 2 - 0.06 <= gap <= pause + 0.06
        assert len(gaps) >= 60 / RESEND_MOST_S - 1
        assert lane.resent == len(times)

    async def test_not_what_was_confirmed(self, rig: Rig) -> None:
        lane, session = await told(rig, 3)
        lane.reported(session, 3, 0, False)
        rig.now += 60.0
        lane.resend()
        assert rig.sent() == []

    async def test_only_what_was_not(self, rig: Rig) -> None:
        lane, session = await told(rig, 3)
        lane.reported(session, 2, 1, False)
        rig.now += 0.4
        lane.resend()
        assert rig.sent() == []
        rig.now += 0.1
        lane.resend()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 3, ["3"])]

    async def test_a_socket_that_goes_on_is_not_sent_everything_again(self, rig: Rig) -> None:
        """Under steady traffic its reports are always a little behind."""
        lane, session = await told(rig)
        for n in range(2, 200):
            rig.now += 0.05
            lane.put(["ses_1"], body(str(n)))
            await lane.flush()
            lane.reported(session, n - 1, 0, False)
            lane.resend()
        assert lane.resent == 0

    async def test_at_once_when_the_gateway_says_that_it_lacks_some(self, rig: Rig) -> None:
        lane, session = await told(rig, 3)
        lane.reported(session, 1, 0, True)
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["2", "3"])]
        rig.now += 0.6
        lane.resend()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["2", "3"])], "that may have been lost as well"

    async def test_what_it_said_before_does_not_count_then(self, rig: Rig) -> None:
        """Nothing that a gateway has can be lost; but what this actor takes it to have may be wrong."""
        lane, session = await told(rig, 3)
        lane.reported(session, 3, 0, False)
        lane.reported(session, 2, 0, True)
        assert rig.sent() == [("gtw_a", "ses_1", 1, 3, ["3"])]

    async def test_a_part_at_a_time(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        lane, session = await told(rig, 5)
        monkeypatch.setattr(lane_module, "RESEND_COUNT", 2)
        lane.reported(session, 0, 0, True)
        assert rig.sent() == [("gtw_a", "ses_1", 1, 1, ["1", "2"])]
        monkeypatch.setattr(lane_module, "RESEND_BYTES", 1)
        lane.reported(session, 2, 0, True)
        assert rig.sent() == [("gtw_a", "ses_1", 1, 3, ["3"])]

    async def test_not_to_nobody(self, rig: Rig) -> None:
        """A last report of a socket that is gone."""
        lane, session = await told(rig)
        session.record = SessionRecord("ses_1", "usr_1", ACTOR, "authenticated", "", 1)
        lane.reported(session, 0, 0, True)
        rig.now += 60.0
        lane.resend()
        assert rig.sent() == []
        del rig.sessions["ses_1"]
        lane.resend()

    async def test_a_new_socket_begins_anew(self, rig: Rig) -> None:
        lane, session = await told(rig)
        for _ in range(100):
            rig.now += 0.5
            lane.resend()
        rig.published.clear()
        lane.attached(session, session.outbox.logged)
        rig.now += 60.0
        lane.resend()
        assert rig.sent() == [], "it has all there is"
        lane.put(["ses_1"], body("2"))
        await lane.flush()
        rig.published.clear()
        rig.now += 0.5
        lane.resend()
        assert rig.sent() == [("gtw_a", "ses_1", 1, 2, ["2"])], "without the backoff of the old one"

    async def test_a_socket_that_fell_behind_its_outbox_is_told(self, rig: Rig) -> None:
        rig = Rig(outbox_count=2)
        lane, session = await told(rig, 5)
        lane.reported(session, 2, 0, False)
        assert rig.outrun == []
        rig.now += 0.5
        lane.resend()
        assert (rig.outrun, rig.sent()) == (["ses_1"], [])
        lane.reported(session, 3, 0, True)
        assert (rig.outrun, rig.sent()) == (["ses_1"], [("gtw_a", "ses_1", 1, 4, ["4", "5"])])


class TestAcknowledging:
    async def test_it_empties_the_outbox(self, rig: Rig) -> None:
        lane, session = await told(rig, 3)
        lane.reported(session, 3, 2, False)
        assert [e.seq for e in session.outbox.after(2) or []] == [3]
        assert session.outbox.after(1) is None

    async def test_of_what_was_never_sent_is_logged_and_changes_nothing(self, rig: Rig) -> None:
        """Gateways refuse it; one that does not is wrong."""
        lane, session = await told(rig, 3)
        with capture_logs() as logs:
            lane.reported(session, 9, 4, False)
        assert [line["event"] for line in logs] == ["acknowledged_too_much"]
        assert (session.outbox.acked, session.outbox.delivered) == (0, 3)
