"""A step of a change fails: nothing is left behind that the next call or sweep does not repair."""

from __future__ import annotations

import pytest

from actors.session.attaching import Attach
from actors.session.host import SessionHost
from cluster.errors import Fenced, RateLimited, RealmError, SessionGone, Unavailable
from cluster.ports.calls import zone_actor
from tests.unit.actors.session.stage import MEADOW, Stage

# Where an entry may fail. A call is repeated within its deadline, so a zone must fail more than once to be away.
ENTRY = [("characters", "claim"), ("zone", "enter"), ("store", "write")]


def break_at(stage: Stage, part: str, method: str, *, acted: bool, error: RealmError | None = None) -> None:
    target = stage.zones[MEADOW] if part == "zone" else getattr(stage, part)
    target.fail(method, error, acted=acted, times=100 if part == "zone" else 1)


def heal(stage: Stage) -> None:
    for target in (*stage.zones.values(), stage.characters, stage.store):
        target.heal()


async def ready(stage: Stage) -> tuple[SessionHost, str]:
    host = await stage.host()
    attached = await stage.attach(host)
    await stage.character(zone=MEADOW, x=20.0)
    return host, attached.session_id


class TestEnter:
    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(("part", "method"), ENTRY)
    async def test_nothing_is_left(self, stage: Stage, part: str, method: str, acted: bool) -> None:
        host, session_id = await ready(stage)
        break_at(stage, part, method, acted=acted)
        with pytest.raises(Unavailable):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        assert host.sessions[session_id].record.state == "authenticated"
        assert len(stage.zone().table) == 0
        if (part, acted) != ("characters", True):
            assert (await stage.hero()).session == ""

    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(("part", "method"), ENTRY)
    @pytest.mark.parametrize("key", ["key", "another"])
    async def test_and_the_next_try_succeeds(self, stage: Stage, part: str, method: str, acted: bool, key: str) -> None:
        host, session_id = await ready(stage)
        break_at(stage, part, method, acted=acted)
        with pytest.raises(Unavailable):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        heal(stage)
        world = await host.enter(session_id, 1, key, "chr_ann", "")
        assert world["position"] == {"x": 20.0, "y": 0.0, "z": 20.0}
        assert len(stage.zone().table) == 1
        assert (await stage.record(session_id)).state == "in_world"

    async def test_an_answer_that_is_lost_once_does_not_show(self, stage: Stage) -> None:
        host, session_id = await ready(stage)
        stage.zones[MEADOW].fail("enter", acted=True)
        await host.enter(session_id, 1, "key", "chr_ann", "")
        assert stage.zones[MEADOW].called == ["enter", "enter"]
        assert len(stage.zone().table) == 1

    async def test_a_zone_that_is_away(self, stage: Stage) -> None:
        host, session_id = await ready(stage)
        away = stage.actors.pop(zone_actor(MEADOW))
        with pytest.raises(Unavailable):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        assert (await stage.hero()).session == ""
        stage.actors[zone_actor(MEADOW)] = away
        await host.enter(session_id, 1, "key", "chr_ann", "")

    async def test_a_full_zone(self, stage: Stage) -> None:
        host, session_id = await ready(stage)
        stage.zones[MEADOW].fail("enter", RateLimited("zone_full", 5.0))
        with pytest.raises(RateLimited):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        assert (await stage.hero()).session == ""

    async def test_the_first_error_is_told_when_undoing_fails_too(self, stage: Stage) -> None:
        """A stray is in the zone then. It goes as soon as the session tries again or ends; else the zone's sweep finds it."""
        host, session_id = await ready(stage)
        stage.store.fail("write", Unavailable("the store"))
        stage.zones[MEADOW].fail("leave", times=100)
        stage.characters.fail("release")
        with pytest.raises(Unavailable, match="the store"):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        assert session_id in stage.zone().table.by_session
        assert (await stage.record(session_id)).zone_id == ""
        heal(stage)
        await host.enter(session_id, 1, "again", "chr_ann", "")
        assert len(stage.zone().table) == 1

    async def test_after_being_fenced_nothing_is_undone(self, stage: Stage) -> None:
        """The newer incarnation may have done the same entry meanwhile; what the old one undid would be its."""
        host, session_id = await ready(stage)
        newer = await stage.host()
        with pytest.raises(Fenced):
            await host.enter(session_id, 1, "key", "chr_ann", "")
        assert "leave" not in stage.zones[MEADOW].called
        assert "release" not in stage.characters.called
        await newer.enter(session_id, 1, "key", "chr_ann", "")
        assert (await stage.hero()).session == session_id
        assert session_id in stage.zone().table.by_session


class TestLeave:
    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("part", "method"),
        [("zone", "leave"), ("characters", "save_place"), ("characters", "release"), ("store", "write")],
    )
    async def test_the_next_try_succeeds(self, stage: Stage, part: str, method: str, acted: bool) -> None:
        host = await stage.host()
        session_id = (await stage.enter(host)).session_id
        break_at(stage, part, method, acted=acted)
        with pytest.raises(Unavailable):
            await host.leave(session_id, 1)
        assert host.sessions[session_id].record.state == "in_world"
        heal(stage)
        await host.leave(session_id, 1)
        assert (await stage.record(session_id)).state == "authenticated"
        assert (await stage.hero()).session == ""
        assert len(stage.zone().table) == 0
        await host.enter(session_id, 1, "again", "chr_ann", "")


class TestAttach:
    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(("part", "method"), [("zone", "attach"), ("store", "write")])
    @pytest.mark.parametrize("detached", [False, True])
    async def test_the_gateway_that_had_it_keeps_it(
        self, stage: Stage, part: str, method: str, acted: bool, detached: bool
    ) -> None:
        host = await stage.host()
        session_id = (await stage.enter(host)).session_id
        if detached:
            await host.detach(session_id, 1)
        failing = stage.zones[MEADOW] if part == "zone" else stage.store
        failing.fail(method, acted=acted, times=1)
        if part == "zone":  # further than its call is repeated
            stage.zones[MEADOW].fail(method, times=8)
        with pytest.raises(Unavailable):
            await host.attach(Attach(session_id, "usr_a", "gtw_b"))
        assert stage.closed == []
        assert host.sessions[session_id].record.gateway_id == ("" if detached else "gtw_a")
        heal(stage)
        if part == "store":
            entity = stage.zone().of_session(session_id)
            assert entity.gateway_id == ("" if detached else "gtw_a")
        await host.attach(Attach(session_id, "usr_a", "gtw_b"))
        assert stage.zone().of_session(session_id).gateway_id == "gtw_b"
        assert (await stage.record(session_id)).gateway_id == "gtw_b"

    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    async def test_of_a_new_session(self, stage: Stage, acted: bool) -> None:
        host = await stage.host()
        session_id = await stage.place()
        stage.store.fail("write", acted=acted)
        with pytest.raises(Unavailable):
            await host.attach(Attach(session_id, "usr_a", "gtw_a"))
        attached = await host.attach(Attach(session_id, "usr_a", "gtw_a"))
        assert (attached.resumed, attached.attach_epoch) == (False, 1)

    async def test_fenced(self, stage: Stage) -> None:
        old = await stage.host()
        session_id = (await stage.enter(old)).session_id
        newer = await stage.host()
        stage.zones[MEADOW].called.clear()
        with pytest.raises(Fenced):
            await old.attach(Attach(session_id, "usr_a", "gtw_b"))
        assert stage.zones[MEADOW].called == ["attach"], "nothing is taken back"
        again = await newer.attach(Attach(session_id, "usr_a", "gtw_c"))
        assert stage.zone().of_session(session_id).gateway_id == "gtw_c"
        assert again.attach_epoch == 2


class TestDetach:
    async def test_a_zone_that_is_away_does_not_keep_the_session(self, stage: Stage) -> None:
        host = await stage.host()
        session_id = (await stage.enter(host)).session_id
        away = stage.actors.pop(zone_actor(MEADOW))
        with pytest.raises(Unavailable):
            await host.detach(session_id, 1)
        assert (await stage.record(session_id)).gateway_id == ""
        stage.actors[zone_actor(MEADOW)] = away
        await stage.wait(host, 31.0)
        assert host.sessions == {}
        assert len(stage.zone().table) == 0

    @pytest.mark.parametrize("acted", [False, True], ids=["before", "after"])
    async def test_a_repeat_stores_it(self, stage: Stage, acted: bool) -> None:
        host = await stage.host()
        session_id = (await stage.enter(host)).session_id
        stage.store.fail("write", acted=acted)
        with pytest.raises(Unavailable):
            await host.detach(session_id, 1)
        await host.detach(session_id, 1)
        assert (await stage.record(session_id)).gateway_id == ""
        assert stage.zone().of_session(session_id).gateway_id == ""


class TestEnd:
    async def test_an_older_incarnation_takes_nobody_out_of_the_world(self, stage: Stage) -> None:
        """It still waits for a client that has long been back, at the newer one."""
        old = await stage.host()
        session_id = (await stage.enter(old)).session_id
        await old.detach(session_id, 1)
        newer = await stage.host()
        await newer.attach(Attach(session_id, "usr_a", "gtw_b"))
        stage.now += 31.0
        with pytest.raises(Fenced):
            await old.sweep()
        assert stage.zone().of_session(session_id).gateway_id == "gtw_b"
        assert (await stage.hero()).session == session_id
        assert (await stage.record(session_id)).state == "in_world"

    async def test_nor_does_one_that_thinks_the_record_is_gone(self, stage: Stage) -> None:
        old = await stage.host()
        session_id = (await stage.enter(old)).session_id
        await old.keep_alive()
        stage.store.fail("write", SessionGone("session_expired"))
        with pytest.raises(SessionGone):
            await stage.belongings.set_presence(session_id, 1, "away", None, None)
        await stage.host()
        with pytest.raises(Fenced):
            await old.sweep()
        assert session_id in stage.zone().table.by_session

    async def test_one_that_was_ending_when_its_actor_died_ends(self, stage: Stage) -> None:
        first = await stage.host()
        session_id = (await stage.enter(first)).session_id
        await first.detach(session_id, 1)
        stage.now += 31.0
        away = stage.actors.pop(zone_actor(MEADOW))
        await first.sweep()
        assert (await stage.record(session_id)).state == "disconnecting"
        stage.actors[zone_actor(MEADOW)] = away
        second = await stage.host()
        with pytest.raises(SessionGone):
            await second.attach(Attach(session_id, "usr_a", "gtw_b"))
        await second.sweep()
        assert second.sessions == {}
        assert (await stage.hero()).session == ""
        assert len(stage.zone().table) == 0


@pytest.mark.parametrize("method", ["set_presence", "subscribe", "set_attribute", "detach", "leave", "watch"])
async def test_an_older_incarnation_changes_nothing(stage: Stage, method: str) -> None:
    old = await stage.host()
    session_id = (await stage.enter(old)).session_id
    newer = await stage.host()
    before = await stage.record(session_id)
    args = {
        "set_presence": ("away", None, None),
        "subscribe": (["a"], []),
        "set_attribute": ("a", 1),
        "watch": (["usr_b"], []),
    }.get(method, ())
    with pytest.raises(Fenced):
        await getattr(old if method in ("detach", "leave") else stage.parts[old].belongings, method)(
            session_id, 1, *args
        )
    assert await stage.record(session_id) == before
    assert newer.sessions[session_id].record == before
