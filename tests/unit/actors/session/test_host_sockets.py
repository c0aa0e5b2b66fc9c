"""Attach, resume, replace, detach (rows 1.1, 1.2)."""

from __future__ import annotations

import asyncio

import pytest

from actors.session.attaching import Attach
from actors.session.host import REPLACED
from cluster.adapters.memory.calls import MemoryCalls
from cluster.errors import Conflict, SessionGone, Unauthorized
from cluster.ports.sessions import Fence
from tests.unit.actors.session.stage import ACTOR, MEADOW, WALL, Stage
from tests.unit.actors.zone_model import views_of


class TestAttach:
    async def test_a_new_session(self, stage: Stage) -> None:
        host = await stage.host()
        session_id = await stage.place()
        assert (await stage.record(session_id)).state == "connected"
        attached = await host.attach(Attach(session_id, "usr_a", "gtw_a"))
        assert (attached.session_id, attached.user_id, attached.attach_epoch) == (session_id, "usr_a", 1)
        assert (attached.resumed, attached.state, attached.world, attached.subscriptions) == (
            False,
            "authenticated",
            None,
            (),
        )
        record = await stage.record(session_id)
        assert (record.state, record.gateway_id, record.attach_epoch) == ("authenticated", "gtw_a", 1)
        assert record.last_activity == WALL + stage.now
        assert stage.closed == []
        assert [(p.session_id, p.actor, p.status, p.present) for p in stage.told] == [
            (session_id, ACTOR, "online", True)
        ]

    async def test_resuming_takes_the_session_from_the_gateway_that_had_it(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await stage.belongings.subscribe(first.session_id, 1, ["news"], [])
        again = await host.attach(Attach(first.session_id, "usr_a", "gtw_b"))
        assert (again.resumed, again.attach_epoch, again.subscriptions) == (True, 2, ("news",))
        assert stage.closed == [("gtw_a", first.session_id, 1, REPLACED, "replaced")]
        assert (await stage.record(first.session_id)).gateway_id == "gtw_b"

    async def test_resuming_on_the_same_gateway_closes_the_older_socket_only(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await host.attach(Attach(first.session_id, "usr_a", "gtw_a"))
        assert stage.closed == [("gtw_a", first.session_id, 1, REPLACED, "replaced")]

    async def test_resuming_after_a_detach_closes_nothing(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.attach(host)
        await host.detach(first.session_id, 1)
        assert (await host.attach(Attach(first.session_id, "usr_a", "gtw_b"))).resumed
        assert stage.closed == []

    async def test_the_world_comes_along(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.enter(host)
        stage.zone().tick(0.0)
        again = await host.attach(Attach(first.session_id, "usr_a", "gtw_b"))
        assert again.state == "in_world"
        assert again.world is not None
        assert (again.world["zone"], again.world["character_id"], again.world["name"]) == (MEADOW, "chr_ann", "Ann")
        assert again.world["position"] == {"x": 20.0, "y": 0.0, "z": 20.0}
        views = views_of_meadow(stage)
        assert views == {"gtw_b": [again.world["number"]]}

    async def test_a_zone_that_lost_the_entity_gets_it_again(self, stage: Stage) -> None:
        host = await stage.host()
        first = await stage.enter(host)
        await stage.characters.inner.save_place("chr_ann", MEADOW, 30.0, 0.0, 40.0, 1.0)
        stage.zone().leave(first.session_id)
        stage.zone().tick(0.0)
        again = await host.attach(Attach(first.session_id, "usr_a", "gtw_b"))
        assert again.world is not None
        assert again.world["position"] == {"x": 30.0, "y": 0.0, "z": 40.0}
        assert views_of_meadow(stage) == {"gtw_b": [again.world["number"]]}

    async def test_somebody_else_s_session(self, stage: Stage) -> None:
        host = await stage.host()
        session_id = await stage.place("usr_a")
        with pytest.raises(Unauthorized) as refused:
            await host.attach(Attach(session_id, "usr_b", "gtw_b"))
        assert refused.value.reason == "session_not_yours"
        assert (await stage.record(session_id)).state == "connected"

    async def test_a_session_that_is_not_there(self, stage: Stage) -> None:
        with pytest.raises(SessionGone):
            await (await stage.host()).attach(Attach("ses_none", "usr_a", "gtw_a"))

    async def test_a_session_of_another_actor(self, stage: Stage) -> None:
        host = await stage.host()
        await stage.records.register_actor(Fence("sessions/1", await stage.epochs.take("sessions", "sessions/1")))
        first = await stage.place()
        second = (await stage.records.place("", "ses_other", "usr_a", 9, 1, 300.0, 0.0)).session_id
        assert (await stage.record(second)).actor == "sessions/1"
        await host.attach(Attach(first, "usr_a", "gtw_a"))
        with pytest.raises(SessionGone):
            await host.attach(Attach(second, "usr_a", "gtw_a"))

    async def test_many_at_once_and_one_holds(self, stage: Stage) -> None:
        host = await stage.host()
        session_id = await stage.place()
        results = await asyncio.gather(*(host.attach(Attach(session_id, "usr_a", f"gtw_{n}")) for n in range(20)))
        assert [a.attach_epoch for a in results] == list(range(1, 21))
        assert [a.resumed for a in results] == [False] + [True] * 19
        record = await stage.record(session_id)
        assert (record.gateway_id, record.attach_epoch) == ("gtw_19", 20)
        assert [(g, e) for g, _, e, *_ in stage.closed] == [(f"gtw_{n}", n + 1) for n in range(19)]
        assert len(host.sessions) == 1


def views_of_meadow(stage: Stage) -> dict[str, list[int]]:
    return {gateway: list(views) for gateway, views in views_of(stage.zone().tick(0.0).outputs).items()}


class TestDetach:
    async def test_the_session_waits_and_the_character_stays(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.enter(host)
        stage.told.clear()
        await host.detach(attached.session_id, 1)
        record = await stage.record(attached.session_id)
        assert (record.gateway_id, record.state, record.attach_epoch) == ("", "in_world", 1)
        assert attached.session_id in stage.zone().table.by_session
        assert stage.zone().of_session(attached.session_id).gateway_id == ""
        assert [(p.status, p.zone_id, p.present) for p in stage.told] == [("online", MEADOW, True)]

    @pytest.mark.parametrize("attach_epoch", [0, 1, 3])
    async def test_of_another_attach_is_ignored(self, stage: Stage, attach_epoch: int) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
        await host.detach(attached.session_id, attach_epoch)
        assert (await stage.record(attached.session_id)).gateway_id == "gtw_b"

    async def test_twice_and_of_nobody(self, stage: Stage) -> None:
        host = await stage.host()
        attached = await stage.attach(host)
        await host.detach(attached.session_id, 1)
        stage.told.clear()
        await host.detach(attached.session_id, 1)
        await host.detach("ses_none", 1)
        assert stage.told == []


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("enter", ("key", "chr_ann", "")),
        ("leave", ()),
        ("subscribe", (["a"], [])),
        ("set_presence", ("away", None, None)),
        ("watch", (["usr_b"], [])),
        ("set_attribute", ("a", 1)),
    ],
)
async def test_a_gateway_that_lost_the_session_may_not_act_for_it(
    stage: Stage, method: str, args: tuple[object, ...]
) -> None:
    host = await stage.host()
    attached = await stage.enter(host)
    await host.attach(Attach(attached.session_id, "usr_a", "gtw_b"))
    before = await stage.record(attached.session_id)
    with pytest.raises(Conflict) as refused:
        await getattr(host if method in ("enter", "leave") else stage.belongings, method)(attached.session_id, 1, *args)
    assert refused.value.reason == "newer_attach"
    assert await stage.record(attached.session_id) == before


async def test_what_crosses_between_processes_survives_it(stage: Stage) -> None:
    """Over calls, as gateways do it: results and errors are copied, as Ray would."""
    host = await stage.host()
    calls = MemoryCalls({ACTOR: host})
    session_id = await stage.place()
    attached = await calls.call(ACTOR, "attach", Attach(session_id, "usr_a", "gtw_a"), deadline_s=1.0)
    assert attached.attach_epoch == 1
    with pytest.raises(Unauthorized, match="session not yours"):
        await calls.call(ACTOR, "attach", Attach(session_id, "usr_b", "gtw_a"), deadline_s=1.0)
