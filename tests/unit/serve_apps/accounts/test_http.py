from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import jwt
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from cluster.adapters.memory.accounts import MemoryAccounts
from cluster.errors import Unavailable
from serve_apps.accounts.http import build_http
from serve_apps.accounts.routes import HttpDeps
from serve_apps.accounts.service import AccountService
from tests.unit.serve_apps.accounts.conftest import CHEAP, World

PASSWORD = "correct horse"
JSON = {"Content-Type": "application/json"}


async def register(http: httpx.AsyncClient, username: str = "ada") -> dict[str, Any]:
    answer = await http.post("/v1/auth/register", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def bearer(http: httpx.AsyncClient, username: str = "ada") -> dict[str, str]:
    return {"Authorization": f"Bearer {(await register(http, username))['access_token']}"}


def assert_problem(answer: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["reason"]) == (status, status, reason)
    assert {"type", "title", "detail"} <= body.keys()
    assert answer.headers["cache-control"] == "no-store"
    return body


class TestAuth:
    async def test_register(self, http: httpx.AsyncClient) -> None:
        body = await register(http, "Ada.L-1_x")
        assert body.keys() == {"user_id", "access_token", "token_type", "expires_in", "refresh_token"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)

    async def test_a_taken_name(self, http: httpx.AsyncClient) -> None:
        await register(http, "ada")
        answer = await http.post("/v1/auth/register", json={"username": "ADA", "password": PASSWORD})
        assert_problem(answer, 409, "username_taken")

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"username", "password"}),
            ({"username": "ab", "password": "short"}, {"username", "password"}),
            ({"username": "ada", "password": "x" * 129}, {"password"}),
            ({"username": "ada", "password": None}, {"password"}),
            ({"username": 7, "password": PASSWORD}, {"username"}),
            ({"username": ["ada"], "password": {"p": PASSWORD}}, {"username", "password"}),
            ({"username": "ada", "password": "\ud800" * 9}, {"password"}),
            ({"username": "\ud800da", "password": PASSWORD}, {"username"}),
            ([], {"body"}),
            ("ada", {"body"}),
            (None, {"body"}),
        ],
    )
    async def test_bad_input_names_each_field(self, http: httpx.AsyncClient, body: object, fields: set[str]) -> None:
        answer = await http.post("/v1/auth/register", content=json.dumps(body), headers=JSON)
        problem = assert_problem(answer, 422, "invalid_input")
        assert {error["field"] for error in problem["errors"]} == fields
        assert all(error["reason"] for error in problem["errors"])
        assert PASSWORD not in answer.text

    async def test_login(self, http: httpx.AsyncClient) -> None:
        registered = await register(http)
        answer = await http.post("/v1/auth/login", json={"username": "Ada", "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.json()["user_id"] == registered["user_id"]
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("username", "password"),
        [("ada", "wrong horse"), ("eve", PASSWORD), ("?", PASSWORD), ("ada", ""), ("", "")],
    )
    async def test_wrong_credentials_all_look_the_same(
        self, http: httpx.AsyncClient, username: str, password: str
    ) -> None:
        await register(http)
        answer = await http.post("/v1/auth/login", json={"username": username, "password": password})
        body = assert_problem(answer, 401, "bad_credentials")
        assert body["detail"] == "wrong username or password"
        assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("path", ["/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout"])
    async def test_half_a_surrogate_pair_anywhere(self, http: httpx.AsyncClient, path: str) -> None:
        body = {"username": "\ud800", "password": "\ud800", "refresh_token": "\ud800"}
        assert_problem(await http.post(path, content=json.dumps(body), headers=JSON), 422, "invalid_input")

    async def test_refresh_works_once(self, http: httpx.AsyncClient) -> None:
        first = await register(http)
        answer = await http.post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert answer.status_code == 200
        second = answer.json()
        assert second["user_id"] == first["user_id"]
        with capture_logs():
            again = await http.post("/v1/auth/refresh", json={"refresh_token": first["refresh_token"]})
        assert_problem(again, 401, "token_invalid")
        family = await http.post("/v1/auth/refresh", json={"refresh_token": second["refresh_token"]})
        assert_problem(family, 401, "token_invalid")

    async def test_logout(self, http: httpx.AsyncClient) -> None:
        body = {"refresh_token": (await register(http))["refresh_token"]}
        for _ in range(2):
            answer = await http.post("/v1/auth/logout", json=body)
            assert (answer.status_code, answer.content) == (204, b"")
        assert_problem(await http.post("/v1/auth/refresh", json=body), 401, "token_invalid")

    async def test_anyone_can_check_a_token_with_the_published_keys(self, http: httpx.AsyncClient) -> None:
        tokens = await register(http)
        answer = await http.get("/v1/auth/keys")
        assert answer.headers["content-type"] == "application/jwk-set+json"
        assert "d" not in answer.json()["keys"][0]
        kid = jwt.get_unverified_header(tokens["access_token"])["kid"]
        claims = jwt.decode(
            tokens["access_token"],
            jwt.PyJWKSet.from_dict(answer.json())[kid],
            algorithms=["EdDSA"],
            audience="rayrealm",
            issuer="rayrealm-test",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert claims["sub"] == tokens["user_id"]


class TestCharacters:
    async def test_create_list_delete(self, http: httpx.AsyncClient) -> None:
        headers = await bearer(http)
        created = await http.post("/v1/characters", json={"name": " Ada  of the Ridge "}, headers=headers)
        assert created.status_code == 201
        character = created.json()
        assert character == {
            "character_id": character["character_id"],
            "name": "Ada of the Ridge",
            "zone": "zon_meadow",
            "position": {"x": ANY, "y": 0.0, "z": ANY},
            "created_at": 1_800_000_000.0,
        }
        listed = await http.get("/v1/characters", headers=headers)
        assert (listed.status_code, listed.json()) == (200, {"characters": [character]})
        path = f"/v1/characters/{character['character_id']}"
        assert_problem(await http.delete(path, headers=await bearer(http, "eve")), 404, "not_found")
        deleted = await http.delete(path, headers=headers)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert_problem(await http.delete(path, headers=headers), 404, "not_found")

    async def test_conflicts(self, http: httpx.AsyncClient, service: AccountService, world: World) -> None:
        headers = await bearer(http)
        for n in range(CHEAP.max_characters):
            created = await http.post("/v1/characters", json={"name": f"Ada {n}"}, headers=headers)
        too_many = await http.post("/v1/characters", json={"name": "More"}, headers=headers)
        assert_problem(too_many, 409, "too_many_characters")
        taken = await http.post("/v1/characters", json={"name": "ADA 1"}, headers=await bearer(http, "eve"))
        assert_problem(taken, 409, "name_taken")
        character_id = created.json()["character_id"]
        (owner,) = {character.user_id for character in service.characters._characters.values()}  # type: ignore[attr-defined]
        world.live_sessions.add("ses_1")
        await service.characters.claim(character_id, owner, "ses_1")
        answer = await http.delete(f"/v1/characters/{character_id}", headers=headers)
        assert_problem(answer, 409, "in_world")

    @pytest.mark.parametrize("name", ["", "x", "x" * 25, "a\u202eb", "<script>", 7, None])
    async def test_a_bad_name(self, http: httpx.AsyncClient, name: object) -> None:
        answer = await http.post("/v1/characters", json={"name": name}, headers=await bearer(http))
        assert_problem(answer, 422, "invalid_input")

    @pytest.mark.parametrize(
        ("authorization", "reason"),
        [
            (None, "token_missing"),
            ("Basic YWRhOnB3", "token_missing"),
            ("Bearer", "token_missing"),
            ("Bearer nonsense", "token_invalid"),
            ("Bearer " + "a" * 5000, "token_invalid"),
            ("bearer a.b.c", "token_invalid"),
        ],
    )
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/v1/characters"), ("POST", "/v1/characters"), ("DELETE", "/v1/characters/chr_1")],
    )
    async def test_without_a_good_token(
        self, http: httpx.AsyncClient, method: str, path: str, authorization: str | None, reason: str
    ) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await http.request(method, path, headers=headers)
        assert_problem(answer, 401, reason)
        assert answer.headers["www-authenticate"].startswith("Bearer")

    async def test_with_an_expired_token(self, http: httpx.AsyncClient, world: World) -> None:
        headers = await bearer(http)
        world.now += CHEAP.access_ttl_s + CHEAP.clock_skew_s
        assert_problem(await http.get("/v1/characters", headers=headers), 401, "token_expired")


class TestRealm:
    async def test_what_the_realm_is(self, http: httpx.AsyncClient) -> None:
        body = (await http.get("/v1/realm")).json()
        assert (body["realm"], body["websocket"], body["sign"]) == ("test", "/ws", False)
        assert body["zones"][0] == {
            "zone": "zon_meadow",
            "name": "Meadow",
            "bounds": {"min_x": 0.0, "min_z": 0.0, "max_x": 200.0, "max_z": 200.0},
        }
        assert len(body["zones"]) == 4

    async def test_health(self, http: httpx.AsyncClient, world: World) -> None:
        good = await http.get("/v1/healthz")
        assert (good.status_code, good.json()) == (200, {"status": "ok", "checks": world.checks})
        world.checks["nats"] = False
        bad = await http.get("/v1/healthz")
        assert (bad.status_code, bad.json()) == (503, {"status": "unavailable", "checks": world.checks})

    async def test_metrics_of_one_process(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/metrics", params={"process": "zone/zon_meadow"})
        assert (answer.status_code, answer.content) == (200, b"# of zone/zon_meadow\n")
        assert (await http.get("/metrics", params={"process": "x" * 201})).status_code == 422

    @pytest.mark.parametrize(
        ("base", "address"),
        [
            ("https://realm", "realm:443"),
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
        ],
    )
    async def test_targets_are_where_the_caller_found_the_realm(
        self, http: httpx.AsyncClient, base: str, address: str
    ) -> None:
        answer = await http.get(f"{base}/metrics/targets")
        assert answer.json() == [{"targets": [address], "labels": {}}]
        assert answer.headers["content-type"].startswith("application/json")

    async def test_metrics(self, http: httpx.AsyncClient, world: World) -> None:
        answer = await http.get("/metrics")
        assert (answer.status_code, answer.content) == (200, world.metrics)
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        world.metrics = Unavailable("nats")
        with capture_logs():
            answer = await http.get("/metrics")
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"


class TestErrors:
    @pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/auth/register/", "/v1/characters/a/b", "/docs"])
    async def test_no_such_path(self, http: httpx.AsyncClient, path: str) -> None:
        assert_problem(await http.get(path), 404, "not_found")

    async def test_no_such_method(self, http: httpx.AsyncClient) -> None:
        answer = await http.put("/v1/auth/login", json={})
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 60_000, b"1" * 60_000, b'{"username": nope}'])
    async def test_no_json(self, http: httpx.AsyncClient, body: bytes) -> None:
        answer = await http.post("/v1/auth/login", content=body, headers=JSON)
        if body:
            assert_problem(answer, 400, "bad_request")
        else:
            assert_problem(answer, 422, "invalid_input")

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
    async def test_not_declared_as_json(self, http: httpx.AsyncClient, kind: str) -> None:
        answer = await http.post("/v1/auth/login", content=b"{}", headers={"Content-Type": kind})
        body = assert_problem(answer, 415, "unsupported_media_type")
        assert "application/json" in body["detail"]

    async def test_too_large(self, http: httpx.AsyncClient) -> None:
        answer = await http.post("/v1/auth/login", content=b" " * (64 * 1024 + 1), headers=JSON)
        assert_problem(answer, 413, "too_large")
        largest = b'{"username": "ada", "password": "x"}'.ljust(64 * 1024)
        answer = await http.post("/v1/auth/login", content=largest, headers=JSON)
        assert_problem(answer, 401, "bad_credentials")

    async def test_a_bug_has_an_id_and_hides_the_rest(
        self, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(self: MemoryAccounts, username: str) -> None:
            raise RuntimeError("internals")

        monkeypatch.setattr(MemoryAccounts, "by_username", broken)
        with capture_logs() as logs:
            answer = await http.post("/v1/auth/login", json={"username": "ada", "password": PASSWORD})
        body = assert_problem(answer, 500, "internal")
        assert [entry["error_id"] for entry in logs] == [body["error_id"]]
        assert "internals" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"

    async def test_an_outage(self, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(self: MemoryAccounts, username: str) -> None:
            raise Unavailable("redis", 2.5)

        monkeypatch.setattr(MemoryAccounts, "by_username", away)
        with capture_logs():
            answer = await http.post("/v1/auth/login", json={"username": "ada", "password": PASSWORD})
        assert_problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "3"


class TestOpenApi:
    async def test_every_route_of_the_protocol_is_there(self, http: httpx.AsyncClient) -> None:
        document = (await http.get("/v1/openapi.json")).json()
        calls = {(method, path) for path, item in document["paths"].items() for method in item}
        assert calls == {
            ("post", "/v1/auth/register"),
            ("post", "/v1/auth/login"),
            ("post", "/v1/auth/refresh"),
            ("post", "/v1/auth/logout"),
            ("post", "/v1/auth/password"),
            ("get", "/v1/auth/keys"),
            ("get", "/v1/characters"),
            ("post", "/v1/characters"),
            ("delete", "/v1/characters/{character_id}"),
            ("get", "/v1/realm"),
            ("get", "/v1/healthz"),
            ("get", "/metrics"),
            ("get", "/metrics/targets"),
        }

    async def test_every_reference_leads_somewhere_and_errors_are_problems(self, http: httpx.AsyncClient) -> None:
        text = (await http.get("/v1/openapi.json")).text
        document = json.loads(text)
        schemas = document["components"]["schemas"]
        references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert references <= schemas.keys()
        assert "HTTPValidationError" not in text
        for item in document["paths"].values():
            for operation in item.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= 400 and "A check failed" not in answer["description"]:
                        assert list(answer["content"]) == ["application/problem+json"]

    async def test_the_page_asks_nobody_else(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/v1/docs")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        assert "<script" not in answer.text
        for path in ("/v1/auth/register", "/v1/characters/{character_id}", "/metrics"):
            assert path in answer.text


class TestPlay:
    @pytest.mark.parametrize("path", ["/", "/play"])
    async def test_the_way_there(self, http: httpx.AsyncClient, path: str) -> None:
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, "/play/")

    @pytest.mark.parametrize(("path", "kind"), [("/play/", "text/html"), ("/play/js/main.js", "javascript")])
    async def test_files(self, http: httpx.AsyncClient, path: str, kind: str) -> None:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"].split("; ")
        assert {"default-src 'self'", "connect-src 'self' ws: wss:"} <= set(policy)
        unchanged = await http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["cache-control"] == "no-cache"

    @pytest.mark.parametrize(
        "path", ["/play/nope.js", "/play/js", "/play/../secret.txt", "/play/%2e%2e/secret.txt", "/play/%00"]
    )
    async def test_nothing_else(self, http: httpx.AsyncClient, path: str) -> None:
        answer = await http.get(path)
        assert_problem(answer, 404, "not_found")

    async def test_a_link_does_not_lead_out(self, http: httpx.AsyncClient, play_folder: Path) -> None:
        (play_folder / "link.txt").symlink_to(play_folder.parent / "secret.txt")
        assert_problem(await http.get("/play/link.txt"), 404, "not_found")

    async def test_writing(self, http: httpx.AsyncClient) -> None:
        assert_problem(await http.put("/play/index.html", content=b"x"), 405, "method_not_allowed")

    async def test_an_api_alone(self, app: FastAPI) -> None:
        deps: HttpDeps = app.state.deps
        alone = build_http(HttpDeps(deps.service, deps.metrics, deps.health))
        transport = httpx.ASGITransport(alone)
        async with httpx.AsyncClient(transport=transport, base_url="http://realm") as http:
            assert_problem(await http.get("/"), 404, "not_found")
            assert_problem(await http.get("/play/"), 404, "not_found")
