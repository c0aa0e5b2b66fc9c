"""A gateway says which sockets it has; what both sides believe is made the same (row 1.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.session.host import RESTART
from actors.session.roster import ATTACH_GRACE_S, stray, unlisted
from actors.session.session import Session
from cluster.ports.sessions import SessionRecord
from tests.unit.actors.session.stage import Stage

NOW = 1_000.0


def session(name: str = "ses_1", gateway: str = "gtw_a", epoch: int = 3, attached_at: float = 0.0) -> Session:
    record = SessionRecord(name, "usr_1", "sessions/0", "authenticated", gateway, epoch)
    return Session(record, attached_at=attached_at)


class TestUnlisted:
    def test_one_that_is_missing_twice_is_gone(self) -> None:
        lost, held = session("ses_1"), session("ses_2")
        assert unlisted([lost, held], "gtw_a", {"ses_2": 3}, NOW) == []
        assert unlisted([lost, held], "gtw_a", {"ses_2": 3}, NOW) == [("ses_1", 3)]
        assert unlisted([lost, held], "gtw_a", {"ses_2": 3}, NOW) == [("ses_1", 3)], "until somebody does something"

    def test_twice_in_a_row(self) -> None:
        it = session()
        for held in ({}, {"ses_1": 3}, {}, {"ses_1": 3}, {}):
            assert unlisted([it], "gtw_a", held, NOW) == []

    def test_a_socket_of_an_older_attach_does_not_count(self) -> None:
        it = session()
        unlisted([it], "gtw_a", {"ses_1": 2}, NOW)
        assert unlisted([it], "gtw_a", {"ses_1": 2}, NOW) == [("ses_1", 3)]

    @pytest.mark.parametrize("gateway", ["gtw_b", ""])
    def test_other_gateways_sessions_are_not_meant(self, gateway: str) -> None:
        it = session(gateway=gateway)
        for _ in range(3):
            assert unlisted([it], "gtw_a", {}, NOW) == []

    def test_one_that_was_attached_a_moment_ago_has_time(self) -> None:
        it = session(attached_at=NOW)
        for _ in range(3):
            assert unlisted([it], "gtw_a", {}, NOW + ATTACH_GRACE_S - 0.1) == []
        for _ in range(2):
            gone = unlisted([it], "gtw_a", {}, NOW + ATTACH_GRACE_S)
        assert gone == [("ses_1", 3)]


class TestStray:
    def test_one_that_is_as_it_should_be(self) -> None:
        assert stray({"ses_1": session()}, {"ses_1": 3}) == []

    def test_one_of_a_session_that_is_over(self) -> None:
        assert stray({}, {"ses_1": 3}) == [("ses_1", 3, "session_lost")]

    def test_one_of_an_older_attach(self) -> None:
        assert stray({"ses_1": session()}, {"ses_1": 2}) == [("ses_1", 2, "replaced")]

    def test_one_of_a_session_that_counts_as_detached(self) -> None:
        assert stray({"ses_1": session(gateway="")}, {"ses_1": 3}) == [("ses_1", 3, "detached")]


class TestHost:
    async def test_a_session_whose_socket_never_opened_is_found(self, stage: Stage) -> None:
        """The answer to its attach was lost; its gateway lives on."""
        host = await stage.host()
        attached = await stage.enter(host)
        stage.now += ATTACH_GRACE_S
        assert host.roster("gtw_a", {}) == []
        gone = host.roster("gtw_a", {})
        assert gone == [(attached.session_id, 1)]
        await host.detach(*gone[0])
        assert (await stage.record(attached.session_id)).gateway_id == ""
        assert stage.zone().of_session(attached.session_id).link_dead

    async def test_after_a_restart_too(self, stage: Stage) -> None:
        attached = await stage.attach(await stage.host())
        host = await stage.host()
        host.roster("gtw_a", {})
        assert host.roster("gtw_a", {}) == [(attached.session_id, 1)]

    async def test_a_socket_that_should_have_been_closed_is_closed_now(self, stage: Stage) -> None:
        """The order to close it was lost: nothing would ever come to it, and its session would end under it."""
        host = await stage.host()
        attached = await stage.attach(host)
        await stage.wait(host, 4.1)
        assert (await stage.record(attached.session_id)).gateway_id == ""
        host.heard("gtw_a")
        stage.closed.clear()
        assert host.roster("gtw_a", {attached.session_id: 1}) == []
        assert stage.closed == [("gtw_a", attached.session_id, 1, RESTART, "detached")]

    async def test_one_that_was_replaced_or_is_over(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        host.sessions[attached.session_id].record = replace(
            host.sessions[attached.session_id].record, gateway_id="gtw_b", attach_epoch=2
        )
        host.roster("gtw_a", {attached.session_id: 1, "ses_over": 4})
        assert sorted(stage.closed) == [
            ("gtw_a", attached.session_id, 1, 4500, "replaced"),
            ("gtw_a", "ses_over", 4, 4000, "session_lost"),
        ]
