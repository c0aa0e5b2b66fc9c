"""Operators' operations on people (row 7.8), over real sockets, Valkey and NATS. No Ray."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from cluster.errors import NotFound, Unauthorized
from cluster.operations.model import Operator, Role
from cluster.ports.accounts import Account
from tests.integration.operations_rig import ADA, Operations, TestJob, operations
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

HASH = "$argon2id$v=19$m=256,t=1,p=1$c2FsdA$aGFzaA"
DEADLINE_S = 20.0


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    session = {"sessions_per_actor": 2, "grace_s": 30.0}  # so that five players are at three actors
    telemetry = {"beat_s": 0.2}
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, session=session, telemetry=telemetry
    ) as running:
        yield running


@pytest.fixture
async def desk(realm: LocalRealm) -> AsyncIterator[Operations]:
    async with operations(realm) as made:
        yield made


async def players(realm: LocalRealm, desk: Operations, *names: str) -> dict[str, Player]:
    """In the world, side by side, each with an account."""
    joined = {}
    for number, name in enumerate(names):
        user = f"usr_{name}"
        await desk.desk.accounts.create(Account(user, name, HASH, 1.0))
        player = await Player.join(realm, user)
        await player.enter(await realm.character(user, f"Hero {name}", at=(100.0 + number, 100.0)))
        joined[name] = player
    return joined


async def leave(*joined: Player) -> None:
    for player in joined:
        if player.code is None:
            await player.leave()


class TestSearch:
    async def test_over_several_actors(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob", "cid", "dan", "eve")
        assert len(await desk.desk.sessions.actors()) >= 3
        found = await desk.look("sessions.search", sort="character", descending=False)
        assert found["silent"] == []
        assert found["total"] == 5
        assert [row["character"] for row in found["sessions"]] == [
            "Hero ann", "Hero bob", "Hero cid", "Hero dan", "Hero eve",
        ]  # fmt: skip
        first = found["sessions"][0]
        assert (first["session"], first["user"], first["state"], first["address"]) == (
            joined["ann"].session_id, "usr_ann", "in_world", "127.0.0.1",
        )  # fmt: skip
        page = await desk.look("sessions.search", sort="character", descending=True, offset=1, limit=2)
        assert [row["character"] for row in page["sessions"]] == ["Hero dan", "Hero cid"]
        for q in ("cid", "Hero CID", "usr_cid", joined["cid"].session_id):
            only = await desk.look("sessions.search", q=q)
            assert [row["user"] for row in only["sessions"]] == ["usr_cid"], q
        assert (await desk.look("sessions.search", q="127.0.0"))["total"] == 5
        assert (await desk.look("sessions.search", zone="nowhere"))["total"] == 0
        assert (await desk.look("sessions.search", gateway=realm.gateway.hub.gateway_id))["total"] == 5
        await joined["bob"].leave()
        async with asyncio.timeout(DEADLINE_S):
            while (gone := await desk.look("sessions.search", state="detached"))["total"] != 1:  # noqa: ASYNC110 - the gateway says so
                await asyncio.sleep(0.05)
        assert gone["sessions"][0]["user"] == "usr_bob"
        assert (await desk.look("sessions.search", state="attached"))["total"] == 4
        await leave(*joined.values())

    async def test_by_username(self, realm: LocalRealm, desk: Operations) -> None:
        """Sessions do not know it: their actor finds it out behind the login."""
        await desk.desk.accounts.create(Account("usr_7f", "mallory", HASH, 1.0))
        player = await Player.join(realm, "usr_7f")
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await desk.look("sessions.search", q="Mallo"))["total"]:  # noqa: ASYNC110 - names are looked up behind it
                await asyncio.sleep(0.05)
        assert (found["sessions"][0]["user"], found["sessions"][0]["username"]) == ("usr_7f", "mallory")
        await player.leave()

    async def test_an_actor_that_does_not_answer_is_named(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob", "cid")
        rows = (await desk.look("sessions.search"))["sessions"]
        by_actor = {row["actor"] for row in rows}
        lost = sorted(by_actor)[0]
        await realm.kill(lost)
        found = await desk.look("sessions.search")
        assert found["silent"] == [lost]
        assert {row["actor"] for row in found["sessions"]} == by_actor - {lost}
        gone = next(row for row in rows if row["actor"] == lost)
        shown = await desk.look("sessions.show", session=gone["session"])
        assert shown["live"] is False
        assert (shown["session"]["user"], shown["session"]["outbox"]) == (gone["user"], None)
        await leave(*joined.values())


class TestOneSession:
    async def test_shown(self, realm: LocalRealm, desk: Operations) -> None:
        ann = (await players(realm, desk, "ann"))["ann"]
        assert await ann.ask("session.set", name="quest", value=7) is not None
        await desk.act("session.message", session=ann.session_id, text="Hello.")
        shown = await desk.look("sessions.show", session=ann.session_id)
        session = shown["session"]
        assert shown["live"] is True
        assert session["place"] == {"x": 100.0, "y": 0.0, "z": 100.0}
        assert session["socket"]["address"] == session["address"] == "127.0.0.1"
        assert 0.0 < session["latency_ms"] < 1_000.0
        assert session["outbox"]["count"] >= 0
        assert session["attach_epoch"] == 1
        assert [entry["action"] for entry in session["audit"]] == ["session.message", "session.message"]
        await ann.leave()

    async def test_nobody(self, realm: LocalRealm, desk: Operations) -> None:
        for name in ("sessions.show", "sessions.view", "sessions.export"):
            with pytest.raises(NotFound):
                await desk.look(name, session="ses_never")

    async def test_the_view_is_what_the_client_sees(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob", "cid")
        ann = joined["ann"]
        far = await Player.join(realm, "usr_far")
        await far.enter(await realm.character("usr_far", "Far", at=(190.0, 190.0)))
        await ann.until(lambda: len(ann.entities) >= 2)
        view = await desk.look("sessions.view", session=ann.session_id)
        seen = {number: (e.position.x, e.position.z) for number, e in ann.entities.items()}
        told = {each["number"]: (each["x"], each["z"]) for each in view["entities"]}
        assert told.keys() == seen.keys() | {ann.world["number"]}
        assert view["entities"][0]["number"] == view["number"] == ann.world["number"]
        for number, (x, z) in seen.items():
            assert told[number] == pytest.approx((x, z), abs=0.011)
        assert view["place"] == {"x": 100.0, "y": 0.0, "z": 100.0}
        assert (view["character"], view["party"], view["friends_online"]) == ("Hero ann", None, [])
        assert view["radius"] == realm.settings.world.interest.radius
        (entry,) = await desk.audit("sessions.view")
        assert (entry.actor, entry.target, entry.details["session"]) == (ADA.name, "usr_ann", ann.session_id)
        await leave(far, *joined.values())

    async def test_the_view_has_the_party_and_friends_who_are_online(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob")
        ann, bob = joined["ann"], joined["bob"]
        await ann.ask("friends.request", user_id="usr_bob")
        await bob.ask("friends.accept", user_id="usr_ann")
        party = await ann.ask("party.create")
        await ann.ask("chat.channel.join", channel="trade")
        async with asyncio.timeout(DEADLINE_S):
            while not (view := await desk.look("sessions.view", session=ann.session_id))["friends_online"]:  # noqa: ASYNC110 - presence is told
                await asyncio.sleep(0.05)
        assert [friend["user_id"] for friend in view["friends_online"]] == ["usr_bob"]
        assert isinstance(party, dict)
        assert [member["user"] for member in view["party"]["members"]] == ["usr_ann"]
        assert "trade" in view["channels"]
        await leave(*joined.values())

    async def test_viewers_may_not_look_through_players_eyes(self, realm: LocalRealm, desk: Operations) -> None:
        viewer = Operations(desk.desk, Operator("operator:vic", Role.VIEWER, "console"))
        ann = (await players(realm, desk, "ann"))["ann"]
        for name in ("sessions.view", "sessions.export"):
            with pytest.raises(Unauthorized):
                await viewer.look(name, session=ann.session_id)
        assert (await viewer.look("sessions.search"))["total"] == 1
        await ann.leave()


class TestExport:
    async def test_it_has_everything_and_no_secret(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob")
        ann, bob = joined["ann"], joined["bob"]
        await ann.ask("friends.request", user_id="usr_bob")
        await bob.ask("friends.block", user_id="usr_ann")
        await desk.act("session.message", user="ann", text="A word.")
        # The last of what is told to her: from here on her session stands still.
        await ann.until(lambda: any(notice.method == "system.message" for notice in ann.notices))
        export = await desk.look("sessions.export", user="ann")
        again = await desk.look("sessions.export", session=ann.session_id)
        for each in (export, again):
            del each["at"], each["audit"], each["sessions"][0]["last_activity_at"]
        assert again == export
        assert export["account"] == {"user": "usr_ann", "username": "ann", "created_at": 1.0}
        assert [c["name"] for c in export["characters"]] == ["Hero ann"]
        assert export["ban"] is None
        assert export["sessions"][0]["address"] == "127.0.0.1"
        assert export["world"][0]["position"]["x"] == 100.0
        assert {"text": "A word.", "from": "operator"} in [m["params"] for m in export["messages"]]
        text = json.dumps(export)
        for secret in ("argon2", ann.ready["recovery"]["token"], realm.token("usr_ann")[:20], "password"):
            assert secret not in text
        assert export["relations"]["blocked"] == []
        assert "blocked_by" not in text
        entries = await desk.audit("sessions.export")
        assert [entry.target for entry in entries] == ["usr_ann", "usr_ann"]
        await desk.desk.bans.ban("usr_ann", 3_600.0, "spam")
        assert (await desk.look("sessions.export", user="ann"))["ban"]["reason"] == "spam"
        shown = await desk.look("users.show", user="ANN")
        assert (shown["user"], len(shown["sessions"]), shown["ban"]["reason"]) == ("usr_ann", 1, "spam")
        assert "argon2" not in json.dumps(shown)
        await leave(*joined.values())


class TestActions:
    async def test_kick(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob")
        ann = joined["ann"]
        plan = await desk.plan("session.kick", session=ann.session_id)
        assert "4503" in plan.steps[0]
        done = await desk.act("session.kick", session=ann.session_id, reason="enough")
        assert done == {"session": ann.session_id, "user": "usr_ann", "closed": True}
        assert (await ann.closed(), ann.ws.close_reason) == (4503, "enough")
        assert joined["bob"].code is None
        assert (await desk.act("session.kick", session=ann.session_id))["closed"] is False
        assert [entry.result for entry in await desk.audit("session.kick")] == ["begun", "done", "begun", "done"]
        await leave(*joined.values())

    async def test_a_message_to_all_devices_of_a_user_arrives_once(self, realm: LocalRealm, desk: Operations) -> None:
        await desk.desk.accounts.create(Account("usr_ann", "ann", HASH, 1.0))
        phone, tablet = [await Player.join(realm, "usr_ann") for _ in range(2)]
        job = TestJob()
        for _ in range(2):  # whoever carried it out died, and the next one begins anew
            assert await desk.act("session.message", job, user="ann", text="Hello!") == {"told": "usr_ann"}
        for player in (phone, tablet):
            await player.until(lambda player=player: told(player) != [])
            await player.ask("system.ping")
            assert told(player) == ["Hello!"]
        await leave(phone, tablet)

    async def test_a_ban_and_its_end(self, realm: LocalRealm, desk: Operations) -> None:
        ann = (await players(realm, desk, "ann"))["ann"]
        job = TestJob()
        done = await desk.act("user.ban", job, user="ann", for_s=7_200.0, reason="spam")
        assert (done["user"], done["username"], done["sockets"]) == ("usr_ann", "ann", 1)
        assert await ann.closed() == 4503
        assert job.steps == ["ban ann (usr_ann)", "banned ann (usr_ann) for 2 h"]
        await desk.act("network.ban", network="203.0.113.77/24", reason="flood")
        held = await desk.look("bans.list")
        assert held["total"] == 2
        user, network = held["bans"]
        assert (user["kind"], user["subject"], user["name"], user["reason"]) == ("user", "usr_ann", "ann", "spam")
        assert (network["subject"], network["by"], network["until_at"]) == ("203.0.113.0/24", ADA.name, None)
        assert [ban["subject"] for ban in (await desk.look("bans.list", q="SPAM"))["bans"]] == ["usr_ann"]
        assert (await desk.act("user.unban", user="ann"))["lifted"] is True
        assert (await desk.act("user.unban", user="ann"))["lifted"] is False
        assert (await desk.act("network.unban", network="203.0.113.0/24"))["lifted"] is True
        assert (await desk.look("bans.list"))["total"] == 0
        begun, ended = await desk.audit("user.ban")
        assert (begun.target, begun.reason, begun.result, begun.details["for_s"]) == (
            "usr_ann",
            "spam",
            "begun",
            7_200.0,
        )
        assert (ended.result, ended.details["job"]) == ("done", job.id)

    async def test_presence(self, realm: LocalRealm, desk: Operations) -> None:
        joined = await players(realm, desk, "ann", "bob")
        await joined["bob"].ask("presence.update", status="invisible")
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await desk.look("presence.list")
                if [row["status"] for row in found["users"]] == ["online", "invisible"]:
                    break
                await asyncio.sleep(0.05)
        assert found["total"] == 2
        assert (found["users"][1]["username"], found["users"][1]["character"]) == ("bob", "Hero bob")
        for q in ("hero b", "usr_bo", "bob"):
            assert [row["user"] for row in (await desk.look("presence.list", q=q))["users"]] == ["usr_bob"]
        assert [row["user"] for row in (await desk.look("presence.list", offset=1))["users"]] == ["usr_bob"]
        await leave(*joined.values())

    async def test_the_audit_log_by_pages(self, realm: LocalRealm, desk: Operations) -> None:
        for number in range(5):
            await desk.act("network.ban", network=f"203.0.113.{number}")
            await desk.act("network.unban", network=f"203.0.113.{number}")
        first = await desk.look("audit.list", action="network.ban", limit=6)
        assert [entry["target"] for entry in first["entries"]][:2] == ["203.0.113.4/32"] * 2
        rest = await desk.look("audit.list", action="network.ban", limit=6, before=first["next"])
        assert len(rest["entries"]) == 4
        assert rest["next"] == ""
        by_target = await desk.look("audit.list", target="203.0.113.2/32", actor=ADA.name)
        assert [entry["action"] for entry in by_target["entries"]] == ["network.unban"] * 2 + ["network.ban"] * 2
        assert (await desk.look("audit.list", q="113.3"))["entries"][0]["target"] == "203.0.113.3/32"


def told(player: Player) -> list[str]:
    return [n.params["text"] for n in player.notices if n.method == "system.message" and isinstance(n.params, dict)]
