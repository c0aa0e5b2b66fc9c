"""Tokens on open sockets (row 4.1): they end, are renewed and are revoked; keys change under them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import jwt
import pytest

from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.protection import RedisProtection
from cluster.guarding import tell_change
from cluster.ports.protection import Revocation
from cluster.security.keys import KeyRing
from cluster.security.requests import ROTATE_KEYS
from cluster.security.rotation import publish
from cluster.security.tokens import sign_access
from cluster.world_control import ask
from rayrealm_client.codec import Failure, Framing
from serve_apps.gateway.gateway_app import GatewayRunner
from tests.integration.commands import command, registered
from tests.integration.identity_rig import LATE_S, Rig, closed, eventually, identity_rig, told, web
from tests.local_realm import local_realm
from tests.players import Player

TTL_S = 6.0  # of tokens whose end is waited for: a busy machine must get in before


class Open(Protocol):
    def __call__(self, ttl_s: float = 60.0, **identity: Any) -> AbstractAsyncContextManager[Rig]: ...


@pytest.fixture
def opened(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> Open:
    def opened(ttl_s: float = 60.0, **identity: Any) -> AbstractAsyncContextManager[Rig]:
        return identity_rig(valkey_url, nats_url, nats_token, namespace, ttl_s, **identity)

    return opened


@pytest.fixture
async def rig(opened: Open) -> AsyncIterator[Rig]:
    async with opened() as rig:
        yield rig


def jti(token: str) -> str:
    found: str = jwt.decode(token, options={"verify_signature": False})["jti"]
    return found


class TestExpiry:
    async def test_the_client_is_told_and_then_closed(self, opened: Open) -> None:
        async with opened(ttl_s=TTL_S) as rig:
            began = time.monotonic()
            tokens = await rig.login("ada")
            player = await rig.join(tokens["access_token"])
            await player.until(lambda: bool(told(player, "auth.expiring")))
            assert 0.0 < told(player, "auth.expiring")[0]["expires_in"] <= TTL_S / 2
            await player.until(closed(player), 3 * TTL_S)
            assert (player.ws.close_code, player.ws.close_reason) == (4501, "token_expired")
            assert TTL_S < time.monotonic() - began < 2 * TTL_S, "its end and the grace"
            assert len(told(player, "auth.expiring")) == 1

    async def test_what_ends_soon_opens_no_socket(self, opened: Open) -> None:
        async with opened(grace_s=30.0) as rig:
            token = rig.realm.token((await rig.login("ada"))["user_id"], 25.0)
            assert await rig.refused(token) == (401, "token_expiring")
            assert (await rig.api(token))[0] == 200, "the HTTP API needs no grace"

    async def test_a_recovery_token_gives_no_more_time(self, opened: Open) -> None:
        async with opened(ttl_s=TTL_S) as rig:
            player = await rig.join((await rig.login("ada"))["access_token"])
            token = player.ready["recovery"]
            assert token["expires_in"] <= TTL_S + 1.0
            again = await Player.open(f"{rig.ws}?recovery={token['token']}", "json")
            assert again.session_id == player.session_id
            await again.until(closed(again), 3 * TTL_S)
            assert again.code == 4501
            await eventually(lambda: ended(rig, token["token"]))

    async def test_revalidation_closes_a_banned_user(self, opened: Open) -> None:
        async with opened(revalidate_s=0.5) as rig:
            tokens = await rig.login("ada")
            player = await rig.join(tokens["access_token"])
            await rig.realm.gateway._runtime.redis.set(
                f"{rig.realm.settings.namespace}:ban:user:{tokens['user_id']}", "cheats"
            )
            await player.until(closed(player))
            assert (player.code, player.ws.close_reason) == (4503, "banned")


async def ended(rig: Rig, recovery: str) -> bool:
    try:
        return await rig.refused(recovery=recovery) == (401, "recovery_expired")
    except pytest.fail.Exception:
        return False


class TestRefresh:
    @pytest.mark.parametrize("framing", ["json", "proto"])
    async def test_over_the_socket(self, opened: Open, framing: Framing) -> None:
        async with opened(ttl_s=TTL_S) as rig:
            tokens = await rig.login("ada")
            player = await rig.join(tokens["access_token"], framing)
            old_recovery = player.ready["recovery"]["token"]
            for _ in range(2):
                await asyncio.sleep(TTL_S / 2)
                fresh = await player.ask("auth.refresh", refresh_token=tokens["refresh_token"])
                assert not isinstance(fresh, Failure), fresh
                assert set(fresh) == {"access_token", "expires_in", "refresh_token"}
                assert (await rig.api(fresh["access_token"]))[0] == 200
                tokens = fresh
            assert [0 < each["expires_in"] <= TTL_S for each in told(player, "auth.token.refreshed")] == [True] * 2
            newer = told(player, "session.token")[-1]["token"]
            assert newer != old_recovery
            await asyncio.sleep(1.5)  # beyond the end of the first token and its grace
            assert player.code is None
            again = await Player.open(f"{rig.ws}?recovery={newer}", framing)
            assert again.session_id == player.session_id

    async def test_a_used_refresh_token_ends_its_access_tokens_too(self, rig: Rig) -> None:
        tokens, other = await rig.login("ada"), await rig.login("eve")
        player, bystander = await rig.join(tokens["access_token"]), await rig.join(other["access_token"])
        fresh = await player.ask("auth.refresh", refresh_token=tokens["refresh_token"])
        thief = await rig.http.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert (thief.status_code, thief.json()["reason"]) == (401, "token_invalid")
        await player.until(closed(player), LATE_S)
        assert (player.code, player.ws.close_reason) == (4501, "token_revoked")
        for token in (tokens["access_token"], fresh["access_token"]):
            assert await rig.refused(token) == (401, "token_revoked")
            await rig.api_refuses(token, "token_revoked")
        assert bystander.code is None
        again = await rig.http.post("/v1/auth/login", json={"username": "ada", "password": "correct horse battery"})
        await rig.join(again.json()["access_token"])

    async def test_the_same_token_over_two_sockets_of_a_user(self, rig: Rig) -> None:
        """Here by an access token of another login: by one of this, the socket might end before the answer comes."""
        tokens = await rig.login("ada")
        victim, thief = await rig.join(tokens["access_token"]), await rig.join(rig.realm.token(tokens["user_id"]))
        fresh = await victim.ask("auth.refresh", refresh_token=tokens["refresh_token"])
        again = await victim.ask("auth.refresh", refresh_token=tokens["refresh_token"])
        assert isinstance(again, dict), again
        assert again["refresh_token"] == fresh["refresh_token"], "no answer came, perhaps"
        answer = await thief.ask("auth.refresh", refresh_token=tokens["refresh_token"])
        assert isinstance(answer, Failure)
        assert (answer.code, answer.data) == (-32000, {"reason": "token_invalid"})
        await victim.until(closed(victim), LATE_S)
        assert (victim.code, victim.ws.close_reason) == (4501, "token_revoked")
        assert await rig.refused(fresh["access_token"]) == (401, "token_revoked")

    async def test_anothers_refresh_token(self, rig: Rig) -> None:
        ada, eve = await rig.login("ada"), await rig.login("eve")
        player, victim = await rig.join(eve["access_token"]), await rig.join(ada["access_token"])
        answer = await player.ask("auth.refresh", refresh_token=ada["refresh_token"])
        assert isinstance(answer, Failure)
        assert (answer.code, answer.data) == (-32000, {"reason": "other_user"})
        assert player.code is None
        await victim.until(closed(victim), LATE_S)
        assert victim.code == 4501, "who holds her token is not her"

    @pytest.mark.parametrize("token", ["", "rrt_nonsense", "x" * 1_025, 7, None])
    async def test_what_is_no_refresh_token(self, rig: Rig, token: object) -> None:
        player = await rig.join((await rig.login("ada"))["access_token"])
        answer = await player.ask("auth.refresh", refresh_token=token)
        assert isinstance(answer, Failure)
        assert answer.code == (-32000 if token == "rrt_nonsense" else -32602)
        assert "nonsense" not in repr(answer.data)

    async def test_without_the_web_process(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
            player = await Player.join(realm, "usr_a", "json")
            answer = await player.ask("auth.refresh", refresh_token="rrt_x")
            assert isinstance(answer, Failure)
            assert answer.code == -32006
            assert answer.data == {"retryAfter": 1.0, "reason": "accounts is away"}
            assert player.code is None


class TestRenew:
    async def test_with_a_token_from_elsewhere(self, opened: Open) -> None:
        async with opened(ttl_s=TTL_S) as rig:
            tokens = await rig.login("ada")
            player = await rig.join(tokens["access_token"])
            fresh = rig.realm.token(tokens["user_id"], 60.0)
            renewed = await player.ask("auth.renew", access_token=fresh)
            assert 55 < renewed["expires_in"] <= 60
            assert told(player, "auth.token.refreshed")
            await asyncio.sleep(TTL_S + 1.5)
            assert player.code is None

    async def test_what_is_refused(self, rig: Rig) -> None:
        tokens = await rig.login("ada")
        player = await rig.join(tokens["access_token"])
        for token, reason in (
            (rig.realm.token("usr_other"), "other_user"),
            (rig.realm.token(tokens["user_id"], 0.5), "token_expiring"),
            (rig.realm.token(tokens["user_id"], -5.0), "token_expired"),
            (tokens["refresh_token"], "token_invalid"),
            (player.ready["recovery"]["token"], "token_invalid"),
        ):
            answer = await player.ask("auth.renew", access_token=token)
            assert isinstance(answer, Failure)
            assert (answer.code, answer.data) == (-32000, {"reason": reason})
        counted = rig.realm.gateway.hub.metrics._authority
        assert counted["refused_other_user"] == 1
        assert player.code is None


class TestRevocation:
    @pytest.mark.parametrize("kind", ["token", "user", "all"])
    async def test_on_two_gateways_at_upgrades_and_for_http(self, rig: Rig, kind: str) -> None:
        tokens, other = await rig.login("ada"), await rig.login("eve")
        first, bystander = await rig.join(tokens["access_token"]), await rig.join(other["access_token"])
        second_gateway = GatewayRunner(rig.realm.open)
        await second_gateway.start(rig.realm.realm)  # sockets from now on are its
        try:
            second = await rig.join(tokens["access_token"])
            assert second.ready["gateway"] != first.ready["gateway"]
            subject = {"token": jti(tokens["access_token"]), "user": tokens["user_id"], "all": ""}[kind]
            began = time.monotonic()
            await rig.revoke(kind, subject)
            for player in (first, second):
                await player.until(closed(player), LATE_S)
                assert (player.code, player.ws.close_reason) == (4501, "token_revoked")
            assert time.monotonic() - began < LATE_S
            assert await rig.refused(tokens["access_token"]) == (401, "token_revoked")
            assert await rig.refused(recovery=first.ready["recovery"]["token"]) == (401, "token_revoked")
            await rig.api_refuses(tokens["access_token"], "token_revoked")
            if kind == "all":
                await bystander.until(closed(bystander), LATE_S)
            else:
                assert bystander.code is None
            body = {"refresh_token": tokens["refresh_token"]}
            refreshed = await rig.http.post("/v1/auth/refresh", json=body)
            assert refreshed.status_code == (200 if kind == "token" else 401)
            again = await rig.http.post("/v1/auth/login", json={"username": "ada", "password": "correct horse battery"})
            await rig.join(again.json()["access_token"])
        finally:
            second_gateway.hub.stop()
            second_gateway.stop()

    async def test_a_missed_notice_is_made_up_for(self, rig: Rig) -> None:
        """Whoever the bus does not reach looks by itself."""
        tokens = await rig.login("ada")
        player = await rig.join(tokens["access_token"])
        runtime = rig.realm.gateway._runtime
        now = time.time()
        store = RedisProtection(runtime.redis, rig.realm.settings.namespace)
        await store.revoke(Revocation("user", tokens["user_id"], now, now + 60))
        await player.until(closed(player), LATE_S)
        assert player.code == 4501

    async def test_by_logging_out(self, rig: Rig) -> None:
        tokens, other = await rig.login("ada"), await rig.login("eve")
        player, bystander = await rig.join(tokens["access_token"]), await rig.join(other["access_token"])
        body = {"refresh_token": tokens["refresh_token"]}
        assert (await rig.http.post("/v1/auth/logout", json=body)).status_code == 204
        await player.until(closed(player), LATE_S)
        assert (player.code, player.ws.close_reason) == (4501, "token_revoked")
        assert await rig.refused(tokens["access_token"]) == (401, "token_revoked")
        await rig.api_refuses(tokens["access_token"], "token_revoked")
        assert bystander.code is None

    async def test_by_command(self, rig: Rig, tmp_path: Path, nats_token: str) -> None:
        state = registered(rig.realm, tmp_path, nats_token)
        tokens = await rig.login("ada")
        player = await rig.join(tokens["access_token"])
        said = await command(state, "revoke", "--user", "ada", "--days", "1")
        assert said == f"revoked: user {tokens['user_id']}\n"
        await player.until(closed(player), LATE_S)
        assert (player.code, player.ws.close_reason) == (4501, "token_revoked")
        assert await audited(rig) == [("token.revoke", f"user {tokens['user_id']}")]
        held = await RedisProtection(rig.realm.gateway._runtime.redis, rig.realm.settings.namespace).load(-1)
        assert held is not None
        until = held.revocations[0].until
        assert until > time.time() + rig.realm.settings.accounts.refresh_ttl_s - 60, "as long as a refresh token lasts"


async def audited(rig: Rig) -> list[tuple[str, str]]:
    audit = RedisAuditLog(rig.realm.gateway._runtime.redis, rig.realm.settings.namespace, 10)
    return [(entry.action, entry.target) for entry in await audit.newest(10) if entry.result == "done"]


class TestKeys:
    async def rotate(self, rig: Rig, compromised: bool = False) -> dict[str, Any]:
        bus, subject = rig.realm.gateway._runtime.bus, rig.subjects.accounts()
        made: dict[str, Any] = await ask(bus, subject, ROTATE_KEYS, {"compromised": compromised}, 5.0)
        return made

    def kid(self, token: str) -> str:
        found: str = jwt.get_unverified_header(token)["kid"]
        return found

    async def test_nobody_notices(self, rig: Rig) -> None:
        before = await rig.login("ada")
        player = await rig.join(before["access_token"])
        made = await self.rotate(rig)
        assert made["signs_in_s"] == pytest.approx(0.6, abs=0.1), "gateways look for keys every 0.3 s"
        assert [key["state"] for key in made["keys"]] == ["waits", "signs"]
        assert (await self.rotate(rig))["kid"] == made["kid"], "one at a time"
        jwks = (await rig.http.get("/v1/auth/keys")).json()["keys"]
        assert [key["kid"] for key in jwks] == [made["kid"], self.kid(before["access_token"])]

        async def signs() -> bool:
            body = {"username": "ada", "password": "correct horse battery"}
            fresh = (await rig.http.post("/v1/auth/login", json=body)).json()
            if self.kid(fresh["access_token"]) != made["kid"]:
                assert self.kid(fresh["access_token"]) == self.kid(before["access_token"])
                return False
            await rig.join(fresh["access_token"])
            assert (await rig.api(fresh["access_token"]))[0] == 200
            return True

        await eventually(signs)
        assert player.code is None
        await rig.join(before["access_token"])
        fresh = await player.ask("auth.refresh", refresh_token=before["refresh_token"])
        assert self.kid(fresh["access_token"]) == made["kid"]

    async def test_they_survive_restarts(self, rig: Rig) -> None:
        before = await rig.login("ada")
        made = await self.rotate(rig)
        await asyncio.sleep(0.7)
        second_gateway = GatewayRunner(rig.realm.open)
        await second_gateway.start(rig.realm.realm)
        try:
            async with web(rig.realm) as (http, _):
                body = {"username": "ada", "password": "correct horse battery"}
                fresh = (await http.post("/v1/auth/login", json=body)).json()
            assert self.kid(fresh["access_token"]) == made["kid"]
            for token in (fresh["access_token"], before["access_token"]):
                await rig.join(token)
        finally:
            second_gateway.hub.stop()
            second_gateway.stop()

    async def test_compromised_ones_end_at_once(self, rig: Rig) -> None:
        before = await rig.login("ada")
        player = await rig.join(before["access_token"])
        await self.rotate(rig, compromised=True)
        await player.until(closed(player), LATE_S)
        assert (player.code, player.ws.close_reason) == (4501, "key_gone")
        assert await rig.refused(before["access_token"]) == (401, "token_invalid")
        await rig.api_refuses(before["access_token"], "token_invalid")
        body = {"refresh_token": before["refresh_token"]}
        fresh = (await rig.http.post("/v1/auth/refresh", json=body)).json()
        await rig.join(fresh["access_token"])

    async def test_who_writes_into_the_store_cannot_make_tokens(self, rig: Rig) -> None:
        tokens = await rig.login("ada")
        player = await rig.join(tokens["access_token"])
        mine, runtime = KeyRing.create(time.time()), rig.realm.gateway._runtime
        store = RedisProtection(runtime.redis, rig.realm.settings.namespace)
        await store.keep_keys(publish(mine, mine, time.time()), "")
        tell_change(runtime.bus, runtime.subjects)
        await asyncio.sleep(0.6)
        forged = sign_access(mine, tokens["user_id"], time.time(), 60, rig.realm.settings.namespace)
        assert await rig.refused(forged) == (401, "token_invalid")
        assert player.code is None

    async def test_by_command(self, rig: Rig, tmp_path: Path, nats_token: str) -> None:
        state = registered(rig.realm, tmp_path, nats_token)
        assert "signs" in await command(state, "keys", "list")
        said = await command(state, "keys", "rotate")
        assert "signs in" in said
        assert "waits" in said
        assert [action for action, _ in await audited(rig)] == ["keys.rotate"]
