"""kill -9 under players on a whole realm (row 1.9): everyone walks again, without a new login."""

from __future__ import annotations

import asyncio

import pytest

from cluster.bench.kills import KINDS, run_kills
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm

BOTS = 10


def test_players_walk_again_after_each_kill(realm: RealRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    result = run_kills(BOTS, realm.url)
    assert [fault["kind"] for fault in result["faults"]] == list(KINDS)
    for fault in result["faults"]:
        assert fault["all_walking"], fault
        assert fault["restarted"], fault
        assert fault["new_logins"] == 0, fault
    assert result["corrections"] == 0


def test_a_session_of_its_own_actor_each(tmp_path_factory: pytest.TempPathFactory) -> None:
    """sessions_per_actor = 1: the supervisor starts an actor for every further session."""
    from rayrealm_client.client import RealmClient
    from tests.real_realm import real_realm

    config = "[session]\nsessions_per_actor = 1\n[accounts]\nargon2_memory_kib = 256\nargon2_time_cost = 1\n"

    async def three_sessions(url: str) -> None:
        async with RealmClient(url) as one, RealmClient(url) as two, RealmClient(url) as three:
            for number, client in enumerate((one, two, three)):
                await client.register(f"player-{number}", "correct horse battery")
                hero = await client.create_character(f"Hero {'abc'[number]}")
                await client.enter(hero.character_id)
            running = await asyncio.to_thread(realm.pids, "sessions")
            assert len(running) == 3

    with real_realm(tmp_path_factory.mktemp("one-each"), config, gateways=1) as realm:
        asyncio.run(three_sessions(realm.url))
