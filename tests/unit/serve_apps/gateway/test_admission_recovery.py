"""Coming back with a recovery token, and the pace at which sockets are let in (rows 1.6 and 1.7)."""

from __future__ import annotations

import pytest

from actors.session.attaching import Attached
from cluster.security.recovery import RecoveryClaims
from cluster.security.tokens import sign_access
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.upgrade import Refusal
from tests.unit.serve_apps.gateway.scene import NOW, Scene, asking


@pytest.fixture
async def realm() -> Scene:
    realm = Scene()
    await realm.start("sessions/0")
    return realm


async def recover(
    scene: Scene, token: str, stream: str = "", last: int = 0, gateway: str = "gtw_2"
) -> Attached | Refusal:
    """As a client that lost its socket does, at another gateway."""
    admission, upgrade = scene.gateway(gateway), asking(recovery=token, stream=stream, last=last)
    who = await admission.authenticate(upgrade)
    if isinstance(who, Refusal):
        return who
    attached = await admission.attach(upgrade, who)
    return attached if isinstance(attached, Refusal) else attached[0]


def why(refusal: Attached | Refusal) -> tuple[int, str]:
    assert isinstance(refusal, Refusal)
    return refusal.status.value, refusal.reason


class TestRecovery:
    async def test_it_is_the_session_and_what_it_missed(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        await realm.say(first.session_id, b"1", b"2", b"3")
        again = await recover(realm, realm.recovery(first), first.stream, 1)
        assert isinstance(again, Attached)
        assert (again.session_id, again.attach_epoch, again.resumed) == (first.session_id, 2, True)
        assert (again.recovered, again.seq, again.missed) == (True, 1, (("n", b"2"), ("n", b"3")))

    async def test_the_token_may_be_presented_twice_but_not_after_a_newer_attach(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        token = realm.recovery(first)
        for epoch in (2, 3):
            again = await recover(realm, token)
            assert isinstance(again, Attached)
            assert again.attach_epoch == epoch
        await realm.attach(session_id=first.session_id)
        assert why(await recover(realm, token)) == (403, "recovery_superseded")

    async def test_a_session_that_is_gone_is_answered_with_a_new_one(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        token = realm.recovery(first)
        realm.store.expire(first.session_id)
        again = await recover(realm, token, first.stream, 0)
        assert isinstance(again, Attached)
        assert again.session_id != first.session_id
        assert (again.resumed, again.recovered, again.seq, again.user_id) == (False, False, 0, "usr_a")

    async def test_another_user_s_access_token_beside_it(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        upgrade = asking(realm.token("usr_b"), recovery=realm.recovery(first))
        refusal = await realm.admission.authenticate(upgrade)
        assert isinstance(refusal, Refusal)
        assert (refusal.status, refusal.reason) == (403, "session_not_yours")
        who = await realm.admission.authenticate(asking(realm.token("usr_a"), recovery=realm.recovery(first)))
        assert isinstance(who, Identity)
        assert (who.user_id, who.role) == ("usr_a", "player")
        assert who.recovery == RecoveryClaims("usr_a", first.session_id, 1)

    async def test_the_role_is_the_access_token_s_and_then_the_session_s(self, realm: Scene) -> None:
        async def role_of(token: str = "", recovery: str = "") -> Identity:
            who = await realm.admission.authenticate(asking(token, recovery=recovery))
            assert isinstance(who, Identity)
            return who

        operator = sign_access(realm.keys, "usr_a", NOW, 60, realm.settings.namespace, "operator")
        first = await realm.admission.attach(asking(), await role_of(operator))
        assert isinstance(first, tuple)
        assert first[0].role == "operator"
        token = realm.recovery(first[0])
        recovered = await realm.admission.attach(asking(recovery=token), await role_of(recovery=token))
        assert isinstance(recovered, tuple)
        assert (recovered[0].session_id, recovered[0].role) == (first[0].session_id, "operator")
        token = realm.token("usr_a")
        demoted = await realm.admission.attach(asking(session_id=first[0].session_id), await role_of(token))
        assert isinstance(demoted, tuple)
        assert (demoted[0].session_id, demoted[0].role) == (first[0].session_id, "player")
        record = await realm.store.get(first[0].session_id)
        assert record is not None
        assert record.role == "player"

    async def test_who_lost_a_role_on_the_open_socket_does_not_get_it_back(self, realm: Scene) -> None:
        """The session's record says what the role was when it was attached; the socket was shown a newer token since."""
        first = await realm.admission.attach(asking(), Identity("usr_a", role="moderator"))
        assert isinstance(first, tuple)
        again = await recover(realm, realm.recovery(first[0], role="player"))
        assert isinstance(again, Attached)
        assert (again.session_id, again.role) == (first[0].session_id, "player")
        record = await realm.store.get(again.session_id)
        assert record is not None
        assert record.role == "player"
        promoted = await recover(realm, realm.recovery(again, role="operator"))
        assert isinstance(promoted, Attached)
        assert promoted.role == "operator"

    async def test_a_token_for_somebody_else_s_session(self, realm: Scene) -> None:
        """Signed by us, so it cannot be; the session's actor refuses it all the same."""
        first, _ = await realm.attach()
        assert why(await recover(realm, realm.recovery(first, "usr_b"))) == (403, "session_not_yours")
        assert realm.actors["sessions/0"].sessions[first.session_id].record.attach_epoch == 1

    async def test_expired_forged_and_of_another_kind(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        skew = realm.settings.accounts.clock_skew_s
        assert why(await recover(realm, realm.recovery(first, ttl=60, now=NOW - 60 - skew))) == (
            401,
            "recovery_expired",
        )
        for token in ("x", realm.recovery(first) + "x", realm.token()):
            assert why(await recover(realm, token)) == (401, "recovery_invalid")
        refusal = await realm.admission.authenticate(asking(realm.recovery(first)))
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "token_invalid"

    async def test_a_good_access_token_does_not_make_up_for_a_bad_one(self, realm: Scene) -> None:
        refusal = await realm.admission.authenticate(asking(realm.token(), recovery="x"))
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "recovery_invalid"

    async def test_who_was_banned_meanwhile_does_not_come_back(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        token = realm.recovery(first)
        await realm.bans.ban("usr_a", None, "test")
        assert why(await recover(realm, token)) == (403, "banned")
        assert realm.actors["sessions/0"].sessions[first.session_id].record.attach_epoch == 1
        await realm.bans.lift("usr_a")
        assert isinstance(await recover(realm, token), Attached)

    async def test_a_sequence_from_the_future_is_400_and_changes_nothing(self, realm: Scene) -> None:
        first, _ = await realm.attach()
        await realm.say(first.session_id, b"1")
        token = realm.recovery(first)
        assert why(await recover(realm, token, first.stream, 2)) == (400, "bad_sequence")
        assert realm.actors["sessions/0"].sessions[first.session_id].record.attach_epoch == 1
        again = await recover(realm, token, first.stream, 1)
        assert isinstance(again, Attached)
        assert (again.recovered, again.missed) == (True, ())

    async def test_where_sessions_cannot_be_taken_over(self) -> None:
        scene = Scene(takeover=False)
        await scene.start("sessions/0")
        first, _ = await scene.attach()
        refusal = await scene.refused(session_id=first.session_id)
        assert (refusal.status, refusal.reason) == (409, "session_attached")
        assert isinstance(await recover(scene, scene.recovery(first)), Attached), "it is the same client"


class TestPace:
    async def test_attaches_wait_for_their_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scene = Scene(gateway={"attaches_per_s": 10.0, "attaches_waiting": 2})
        await scene.start("sessions/0")
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(round(seconds, 6))

        monkeypatch.setattr("serve_apps.gateway.admission.asyncio.sleep", sleep)
        for _ in range(4):
            await scene.attach()
        assert waited == [0.1, 0.2], "two come at once, two wait"
        refusal = await scene.refused()
        assert (refusal.status, refusal.reason, refusal.retry_after_s) == (503, "busy", 1)
        assert len(await scene.store.of_user("usr_a")) == 4
        scene.clock.now += 0.1
        await scene.attach()
