"""From a token to an attached session, or a refusal; the real session host over stores in memory."""

from __future__ import annotations

from typing import Any, Literal

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from actors.session.attaching import Attach, Attached
from actors.session.host import SessionHost
from cluster.errors import Fenced, SessionGone, Unavailable
from cluster.ports.protection import Protection, Revocation
from cluster.security.tokens import sign_access
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.scene import NOW, Scene, asking


@pytest.fixture
async def realm() -> Scene:
    realm = Scene()
    await realm.start("sessions/0")
    return realm


class TestTokens:
    async def test_a_good_one_names_the_user(self) -> None:
        realm = Scene()
        who = await realm.admission.authenticate(asking(realm.token("usr_x")))
        assert isinstance(who, Identity)
        assert (who.user_id, who.role, who.premium) == ("usr_x", "player", False)
        assert (who.issued_at, who.expires_at) == (NOW, NOW + 60)
        assert who.token_id
        assert who.key_id == realm.keys.signer()[0]

    async def test_a_premium_one(self) -> None:
        realm = Scene()
        token = sign_access(realm.keys, "usr_a", NOW, 60, realm.settings.namespace, premium=True)
        who = await realm.admission.authenticate(asking(token))
        assert isinstance(who, Identity)
        assert who.premium

    async def reason(self, realm: Scene, token: str) -> str:
        refusal = await realm.admission.authenticate(asking(token))
        assert isinstance(refusal, Refusal)
        assert refusal.status == 401
        return refusal.reason

    async def test_an_expired_one(self) -> None:
        realm = Scene()
        skew = realm.settings.accounts.clock_skew_s
        assert await self.reason(realm, realm.token(ttl=60, now=NOW - 60 - skew)) == "token_expired"
        assert await self.reason(realm, realm.token(ttl=60, now=NOW - 60)) == "token_expiring"

    async def test_one_that_ends_soon_opens_nothing(self) -> None:
        realm = Scene()
        grace = realm.settings.identity.grace_s
        assert await self.reason(realm, realm.token(ttl=grace - 0.01)) == "token_expiring"
        assert isinstance(await realm.admission.authenticate(asking(realm.token(ttl=grace))), Identity)

    @pytest.mark.parametrize("kind", ["token", "family", "user", "all"])
    async def test_a_revoked_one(self, kind: Literal["token", "family", "user", "all"]) -> None:
        realm = Scene()
        token = sign_access(realm.keys, "usr_a", NOW - 5, 60, realm.settings.namespace, family_id="fam_1")
        who = await realm.admission.authenticate(asking(token))
        assert isinstance(who, Identity)
        subject = {"token": who.token_id, "family": "fam_1", "user": "usr_a", "all": ""}[kind]
        revocation = Revocation(kind, subject, NOW - 4, NOW + 60)
        realm.checker.learn(Protection(1, (), (revocation,)), NOW)
        assert await self.reason(realm, token) == "token_revoked"
        others = sign_access(realm.keys, "usr_b" if kind != "all" else "usr_a", NOW, 60, realm.settings.namespace)
        assert isinstance(await realm.admission.authenticate(asking(others)), Identity)

    async def test_one_of_another_realm_or_key(self) -> None:
        realm = Scene()
        assert await self.reason(realm, Scene().token()) == "token_invalid"
        elsewhere = sign_access(realm.keys, "usr_a", NOW, 60, "another-realm")
        assert await self.reason(realm, elsewhere) == "token_invalid"

    @pytest.mark.parametrize("algorithm", ["none", "HS256"])
    async def test_one_with_another_algorithm(self, algorithm: str) -> None:
        realm = Scene()
        claims = jwt.decode(realm.token(), options={"verify_signature": False})
        kid, key = realm.keys.signer()
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        secret = "" if algorithm == "none" else public
        forged = jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": kid, "typ": "at+jwt"})
        assert await self.reason(realm, forged) == "token_invalid"

    @pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 5_000, "..", "\0"])
    async def test_nonsense(self, token: str) -> None:
        assert await self.reason(Scene(), token) == "token_invalid"


class TestSessions:
    async def test_a_new_one(self, realm: Scene) -> None:
        attached, actor = await realm.attach()
        assert actor == "sessions/0"
        assert attached.session_id.startswith("ses_")
        assert (attached.user_id, attached.attach_epoch, attached.resumed) == ("usr_a", 1, False)
        assert (attached.state, attached.world) == ("authenticated", None)

    async def test_each_socket_has_its_own(self, realm: Scene) -> None:
        first, second = await realm.attach(), await realm.attach()
        assert first[0].session_id != second[0].session_id

    async def test_resuming(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        again, _ = await realm.attach(session_id=first.session_id)
        assert (again.session_id, again.attach_epoch, again.resumed) == (first.session_id, 2, True)

    async def test_one_that_is_gone_is_answered_with_a_new_one(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        realm.store.expire(first.session_id)
        again, _ = await realm.attach(session_id=first.session_id)
        assert again.session_id != first.session_id
        assert not again.resumed

    async def test_one_that_ends_between_the_two_steps_too(self, realm: Scene) -> None:
        host: SessionHost = realm.actors["sessions/0"]

        class Once:
            """The actor, which has just forgotten the session that it is asked for first."""

            def __init__(self) -> None:
                self.calls = 0

            async def attach(self, wanted: Attach) -> Attached:
                self.calls += 1
                if self.calls == 1:
                    raise SessionGone("session_ended")
                return await host.attach(wanted)

        first, _ = await realm.attach()
        realm.actors["sessions/0"] = once = Once()
        again, _ = await realm.attach(session_id=first.session_id)
        assert again.session_id != first.session_id
        assert once.calls == 2

    async def test_someone_elses_is_403(self, realm: Scene) -> None:
        theirs, _ = await realm.attach("usr_b")
        refusal = await realm.refused("usr_a", theirs.session_id)
        assert (refusal.status, refusal.reason) == (403, "session_not_yours")

    async def test_too_many_of_one_user_is_429(self) -> None:
        realm = Scene(per_user=2)
        await realm.start("sessions/0")
        first, _ = await realm.attach()
        await realm.attach()
        refusal = await realm.refused()
        assert (refusal.status, refusal.reason) == (429, "too_many_sessions")
        assert refusal.retry_after_s > 0
        await realm.attach("usr_b")
        await realm.attach(session_id=first.session_id)  # resuming is no further session

    async def test_when_all_actors_are_full_another_one_is_started(self) -> None:
        realm = Scene(sessions_per_actor=1)
        await realm.start("sessions/0")
        actors = [(await realm.attach(f"usr_{n}"))[1] for n in range(3)]
        assert actors == ["sessions/0", "sessions/1", "sessions/2"]
        assert realm.supervisor.asked == 2


class Away:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def attach(self, *_: Any) -> Attached:
        raise self._error


class TestOutages:
    @pytest.mark.parametrize("error", [Unavailable("redis"), Fenced("an older incarnation")])
    async def test_a_session_actor_that_is_away_is_503(self, realm: Scene, error: Exception) -> None:
        realm.actors["sessions/0"] = Away(error)
        refusal = await realm.refused()
        assert (refusal.status, refusal.reason) == (503, "unavailable")
        assert refusal.retry_after_s > 0

    async def test_no_actor_and_no_supervisor_is_503(self) -> None:
        realm = Scene()
        del realm.actors["supervisor"]
        assert (await realm.refused()).reason == "unavailable"

    async def test_a_supervisor_that_cannot_help_is_not_asked_for_ever(self) -> None:
        realm = Scene()

        class Helpless:
            asked = 0

            async def more_sessions(self) -> None:
                self.asked += 1

        helpless = realm.actors["supervisor"] = Helpless()
        assert (await realm.refused()).reason == "unavailable"
        assert helpless.asked == 3

    async def test_attempts_in_an_outage_do_not_use_the_users_sessions_up(self) -> None:
        realm = Scene(per_user=2)
        host = await realm.start("sessions/0")
        for _ in range(5):
            realm.actors["sessions/0"] = Away(Unavailable("sessions/0"))
            assert (await realm.refused()).status == 503
        realm.actors["sessions/0"] = host
        await realm.attach()
        await realm.attach()
        assert len(await realm.store.of_user("usr_a")) == 2
        assert (await realm.refused()).status == 429

    async def test_a_session_that_was_asked_for_by_name_is_not_given_to_the_next_socket(self, realm: Scene) -> None:
        host = realm.actors["sessions/0"]
        mine, _ = await realm.attach()
        realm.actors["sessions/0"] = Away(Unavailable("sessions/0"))
        await realm.refused(session_id=mine.session_id)
        realm.actors["sessions/0"] = host
        assert (await realm.attach())[0].session_id != mine.session_id
