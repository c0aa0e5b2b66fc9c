"""A lost gateway's users stay until the silence and their grace period are over; then they are offline, told once (row 3.2)."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.session import sessions_actor
from cluster.settings import SessionSettings
from realm_proto import internal_pb2
from serve_apps.gateway.gateway_app import GatewayRunner
from tests.integration.backstage import PRESENCE, SESSIONS
from tests.integration.presence_rig import Stage, Watcher, all_leave
from tests.local_realm import LocalRealm, local_realm

SILENCE_S, GRACE_S = 2.1, 2.0
SWEEP_S = 0.2  # far less than half of the silence: a busy machine must not look like an actor that slept
SLACK_S = 4.0  # for such a machine
EARLY_S = 0.1  # between a heartbeat's two receivers


class Heartbeats:
    """When each gateway was heard last, on the monotonic clock."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def heard(self, data: bytes) -> None:
        self.last[internal_pb2.GatewayAlive.FromString(data).gateway_id] = time.monotonic()


async def second_gateway(realm: LocalRealm) -> GatewayRunner:
    """New sockets go to it from now on; the first one keeps those it has."""
    gateway = GatewayRunner(realm.open)
    await gateway.start(realm.realm)
    return gateway


def dies(gateway: GatewayRunner) -> None:
    """Nothing more is heard of it, and it hears nothing; nobody closes its sockets."""
    for loop in gateway._loops:
        loop.cancel()


async def told_offline(watcher: Watcher, user_id: str) -> float:
    """When the watcher is told so."""
    await watcher.until(lambda: (user_id, "offline") in watcher.told)
    return time.monotonic()


async def test_its_users_are_offline_after_silence_and_grace_and_once(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_actor, "SWEEP_S", SWEEP_S)
    session = SessionSettings(gateway_silence_s=SILENCE_S, grace_s=GRACE_S)
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session=session) as realm:
        stage, lost = Stage(realm), realm.gateway
        ann, eve = await stage.watcher("usr_a"), await stage.watcher("usr_e")
        realm.gateway = await second_gateway(realm)
        heartbeats = Heartbeats()
        await realm.gateway._runtime.bus.subscribe(realm.gateway._runtime.subjects.gateway_alive(), heartbeats.heard)
        lost_id = lost.hub.gateway_id
        bob = await stage.watcher("usr_b")
        assert [g.hub.clients.keys() for g in (lost, realm.gateway)] == [
            {ann.session_id, eve.session_id},
            {bob.session_id},
        ]
        await bob.subscribe("usr_a", "usr_e")
        await stage.until(lambda: lost_id in heartbeats.last)
        dies(lost)
        ending = asyncio.create_task(told_offline(bob, "usr_a"))
        sessions = stage.runner(SESSIONS)._sessions.sessions
        await stage.until(lambda: sessions[eve.session_id].record.gateway_id == "")
        silent = time.monotonic() - heartbeats.last[lost_id]
        assert silent >= SILENCE_S - EARLY_S
        assert [(await bob.get(user))[0]["status"] for user in ("usr_a", "usr_e")] == ["online", "online"]
        back = await stage.watcher("usr_e", session_id=eve.session_id)
        assert back.ready["resumed"], "she found another gateway in time"

        gone = await ending - heartbeats.last[lost_id]
        assert SILENCE_S + GRACE_S - EARLY_S <= gone <= SILENCE_S + GRACE_S + SLACK_S
        index = await stage.runner(PRESENCE)._index()
        await stage.until(lambda: ann.session_id not in index.sessions())
        await back.ask("presence.update", status="busy")  # what is told after it came after anything that was to come
        await bob.hears("usr_e", status="busy")
        assert bob.told.count(("usr_a", "offline")) == 1
        assert [status for user, status in bob.told if user == "usr_a"][-1] == "offline"
        assert ("usr_e", "offline") not in bob.told
        lost.stop()
        await asyncio.gather(*lost._loops, return_exceptions=True)
        await all_leave(back, bob)
