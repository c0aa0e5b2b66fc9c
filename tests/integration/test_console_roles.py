"""Who may do what at the console: every operation there is, for every role, over HTTP (row 7.8)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from pydantic import ValidationError

from cluster.operations.all import registry
from cluster.operations.model import Look, Role
from cluster.operators import ROLES
from tests.integration.console_rig import API, ConsoleRig, Visitor, console_rig

OPERATIONS = sorted(registry().operations)


@dataclass
class People:
    rig: ConsoleRig
    each: dict[str, Visitor]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[People]:
    async with console_rig(valkey_url, nats_url, nats_token, f"test-{secrets.token_hex(6)}") as rig:
        yield People(rig, {role: await rig.operator(f"some-{role}", role) for role in ROLES})


def place(name: str) -> str:
    return name.replace(".", "/") if isinstance(registry().operations[name], Look) else f"actions/{name}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_role_that_is_too_low_is_told_so_and_others_are_not(people: People, name: str) -> None:
    """What is sent is nonsense: who may is told what is wrong with it, and nothing is done."""
    operation = registry().operations[name]
    for role, visitor in people.each.items():
        allowed = Role[role.upper()] >= operation.role
        said = {"no_such_member": "x"}
        if isinstance(operation, Look):
            answers = [await visitor.get(place(name), **said)]
        else:
            answers = [await visitor.post(f"{place(name)}{plan}", said) for plan in ("/plan", "")]
        for answer in answers:
            reason = answer.json()["reason"]
            wanted = (422, "invalid_input") if allowed else (403, "role_too_low")
            assert (answer.status_code, reason) == wanted, f"{name} as {role}: {answer.text}"
        assert (name in (await visitor.get("me")).json()["operations"]) == allowed


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", OPERATIONS)
async def test_nobody_may_anything(people: People, name: str) -> None:
    nobody = people.rig.visitor()
    if isinstance(registry().operations[name], Look):
        answers = [await nobody.get(place(name))]
    else:
        answers = [await nobody.post(f"{place(name)}{plan}", {}) for plan in ("/plan", "")]
    assert {(a.status_code, a.json()["reason"]) for a in answers} == {(401, "not_logged_in")}


@pytest.mark.asyncio(loop_scope="module")
async def test_openapi_names_every_operation_with_its_params_and_result(people: People) -> None:
    document = (await people.rig.visitor().http.get(f"{API}/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for name, operation in registry().operations.items():
        path = document["paths"][f"/api/v1/{place(name)}"]
        if isinstance(operation, Look):
            told = path["get"]
            said = {each["name"] for each in told.get("parameters", []) if each["in"] == "query"}
            assert said == set(operation.params.model_fields), name
            result = told["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
            assert result.endswith(f"/{operation.result.__name__}"), name
        else:
            told = path["post"]
            body = told["requestBody"]["content"]["application/json"]["schema"]
            assert str(body).count(operation.params.__name__), name
            assert operation.result.__name__ in schemas, name
            assert operation.result.__name__ in told["description"], name
        assert told["operationId"] == name
        assert told["summary"] == operation.summary
        assert {"401", "403", "503"} <= set(told["responses"])
    assert "HTTPValidationError" not in schemas


@pytest.mark.asyncio(loop_scope="module")
async def test_looks_answer(people: People) -> None:
    """All those that need no params."""
    failed = {}
    for name, operation in registry().operations.items():
        if not isinstance(operation, Look):
            continue
        try:
            operation.params()
        except ValidationError:
            continue
        answer = await people.each["admin"].get(place(name))
        if answer.status_code not in (200, 409, 503):
            failed[name] = answer.text
        if answer.status_code == 200:
            operation.result.model_validate(answer.json())
    assert failed == {}


@pytest.mark.asyncio(loop_scope="module")
async def test_headers(people: People) -> None:
    visitor = people.each["viewer"]
    for path in (f"{API}/me", f"{API}/nothing", f"{API}/jobs"):
        headers = (await visitor.http.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    page = await visitor.http.get("/console/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-cache"
    moved = await visitor.http.get("/console/app/main.js")
    assert moved.status_code == 200
    assert "javascript" in moved.headers["content-type"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "nothing/at/all", (404, "not_found")),
        ("GET", "actions/zones.split", (404, "not_found")),
        ("POST", "actions/no.such/plan", (404, "not_found")),
        ("GET", "jobs/job_1", (404, "no_such_job")),
        ("POST", "jobs/job_1/cancel", (404, "no_such_job")),
        ("GET", "jobs?limit=501", (422, "invalid_input")),
        ("GET", "jobs?limit=x", (422, "invalid_input")),
    ],
)
async def test_what_is_not_there(people: People, method: str, path: str, wanted: tuple[int, str]) -> None:
    visitor = people.each["admin"]
    answer = await (visitor.get(path) if method == "GET" else visitor.post(path))
    assert (answer.status_code, answer.json()["reason"]) == wanted
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.asyncio(loop_scope="module")
async def test_bodies_are_bounded(people: People) -> None:
    visitor = people.each["admin"]
    answer = await visitor.post("actions/operators.invite", {"name": "x" * 70_000})
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
