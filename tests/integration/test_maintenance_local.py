"""Operators close the realm and open it again, and tell everybody something (row 7.8). Real sockets, no Ray."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from cluster.errors import InvalidState
from cluster.operations.all import registry
from cluster.operations.announcing import Maintain
from cluster.operations.conduct import Cancelled
from cluster.operations.model import Action
from cluster.ports.accounts import Account
from tests.integration.operations_rig import ADA, Operations, TestJob, operations
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

DEADLINE_S = 10.0


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    session = {"sessions_per_actor": 2, "grace_s": 30.0}
    telemetry = {"beat_s": 0.2}
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, session=session, telemetry=telemetry
    ) as running:
        yield running


@pytest.fixture
async def desk(realm: LocalRealm) -> AsyncIterator[Operations]:
    async with operations(realm) as made:
        for name in ("ann", "bob", "mod"):
            await made.desk.accounts.create(Account(f"usr_{name}", name, "$argon2id$", 1.0))
        yield made


async def knock(realm: LocalRealm, query: str = "", token: str = "") -> tuple[int, str, str]:
    """Status, reason and Retry-After of an upgrade; 101 if it is let in."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        socket = await connect(f"{realm.url}?{query}", additional_headers=headers, proxy=None)
    except InvalidStatus as refused:
        body = json.loads(refused.response.body or b"{}")
        return refused.response.status_code, body["reason"], refused.response.headers.get("Retry-After", "")
    await socket.close()
    return 101, "", ""


async def until_closed(realm: LocalRealm, closed: bool) -> None:
    """The gateway knows it within 5 s."""
    async with asyncio.timeout(5.0):
        while (realm.gateway._guarding.maintenance is not None) is not closed:  # noqa: ASYNC110 - it is told by the bus, or looks
            await asyncio.sleep(0.01)


def said(player: Player) -> list[str]:
    return [n.params["text"] for n in player.notices if n.method == "system.message" and isinstance(n.params, dict)]


async def test_closed_to_players_and_open_again(realm: LocalRealm, desk: Operations) -> None:
    ann = await Player.join(realm, "usr_ann")
    assert (await desk.look("realm.overview"))["maintenance"]["on"] is False
    plan = await desk.plan("realm.maintenance", on=True, allow=["bob"])
    assert "1 players" in plan.steps[1]
    done = await desk.act("realm.maintenance", on=True, reason="new ground", allow=["Bob"], for_s=120.0)
    assert done == {"on": True, "told": 1, "left": None, "silent": []}
    await until_closed(realm, True)
    await ann.until(lambda: said(ann) != [])
    assert said(ann) == ["The realm takes nobody in for maintenance: new ground. You can stay."]
    assert (await ann.ask("system.ping"))["server_time"] > 0, "who is inside plays on"

    status, reason, retry = await knock(realm, token=realm.token("usr_new"))
    assert (status, reason) == (503, "maintenance")
    assert 60 < int(retry) <= 120
    recovery = ann.ready["recovery"]["token"]
    await ann.leave()
    assert (await knock(realm, f"recovery={recovery}"))[:2] == (503, "maintenance")
    for user, role in (("usr_bob", "player"), ("usr_mod", "moderator"), ("usr_op", "operator")):
        assert (await knock(realm, token=realm.token(user, role=role)))[0] == 101, user
    assert realm.gateway.hub.room() is None, "health stays well"

    held = (await desk.look("realm.overview"))["maintenance"]
    assert (held["on"], held["by"], held["reason"], held["allow"]) == (True, ADA.name, "new ground", ["usr_bob"])
    assert held["until"] == pytest.approx(held["since"] + 120.0, abs=1.0)
    await desk.act("realm.maintenance", on=False)
    await until_closed(realm, False)
    assert (await knock(realm, token=realm.token("usr_new")))[0] == 101
    back = await Player.join(realm, "usr_ann", session_id=ann.session_id)
    assert back.ready["resumed"] is True
    await back.leave()


async def test_sockets_are_closed_when_it_is_time(realm: LocalRealm, desk: Operations) -> None:
    ann, bob, cid = [await Player.join(realm, f"usr_{name}") for name in ("ann", "bob", "cid")]
    job = TestJob()
    done = await desk.act("realm.maintenance", job, on=True, close_after_s=0.5, allow=["bob"])
    assert done == {"on": True, "told": 3, "left": 0, "silent": []}
    for player in (ann, cid):
        assert (await player.closed(), player.ws.close_reason) == (1013, "maintenance")
        assert said(player) == ["The realm closes for maintenance now."]
    assert (await bob.ask("system.ping"))["server_time"] > 0
    # Whoever carries the job out again neither closes anew nor tells anybody twice.
    again = await desk.act("realm.maintenance", job, on=True, close_after_s=0.5, allow=["bob"])
    assert again == done
    await bob.ask("system.ping")
    assert len(said(bob)) == 1
    await bob.leave()


async def test_it_can_be_cancelled_until_then(realm: LocalRealm, desk: Operations) -> None:
    ann = await Player.join(realm, "usr_ann")
    job = TestJob()
    closing = asyncio.create_task(desk.act("realm.maintenance", job, on=True, close_after_s=60.0))
    await ann.until(lambda: said(ann) != [])
    assert said(ann) == ["The realm closes for maintenance in 60 s."]
    action = registry().operations["realm.maintenance"]
    assert isinstance(action, Action)
    assert action.cancel is not None
    await action.cancel(desk.desk, Maintain(on=True), job.id)
    job.cancelled = True
    with pytest.raises(Cancelled):
        await closing
    await ann.until(lambda: len(said(ann)) == 2)
    await until_closed(realm, False)
    assert ann.code is None
    assert [entry.result for entry in await desk.audit("realm.maintenance")] == ["begun", "cancelled"]
    with pytest.raises(InvalidState):
        await action.cancel(desk.desk, Maintain(on=True), job.id)
    await ann.leave()


async def test_a_broadcast(realm: LocalRealm, desk: Operations) -> None:
    """To all, those who are away for a moment too; or to those in one zone."""
    ann, bob, cid = [await Player.join(realm, f"usr_{name}") for name in ("ann", "bob", "cid")]
    world = await ann.enter(await realm.character("usr_ann"))
    await cid.leave()
    plan = await desk.plan("realm.broadcast", text="Hello")
    assert "3 players" in plan.steps[0]
    job = TestJob()
    assert await desk.act("realm.broadcast", job, text="Hello") == {"told": 3, "silent": []}
    assert await desk.act("realm.broadcast", job, text="Hello") == {"told": 3, "silent": []}
    assert await desk.act("realm.broadcast", text="Here", zone=world["zone"]) == {"told": 1, "silent": []}
    await ann.until(lambda: len(said(ann)) == 2)
    await bob.until(lambda: said(bob) != [])
    assert (said(ann), said(bob)) == (["Hello", "Here"], ["Hello"])
    back = await Player.open(f"{realm.url}?recovery={cid.ready['recovery']['token']}"
                             f"&last={cid.ready['stream']}.{cid.ready['seq']}")  # fmt: skip
    await back.until(lambda: said(back) != [])
    assert said(back) == ["Hello"]
    for player in (ann, bob, back):
        await player.leave()


async def test_the_overview(realm: LocalRealm, desk: Operations) -> None:
    ann = await Player.join(realm, "usr_ann")
    await ann.enter(await realm.character("usr_ann"))
    async with asyncio.timeout(DEADLINE_S):
        while True:
            seen = await desk.look("realm.overview")
            if seen["sessions"] and seen["sockets"] and seen["players"] and seen["tick_ms_p95_worst"]:
                break
            await asyncio.sleep(0.05)
    assert (seen["players"], seen["sessions"], seen["sockets"], seen["gateways"]) == (1, 1, 1, 1)
    assert (seen["zones"], seen["zones_away"]) == (len(realm.settings.world.zones), [])
    said_to_be_wrong = [problem["text"] for problem in seen["problems"]]
    assert said_to_be_wrong == ["the web process is not heard: nobody can log in"], "this realm has none"
    await realm.kill("sessions/0")
    await realm.kill("zone/zon_meadow")
    async with asyncio.timeout(DEADLINE_S):
        while not any("sessions/0" in p["text"] for p in (await desk.look("realm.overview"))["problems"]):  # noqa: ASYNC110 - until beats are missed
            await asyncio.sleep(0.05)
    ann.ws.transport.abort()
