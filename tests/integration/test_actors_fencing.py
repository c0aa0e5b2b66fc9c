"""Of two incarnations one is believed; writes keep their order; actors are added when they are full. No Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import actors.session.sessions_actor
import actors.zone.zone_actor
import cluster.adapters.runtime
from actors.session.attaching import Attach
from actors.zone import records
from actors.zone.arrivals import Arrival, Standing
from cluster.errors import Conflict, Fenced, SessionGone, Unavailable
from cluster.ports.calls import sessions_actor
from tests.integration.backstage import DEADLINE_S, MEADOW, SESSIONS, ZONE, Backstage, Viewer
from tests.local_realm import local_realm


class StoppedError(Exception):
    """In place of the end of a process that was fenced."""


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Backstage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        yield Backstage(realm)


@pytest.fixture
def fenced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told to stop, instead of this process ending."""
    stopped: list[str] = []

    def stop(what: str) -> None:
        stopped.append(what)
        raise StoppedError(what)

    for module in (cluster.adapters.runtime, actors.zone.zone_actor, actors.session.sessions_actor):
        monkeypatch.setattr(module, "stop_fenced", stop)
    return stopped


async def stopped(loops: list[asyncio.Task[None]]) -> None:
    """Waits for the one of them that was told so. The others go on: here the process does not end."""
    done, _ = await asyncio.wait(loops, timeout=DEADLINE_S, return_when=asyncio.FIRST_EXCEPTION)
    assert any(isinstance(loop.exception(), StoppedError) for loop in done if not loop.cancelled())


class TestFencing:
    async def test_an_old_zone_is_believed_by_nobody(self, stage: Backstage, fenced: list[str]) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await ann.until(lambda: ann.sees(bob))
        old = stage.owner()
        for loop in old._loops[2:]:
            loop.cancel()  # it must not find out by its checkpoint before it was seen to speak
        links = stage.realm.gateway.hub.zones
        await stage.start(ZONE)
        await bob.until(lambda: bob.epochs[-1:] == [2])
        for step in range(1, 6):
            await ann.move(100 + step, 100)
            await bob.until(lambda step=step: bob.sees(ann, 100 + step))  # type: ignore[misc]
        await stage.until(lambda: links.stale_outputs > 0)
        assert bob.epochs == [1, 2]
        assert old.zone.ticks > 0

        store = stage.owner()._tools.store
        before = await store.load(MEADOW)

        async def change() -> None:
            old.zone.change(old.zone.of_session(ann.session_id), {"hat": "red"})
            await old.writer.written()

        attempts: list[Callable[[], Any]] = [
            change,
            lambda: old.attach(ann.session_id, "gtw_x", 9),
            lambda: old.detach(ann.session_id, 9),
            lambda: old.leave(ann.session_id),
            lambda: old.enter(Arrival("ent_n", "N", "ses_n", "usr_n", "chr_n", "gtw_x", 1, 1, 0, 1, 0)),
            old.transit.claim,
        ]
        for attempt in attempts:
            with pytest.raises(Fenced):
                await attempt()
        assert fenced == [ZONE]
        with pytest.raises(StoppedError):
            await old._checkpoint()
        after = await store.load(MEADOW)
        assert after.entities == before.entities
        assert after.places_at >= before.places_at
        assert len(stage.owner().zone.table) == 2
        for player in (ann, bob):
            await player.leave()
        await stopped(old._loops)

    async def test_an_old_zone_stops_by_its_next_checkpoint(self, stage: Backstage, fenced: list[str]) -> None:
        await stage.start(ZONE)
        await stage.until(lambda: bool(fenced))
        assert fenced[0] == ZONE

    async def test_an_old_session_actor_changes_nothing_and_stops(self, stage: Backstage, fenced: list[str]) -> None:
        ann = await stage.enter("usr_a", 100)
        old = stage.runner(SESSIONS)
        for loop in old._loops:
            loop.cancel()
        await stage.start(SESSIONS)
        session_id = ann.session_id
        before = await stage.record(session_id)
        attempts: list[Callable[[], Any]] = [
            lambda: old.set_presence(session_id, 1, "away", None, None),
            lambda: old.subscribe(session_id, 1, ["x"], []),
            lambda: old.attach(Attach(session_id, "usr_a", "gtw_x")),
            lambda: old.detach(session_id, 1),
        ]
        for attempt in attempts:
            with pytest.raises(StoppedError):
                await attempt()
        assert fenced == [SESSIONS] * 4
        assert await stage.record(session_id) == before
        assert (await ann.ask("presence.update", status="away"))["status"] == "away"
        await ann.leave()

    async def test_an_old_session_actor_stops_by_its_next_sweep(self, stage: Backstage, fenced: list[str]) -> None:
        """Its grace period for a client ends, though the client is back by way of the new one."""
        ann = await stage.enter("usr_a", 100)
        session_id, old = ann.session_id, stage.runner(SESSIONS)
        await ann.leave()
        host = await old._host()
        await stage.until(lambda: host.sessions[session_id].detached_at is not None)
        await stage.start(SESSIONS)
        again = await Viewer.join(stage.realm, "usr_a", session_id=session_id)
        assert again.ready["resumed"]
        host.sessions[session_id].detached_at = float("-inf")
        await stage.until(lambda: bool(fenced))
        assert fenced == ["sweep"]
        await stopped(old._loops)
        snapshot = await again.ask("state.sync.request")
        assert snapshot["entities"][0]["entity_id"] == again.world["entity_id"]
        await again.leave()


async def test_an_acknowledged_change_is_not_overwritten_by_a_slower_write(
    stage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attach stores the entity too; the two must get into the store in their order."""
    ann = await stage.enter("usr_a", 100)
    owner, entity = stage.owner(), ann.world["entity_id"]
    store, commit = owner._tools.store, owner._tools.store.commit
    waits = [0.1]

    async def slow_first(*args: Any) -> None:
        if waits:
            await asyncio.sleep(waits.pop())
        await commit(*args)

    monkeypatch.setattr(store, "commit", slow_first)
    attaching = asyncio.create_task(owner.attach(ann.session_id, stage.realm.gateway.hub.gateway_id, 1))
    await asyncio.sleep(0)
    changed = await ann.ask("state.sync.delta", entity_id=entity, version=1, properties={"hat": "red"})
    assert changed == {"version": 2}
    await attaching
    stored = records.load((await store.load(MEADOW)).entities[entity]).entity
    assert (stored.version, stored.properties) == (2, {"hat": "red"})
    await ann.leave()


async def test_an_entry_that_is_not_stored_is_not_acknowledged(
    stage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = stage.owner()

    async def away(*_args: Any) -> None:
        raise Unavailable("redis")

    who = Arrival("ent_x", "X", "ses_x", "usr_x", "chr_x", "gtw_x", 1, 101, 0, 100, 0)
    other = Arrival("ent_y", "Y", "ses_y", "usr_y", "chr_y", "gtw_x", 1, 101, 0, 100, 0)
    with monkeypatch.context() as patch:
        for method in ("commit", "claim", "owner"):
            patch.setattr(owner._tools.store, method, away)
        for arrival in (who, other):  # the first finds out, the second one is told
            with pytest.raises(Unavailable):
                await owner.enter(arrival)
        assert len(owner.zone.table) == 0
    await stage.until(lambda: not owner.writer.away)
    assert isinstance(await owner.enter(who), Standing)
    with monkeypatch.context() as patch:
        patch.setattr(owner._tools.store, "commit", away)
        with pytest.raises(Unavailable):
            await owner.enter(who)
    assert len(owner.zone.table) == 1, "it was there before"
    await stage.until(lambda: not owner.writer.away)
    with pytest.raises(Conflict):
        await owner.enter(Arrival("ent_x", "X", "ses_y", "usr_x", "chr_x", "gtw_x", 1, 101, 0, 100, 0))
    await owner.leave("ses_x")


class TestGrowth:
    async def test_with_one_session_for_each_actor_every_player_gets_an_actor(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        sessions = {"sessions_per_actor": 1, "actors": 1}
        async with local_realm(valkey_url, nats_url, nats_token, namespace, session=sessions) as realm:
            stage = Backstage(realm)
            players = [await stage.enter(f"usr_{n}", 100 + n) for n in range(4)]
            infos = [await stage.runner(sessions_actor(n)).info() for n in range(4)]
            assert [(info["actor"], info["sessions"]) for info in infos] == [(sessions_actor(n), 1) for n in range(4)]
            assert sessions_actor(4) not in realm.actors
            for player in players:
                await player.until(lambda player=player: len(player.entities) == 3)  # type: ignore[misc]
            at_once = await asyncio.gather(*(Viewer.join(realm, f"usr_many{n}") for n in range(4)))
            assert len({p.session_id for p in (*players, *at_once)}) == 8
            counts = [len((await stage.runner(sessions_actor(n))._host()).sessions) for n in range(8)]
            assert counts == [1] * 8
            assert int(await stage.redis.get(f"{stage.ns}:session-actor-count")) == 8
            await stage.restart(sessions_actor(2))
            assert (await players[2].ask("presence.update", status="away"))["status"] == "away"
            for player in (*players, *at_once):
                await player.leave()

    async def test_a_supervisor_that_comes_back_starts_as_many_as_there_were(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        """Also when the settings ask for fewer by then: sessions may have been placed on any of them."""
        for configured in (3, 1):
            session = {"actors": configured}
            async with local_realm(valkey_url, nats_url, nats_token, namespace, session=session) as realm:
                names = sorted(name for name in realm.actors if name.startswith("sessions/"))
                assert names == [sessions_actor(n) for n in range(3)]
                players = [await Viewer.join(realm, f"usr_{configured}_{n}") for n in range(3)]
                for player in players:
                    await player.leave()


async def test_a_session_that_another_actor_holds_is_not_attached(stage: Backstage) -> None:
    host = await stage.runner(SESSIONS)._host()
    with pytest.raises(SessionGone):
        await host.attach(Attach("ses_none", "usr_a", "gtw_x"))
