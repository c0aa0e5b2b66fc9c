"""presence.* over a real socket, in both framings (row 3.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from cluster.settings import SessionSettings
from cluster.social_settings import PresenceSettings
from rayrealm_client.codec import Failure, Framing
from tests.integration.backstage import MEADOW, PRESENCE
from tests.integration.presence_rig import Stage, Watcher, all_leave
from tests.local_realm import local_realm

FRAMINGS: list[Framing] = ["json", "proto"]


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Stage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session=SessionSettings(grace_s=0.5)) as realm:
        yield Stage(realm)


@pytest.mark.parametrize("framing", FRAMINGS)
class TestRoutes:
    async def test_update(self, stage: Stage, framing: Framing) -> None:
        ann, bob = await stage.watcher("usr_a", framing), await stage.watcher("usr_b", framing)
        await bob.subscribe("usr_a")
        metadata = {"song": "Lento \u2603"}
        assert await ann.ask("presence.update", status="busy", text="  e\u0301at\u202eing", metadata=metadata) == {
            "status": "busy",
            "text": "  \u00e9ating",
            "metadata": metadata,
        }
        heard = await bob.hears("usr_a", status="busy")
        assert (heard["text"], heard["metadata"]) == ("  \u00e9ating", metadata)
        assert (await ann.ask("presence.update", text="", metadata={}))["status"] == "busy"
        await bob.hears("usr_a", status="busy", text="", metadata={})
        await all_leave(ann, bob)

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"status": "offline"},
            {"status": "ONLINE"},
            {"status": 7},
            {"text": "x" * 121},
            {"text": "\u202e\u202e"},
            {"text": ["x"]},
            {"metadata": {f"m{number}": "" for number in range(9)}},
            {"metadata": {"song": "x" * 129}},
            {"metadata": {"": "x"}},
            {"metadata": {"song": {"deep": "er"}}},
            {"mood": "x"},
            {"text": "<b></b>"},
        ],
    )
    async def test_bad_updates_change_nothing(self, stage: Stage, framing: Framing, params: dict[str, Any]) -> None:
        ann = await stage.watcher("usr_a", framing)
        answer = await ann.ask("presence.update", **params)
        assert isinstance(answer, Failure)
        assert answer.code == -32602
        [own] = await ann.get("usr_a")
        assert (own["status"], own["text"], own["metadata"]) == ("online", "", {})
        await all_leave(ann)

    async def test_10_000_names_at_once(self, stage: Stage, framing: Framing) -> None:
        """More than 500 are refused; a frame that is too long for that ends the socket."""
        ann, bob = await stage.watcher("usr_a", framing), await stage.watcher("usr_b", framing)
        refused = await ann.ask("presence.get", user_ids=[f"usr_{number}" for number in range(3_000)])
        assert isinstance(refused, Failure)
        assert isinstance(refused.data, dict)
        assert (refused.code, [each["field"] for each in refused.data["errors"]]) == (-32602, ["user_ids"])
        assert len(await ann.get(*(f"usr_{number}" for number in range(500)))) == 500
        await ann.notify("presence.get", user_ids=[f"usr_{number}" for number in range(10_000)])
        assert await ann.closed() == 1009
        assert len(await bob.get("usr_b")) == 1
        await all_leave(bob)

    async def test_get(self, stage: Stage, framing: Framing) -> None:
        ann, bob = await stage.playing("usr_a", framing, "Ann"), await stage.watcher("usr_b", framing)
        await stage.online("usr_a")
        presences = await bob.get("usr_nobody", "usr_a", "usr_b", "usr_a")
        version = presences[0]["version"]
        nothing = {"zone": "", "character_id": "", "name": "", "text": "", "metadata": {}, "version": version}
        assert presences == [
            {"user_id": "usr_nobody", "status": "offline"} | nothing,
            {"user_id": "usr_a", "status": "online"}
            | nothing
            | {"zone": MEADOW, "character_id": ann.world["character_id"], "name": "Ann"},
            {"user_id": "usr_b", "status": "online"} | nothing,
        ]
        assert version >= 10**9
        await all_leave(ann, bob)

    async def test_500_at_once_and_no_more(self, stage: Stage, framing: Framing) -> None:
        ann = await stage.watcher("usr_a", framing)
        users = [f"usr_{number}" for number in range(499)] + ["usr_a"]
        presences = await ann.get(*users)
        assert [presence["user_id"] for presence in presences] == users
        assert [presence["status"] for presence in presences] == ["offline"] * 499 + ["online"]
        for bad in ([*users, "usr_500"], [], ["nobody"], ["usr_a", 7], "usr_a"):
            answer = await ann.ask("presence.get", user_ids=bad)
            assert isinstance(answer, Failure)
            assert answer.code == -32602, bad
        await all_leave(ann)

    async def test_subscribe_and_unsubscribe(self, stage: Stage, framing: Framing) -> None:
        ann, bob = await stage.watcher("usr_a", framing), await stage.watcher("usr_b", framing)
        [there, gone] = await bob.subscribe("usr_a", "usr_nobody", "usr_a")
        assert (there["status"], gone["status"]) == ("online", "offline")
        await ann.ask("presence.update", status="away")
        await bob.hears("usr_a", status="away")
        assert await bob.ask("presence.unsubscribe", user_ids=["usr_a", "usr_x"]) == {"watching": 1}
        told = len(bob.told)
        await ann.ask("presence.update", status="busy")
        await bob.subscribe("usr_b")  # its own, by the same way
        await bob.ask("presence.update", status="busy")
        await bob.hears("usr_b", status="busy")
        assert [user for user, _ in bob.told[told:]] == ["usr_b"]
        await all_leave(ann, bob)

    async def test_200_and_no_more(self, stage: Stage, framing: Framing) -> None:
        ann = await stage.watcher("usr_a", framing)
        await ann.subscribe(*(f"usr_{number}" for number in range(199)))
        await ann.subscribe("usr_0", "usr_199")
        for more in (["usr_200"], [f"usr_{number}" for number in range(201)]):
            answer = await ann.ask("presence.subscribe", user_ids=more)
            assert isinstance(answer, Failure)
            assert (answer.code, (answer.data or {})["limit"]) == (-32004, 200)
        assert await ann.ask("presence.unsubscribe", user_ids=["usr_7"]) == {"watching": 199}
        assert len(await ann.subscribe("usr_200")) == 1
        await all_leave(ann)

    async def test_privacy(self, stage: Stage, framing: Framing) -> None:
        await stage.befriend("usr_a", "usr_f")
        ann = await stage.playing("usr_a", framing, "Ann")
        friend, other = await stage.watcher("usr_f", framing), await stage.watcher("usr_o", framing)
        await stage.online("usr_a")
        for watcher in (ann, friend, other):
            await watcher.subscribe("usr_a")
            assert watcher.known["usr_a"]["name"] == "Ann"
        assert await ann.ask("presence.privacy") == {"zone": "all", "character": "all"}
        assert await ann.ask("presence.privacy", zone="friends", character="nobody") == {
            "zone": "friends",
            "character": "nobody",
        }
        await friend.hears("usr_a", status="online", zone=MEADOW, name="", character_id="")
        await other.hears("usr_a", status="online", zone="", name="", character_id="")
        assert await ann.ask("presence.privacy", zone="nobody", character="friends") == {
            "zone": "nobody",
            "character": "friends",
        }
        await friend.hears("usr_a", status="online", zone="", name="Ann")
        [seen] = await other.get("usr_a")
        assert (seen["status"], seen["zone"], seen["name"], seen["character_id"]) == ("online", "", "", "")
        [own] = await ann.get("usr_a")
        assert (own["zone"], own["name"]) == (MEADOW, "Ann")
        for bad in ({"zone": "everybody"}, {"character": 1}, {"zone": ["all"]}):
            answer = await ann.ask("presence.privacy", **bad)
            assert isinstance(answer, Failure)
            assert answer.code == -32602
        await all_leave(ann, friend, other)


class TestStatuses:
    async def test_invisible_looks_offline_to_all_but_oneself(self, stage: Stage) -> None:
        await stage.befriend("usr_a", "usr_f")
        ann, second = await stage.playing("usr_a", name="Ann"), await stage.watcher("usr_a")
        friend, other = await stage.watcher("usr_f"), await stage.watcher("usr_o")
        for watcher in (second, friend, other):
            await watcher.subscribe("usr_a")
        await second.ask("presence.update", status="invisible")
        await ann.ask("presence.update", status="invisible")
        await second.hears("usr_a", status="invisible", name="Ann")
        seen = await friend.hears("usr_a", status="offline", zone="", character_id="")
        assert seen["last_online"] > 1.0
        unknown = (await other.get("usr_nobody"))[0]
        assert await other.hears("usr_a", status="offline") == unknown | {
            "user_id": "usr_a",
            "version": other.known["usr_a"]["version"],
        }
        told = len(friend.told)
        await ann.ask("world.leave")
        await ann.ask("presence.update", text="nobody reads this")
        await friend.ask("presence.update", status="busy")
        [again] = await friend.get("usr_a")
        assert again | {"version": 0} == seen | {"version": 0}
        assert friend.told[told:] == []
        await all_leave(ann, second, friend, other)

    async def test_who_left_invisible_comes_back_unseen(self, stage: Stage) -> None:
        ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
        await bob.subscribe("usr_a")
        await ann.ask("presence.update", status="invisible", text="shy")
        await bob.hears("usr_a", status="offline")
        await ann.leave()
        told = len(bob.told)
        again = await stage.watcher("usr_a")
        [own] = await again.get("usr_a")
        assert (own["status"], own["text"]) == ("invisible", "shy")
        await again.ask("presence.update", status="online")
        await bob.hears("usr_a", status="online", text="shy")
        assert bob.told[told:] == [("usr_a", "online")]
        await all_leave(again, bob)

    async def test_who_chose_another_status_since_does_not_come_back_unseen(self, stage: Stage) -> None:
        ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
        await bob.subscribe("usr_a")
        for last in ("away", "online"):
            for status in ("invisible", last):
                await ann.ask("presence.update", status=status)
            await bob.hears("usr_a", status=last)
            await ann.leave()
            await bob.hears("usr_a", status="offline")
            ann = await stage.watcher("usr_a")
            await bob.hears("usr_a", status="online")
        await all_leave(ann, bob)

    async def test_several_devices_are_one_user_until_the_last_one_left(self, stage: Stage) -> None:
        bob = await stage.watcher("usr_b")
        await bob.subscribe("usr_a")
        one = await stage.watcher("usr_a")
        await bob.hears("usr_a", status="online")
        two = await stage.playing("usr_a", "json", "Ann")
        await bob.hears("usr_a", status="online", zone=MEADOW)
        await two.ask("presence.update", status="away")
        await bob.hears("usr_a", status="online", zone="")
        await one.ask("presence.update", status="busy")
        await bob.hears("usr_a", status="busy", zone="")
        await one.leave()
        await bob.hears("usr_a", status="away", zone=MEADOW)
        await two.leave()
        heard = await bob.hears("usr_a", status="offline")
        assert "last_online" not in heard, "for friends only"
        statuses = [status for user, status in bob.told if user == "usr_a"]
        assert statuses.index("offline") == len(statuses) - 1
        await all_leave(bob)

    async def test_who_comes_back_in_time_was_never_gone(self, stage: Stage) -> None:
        bob, ann = await stage.watcher("usr_b"), await stage.watcher("usr_a")
        await bob.subscribe("usr_a")
        session_id = ann.session_id
        await ann.leave()
        again = await stage.watcher("usr_a", session_id=session_id)
        assert again.ready["resumed"]
        await again.ask("presence.update", status="busy")
        await bob.hears("usr_a", status="busy")
        assert ("usr_a", "offline") not in bob.told
        await again.leave()
        await bob.hears("usr_a", status="offline")
        await all_leave(bob)


class TestTies:
    async def test_who_is_blocked_sees_nobody_there(self, stage: Stage) -> None:
        ann, bob = await stage.playing("usr_a", name="Ann"), await stage.watcher("usr_b")
        for me, other in ((ann, "usr_b"), (bob, "usr_a")):
            await me.subscribe(other)
        await stage.block("usr_a", "usr_b")
        await bob.hears("usr_a", status="offline")
        await ann.hears("usr_b", status="offline")
        told = len(bob.told)
        await ann.ask("presence.update", status="busy", text="x")
        unknown, blocked = await bob.get("usr_nobody", "usr_a")
        assert blocked == unknown | {"user_id": "usr_a"}
        again = await bob.subscribe("usr_a")
        assert again[0]["status"] == "offline"
        assert bob.told[told:] == []
        await stage.unblock("usr_a", "usr_b")
        await bob.hears("usr_a", status="busy", text="x")
        await all_leave(ann, bob)

    async def test_a_friend_is_told_when_one_was_there_last(self, stage: Stage) -> None:
        ann, bob = await stage.playing("usr_a", name="Ann"), await stage.watcher("usr_b")
        await bob.subscribe("usr_a")
        await ann.leave()
        heard = await bob.hears("usr_a", status="offline")
        assert ("last_online" in heard, heard["name"]) == (False, "")
        await stage.befriend("usr_a", "usr_b")
        heard = await bob.hears("usr_a", status="offline", name="Ann")
        [got] = await bob.get("usr_a")
        assert got["last_online"] == heard["last_online"] > 1.0
        await all_leave(bob)


class TestCoalescing:
    async def test_what_changes_quickly_is_told_a_few_times(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        """Forty changes in less than two of the index's flushes: newest wins."""
        slow = PresenceSettings(flush_s=0.5)
        async with local_realm(valkey_url, nats_url, nats_token, namespace, presence=slow) as realm:
            stage = Stage(realm)
            ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
            await bob.subscribe("usr_a")
            for number in range(40):
                await ann.ask("presence.update", status=("busy", "away")[number % 2], text=str(number))
            await bob.hears("usr_a", status="away", text="39")
            assert len(bob.told) <= 6
            await all_leave(ann, bob)

    async def test_answers_and_changes_overtake_each_other_and_no_change_is_lost(self, stage: Stage) -> None:
        """Ann changes all the time while Bob subscribes, asks and unsubscribes: by version he always ends with the newest."""
        ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")

        async def change() -> None:
            for number in range(60):
                await ann.ask("presence.update", status=("busy", "online", "away")[number % 3], text=str(number))

        async def look() -> None:
            for number in range(20):
                await bob.subscribe("usr_a")
                for presence in await bob.get("usr_a"):
                    bob.note(presence)
                if number % 2:
                    await bob.ask("presence.unsubscribe", user_ids=["usr_a"])
            await bob.subscribe("usr_a")

        await asyncio.gather(change(), look())
        await bob.hears("usr_a", status="away", text="59")
        [fresh] = await bob.get("usr_a")
        assert fresh | {"version": 0} == bob.known["usr_a"] | {"version": 0}
        told: list[Any] = [notice.params for notice in bob.notices if notice.method == "presence.changed"]
        versions = [params["version"] for params in told]
        assert all(a <= b for a, b in pairwise(versions)), "what comes by one way comes in order"
        await all_leave(ann, bob)


class TestIdleness:
    async def test_away_by_itself_and_back_with_the_next_deed(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        quick = PresenceSettings(away_after_s=0.5)
        async with local_realm(valkey_url, nats_url, nats_token, namespace, presence=quick) as realm:
            stage = Stage(realm)
            ann, bob, busy = await stage.playing("usr_a"), await stage.watcher("usr_b"), await stage.watcher("usr_c")
            await busy.ask("presence.update", status="busy")
            await bob.subscribe("usr_a", "usr_c")
            await bob.hears("usr_a", status="away")
            assert bob.known["usr_c"]["status"] == "busy"
            await ann.ask("system.ping")
            await ann.notify("session.ack", seq=0)
            session_id = ann.session_id
            await ann.leave()
            ann = await stage.watcher("usr_a", session_id=session_id)
            [own] = await bob.get("usr_a")
            assert own["status"] == "away", "a socket that comes back by itself is no deed"
            await ann.move(101.0, 100.0)
            await bob.hears("usr_a", status="online")
            await bob.hears("usr_a", status="away")
            await ann.ask("presence.get", user_ids=["usr_b"])
            await bob.hears("usr_a", status="online")
            await all_leave(ann, bob, busy)


async def test_other_services_can_read_it(stage: Stage) -> None:
    """What is public of a change goes to the event stream, and nothing else does."""
    events: list[tuple[str, str, dict[str, Any], str]] = []

    class Sink:
        def publish(self, stream: str, key: str, body: dict[str, Any], event_id: str) -> None:
            events.append((stream, key, body, event_id))

    stage.runner(PRESENCE)._events = Sink()
    bob = await stage.watcher("usr_b")
    ann = await stage.watcher("usr_a")
    await bob.subscribe("usr_a")
    await ann.ask("presence.update", status="busy", text="x")
    await bob.hears("usr_a", status="busy")
    await ann.ask("presence.update", status="invisible")
    await bob.hears("usr_a", status="offline")
    await ann.ask("presence.update", text="nobody knows")
    await stage.until(lambda: bool(events) and events[-1][1:2] == ("usr_a",) and events[-1][2]["status"] == "offline")
    mine = [(stream, body["status"], body["text"]) for stream, key, body, _ in events if key == "usr_a"]
    assert mine[-2:] == [("presence", "busy", "x"), ("presence", "offline", "")]
    assert len({event_id for *_, event_id in events}) == len(events)
    await all_leave(ann, bob)


def test_a_watcher_believes_the_newest() -> None:
    """The rig itself."""
    watcher = Watcher.__new__(Watcher)
    watcher.known = {}
    for version, status in ((2, "busy"), (1, "online"), (2, "busy"), (3, "away")):
        watcher.note({"user_id": "usr_a", "version": version, "status": status})
    assert watcher.known["usr_a"]["status"] == "away"
