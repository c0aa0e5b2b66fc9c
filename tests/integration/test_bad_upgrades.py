"""Upgrades that are refused, each with a status and a reason (PROTOCOL.md, "Connecting"), and what they leave behind: nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives import serialization

from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.security.keys import KeyRing
from cluster.security.tokens import sign_access
from tests.integration.strangers import PAUSE_S, SETTLE_S, a_user, until
from tests.local_realm import LocalRealm
from tests.players import Player
from tests.wire import Raw

pytestmark = pytest.mark.asyncio(loop_scope="module")


def forged(realm: LocalRealm, algorithm: str, **header: Any) -> str:
    """A token with the claims of a good one, signed in another way."""
    claims = jwt.decode(realm.token("usr_a"), options={"verify_signature": False})
    kid, key = realm.keys.signer()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if algorithm == "HS256":  # the classic: the public key as a shared secret; the library refuses to help
        parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in
                 ({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims)]  # fmt: skip
        signature = hmac.new(public, b".".join(parts), hashlib.sha256).digest()
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    headers = {"kid": kid, "typ": "at+jwt", **header}
    return jwt.encode(claims, "" if algorithm == "none" else key, algorithm=algorithm, headers=headers)


class TestTokens:
    async def refused(self, realm: LocalRealm, token: str) -> str:
        before = realm.gateway.hub.metrics.opened
        raw = await Raw.open(realm.url, token)
        assert raw.answer.status == 401
        assert raw.answer.headers["www-authenticate"] == "Bearer"
        assert raw.answer.headers["connection"] == "close"
        assert realm.gateway.hub.metrics.opened == before
        reason: str = raw.answer.problem["reason"]
        return reason

    async def test_absent(self, watched_realm: LocalRealm) -> None:
        assert await self.refused(watched_realm, "") == "token_missing"

    async def test_expired(self, watched_realm: LocalRealm) -> None:
        issued = time.time() - 1_000
        token = sign_access(watched_realm.keys, "usr_a", issued, 900, watched_realm.settings.namespace)
        assert await self.refused(watched_realm, token) == "token_expired"

    async def test_without_a_signature(self, watched_realm: LocalRealm) -> None:
        assert await self.refused(watched_realm, forged(watched_realm, "none")) == "token_invalid"
        assert (
            await self.refused(watched_realm, watched_realm.token("usr_a").rpartition(".")[0] + ".") == "token_invalid"
        )

    async def test_signed_with_the_public_key(self, watched_realm: LocalRealm) -> None:
        assert await self.refused(watched_realm, forged(watched_realm, "HS256")) == "token_invalid"

    async def test_signed_with_another_key(self, watched_realm: LocalRealm) -> None:
        other = KeyRing.create(time.time())
        token = sign_access(other, "usr_a", time.time(), 600, watched_realm.settings.namespace)
        assert await self.refused(watched_realm, token) == "token_invalid"  # its kid is unknown
        kid, _ = watched_realm.keys.signer()
        _, key = other.signer()
        claims = jwt.decode(token, options={"verify_signature": False})
        posing = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid, "typ": "at+jwt"})
        assert await self.refused(watched_realm, posing) == "token_invalid"

    async def test_an_unknown_or_odd_kid(self, watched_realm: LocalRealm) -> None:
        for kid in ("nope", "", "../../etc/passwd", "x" * 1_000):
            assert await self.refused(watched_realm, forged(watched_realm, "EdDSA", kid=kid)) == "token_invalid"

    async def test_of_another_kind_or_realm(self, watched_realm: LocalRealm) -> None:
        assert await self.refused(watched_realm, forged(watched_realm, "EdDSA", typ="JWT")) == "token_invalid"
        elsewhere = sign_access(watched_realm.keys, "usr_a", time.time(), 600, "another-realm")
        assert await self.refused(watched_realm, elsewhere) == "token_invalid"

    async def test_a_changed_one(self, watched_realm: LocalRealm) -> None:
        head, body, signature = watched_realm.token("usr_a").split(".")
        claims = orjson.loads(base64.urlsafe_b64decode(body + "=="))
        changed = base64.urlsafe_b64encode(orjson.dumps({**claims, "sub": "usr_admin"})).rstrip(b"=").decode()
        assert await self.refused(watched_realm, f"{head}.{changed}.{signature}") == "token_invalid"

    async def test_nonsense(self, watched_realm: LocalRealm) -> None:
        for token in ("x", "a.b.c", "x" * 6_000, "..", "%00"):
            assert await self.refused(watched_realm, token) == "token_invalid"


async def sessions_of(realm: LocalRealm, user: str) -> int:
    store = RedisSessionStore(realm.gateway._runtime.redis, realm.settings.namespace)
    return len(await store.of_user(user))


class TestHandshakes:
    @pytest.mark.parametrize(
        "headers",
        [
            {"sec_websocket_key": None},
            {"sec_websocket_key": "short"},
            {"sec_websocket_version": None},
            {"sec_websocket_version": "12"},
            {"sec_websocket_version": "8"},
            {"upgrade": None},
            {"connection": "keep-alive"},
        ],
    )
    async def test_a_wrong_one_is_400_and_no_session_is_made(
        self, watched_realm: LocalRealm, headers: dict[str, Any]
    ) -> None:
        user = a_user()
        raw = await Raw.open(watched_realm.url, watched_realm.token(user), **headers)
        assert (raw.answer.status, raw.answer.problem["reason"]) == (400, "bad_request")
        assert await sessions_of(watched_realm, user) == 0

    async def test_nor_does_it_cost_the_user_the_socket_that_is_open(self, watched_realm: LocalRealm) -> None:
        player = await Player.join(watched_realm, a_user())
        token = watched_realm.token(player.ready["user_id"])
        raw = await Raw.open(f"{watched_realm.url}?session={player.session_id}", token, sec_websocket_key=None)
        assert raw.answer.status == 400
        assert (await player.ask("system.ping"))["echo"] is None
        await player.leave()

    async def test_the_wrong_version_is_told_the_right_one(self, watched_realm: LocalRealm) -> None:
        raw = await Raw.open(watched_realm.url, watched_realm.token("usr_a"), sec_websocket_version="12")
        assert raw.answer.headers["sec-websocket-version"] == "13"

    @pytest.mark.parametrize("path", ["/", "/wss", "/v1/ws", "/ws/deeper", "//[x", "/%77s"])
    async def test_a_wrong_path_is_404(self, watched_realm: LocalRealm, path: str) -> None:
        raw = await Raw.open(watched_realm.url.removesuffix("/ws") + "/", watched_realm.token("usr_a"))
        assert raw.answer.status == 404
        raw = await Raw.dial(watched_realm.url)
        head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        raw.send(
            f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await raw.answered()
        assert (raw.answer.status, raw.answer.problem["reason"]) == (404, "not_found")

    async def test_a_client_that_is_gone_before_it_is_let_in_leaves_nothing(self, watched_realm: LocalRealm) -> None:
        user = a_user()
        for _ in range(3):
            raw = await Raw.dial(watched_realm.url)
            head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            raw.send(f"GET /ws?token={watched_realm.token(user)} HTTP/1.1\r\nHost: x\r\n{head}{key}\r\n".encode())
            await raw.sent()
            raw.abort()
        async with asyncio.timeout(SETTLE_S):
            while await sessions_of(watched_realm, user):  # noqa: ASYNC110 - it is in Redis
                await asyncio.sleep(PAUSE_S)
        assert watched_realm.gateway.hub.reserved == 0


class TestLimits:
    async def test_fifty_sockets_of_one_user(self, watched_realm: LocalRealm) -> None:
        user = a_user()
        token = watched_realm.token(user)
        sockets = await asyncio.gather(*(Raw.open(watched_realm.url, token) for _ in range(50)))
        let_in = [raw for raw in sockets if raw.answer.status == 101]
        refused = [raw.answer for raw in sockets if raw.answer.status != 101]
        assert len(let_in) == watched_realm.settings.session.per_user == 5
        assert {answer.status for answer in refused} == {429}
        assert {answer.problem["reason"] for answer in refused} == {"too_many_sessions"}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert await sessions_of(watched_realm, user) == 5
        for raw in let_in:
            raw.abort()
        host = await watched_realm.actors["sessions/0"]._host()
        await until(lambda: user not in {s.record.user_id for s in host.sessions.values()})
        assert await sessions_of(watched_realm, user) == 0
        assert user not in {client.user_id for client in watched_realm.gateway.hub.clients.values()}
        again = [await Raw.open(watched_realm.url, token) for _ in range(6)]
        assert [raw.answer.status for raw in again] == [101] * 5 + [429]
        for raw in again[:5]:
            raw.abort()
