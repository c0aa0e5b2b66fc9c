"""No token is in any log, whichever way it came: the address of a request above all (row 4.1)."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator

import jwt
import pytest
import ray.serve._private.http_util as serve_http
from ray.serve._private.logging_utils import access_log_msg

from cluster import haproxy
from rayrealm_client.codec import Failure
from tests.integration.identity_rig import Rig, closed, identity_rig
from tests.players import Player


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    async with identity_rig(valkey_url, nats_url, nats_token, namespace) as rig:
        yield rig


async def test_ours(rig: Rig, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    for ours in ("websockets.client", "httpx", "httpcore"):  # the test's own clients
        caplog.set_level(logging.WARNING, ours)
    tokens = await rig.login("ada")
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    secrets = {access, refresh}
    player = await Player.open(f"{rig.ws}?token={access}", "json")
    recovery = player.ready["recovery"]["token"]
    again = await Player.open(f"{rig.ws}?recovery={recovery}", "proto")
    fresh = await again.ask("auth.refresh", refresh_token=refresh)
    assert not isinstance(fresh, Failure)
    secrets |= {recovery, fresh["access_token"], fresh["refresh_token"], again.ready["recovery"]["token"]}
    for method, params in (
        ("auth.renew", {"access_token": fresh["access_token"][:-4] + "AAAA"}),
        ("auth.renew", {"access_token": [fresh["access_token"]]}),
        ("auth.refresh", {"refresh_token": {"x": fresh["refresh_token"]}}),
        ("auth.refresh", {"refresh_token": fresh["refresh_token"], "x": access}),
        (f"auth.{access}"[:100], {}),
        ("auth.refresh", {"refresh_token": refresh}),  # used: the family ends
    ):
        await again.ask(method, **params)
    await again.until(closed(again))
    await rig.http.get(f"/v1/characters?token={access}", headers={"Authorization": f"Bearer {access}"})
    await rig.http.get(f"/nowhere/{access}")
    assert (await rig.refused(access))[0] == 401
    assert (await rig.refused(recovery=recovery))[0] == 401
    out, err = capfd.readouterr()
    said = out + err + caplog.text
    assert "refresh_token_reused" in said, "it does log"
    parts = {part for secret in secrets for part in (secret, secret[:-10], secret.rpartition(".")[2])}
    assert not [part for part in parts if part in said]
    signature = jwt.utils.base64url_decode(access.rpartition(".")[2])
    assert signature.hex() not in said


def test_the_edges_format_has_no_query() -> None:
    """%HP is the path alone; %r, %HU and %HQ would bring the query, %hr captured headers."""
    words = haproxy.LOG.replace('"', " ").split()
    assert "%HP" in words
    assert not {"%r", "%{+Q}r", "%HU", "%HQ", "%HPO", "%hr", "%hrl"} & set(words)


def test_serves_access_log_has_routes_alone() -> None:
    assert set(inspect.signature(access_log_msg).parameters) == {"method", "route", "status", "latency_ms", "client"}
    assert "access_log=True" not in inspect.getsource(serve_http)
    assert inspect.getsource(serve_http).count("access_log=False") >= 2
