"""docs/reference/http.md, from the routes: the realm's API for players, and the console's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from reference.words import kind
from serve_apps.accounts.routes import router
from serve_apps.console import account_routes
from serve_apps.console.routes import router as console_router

HEAD = """# HTTP API

Generated from the code by `scripts/generate-docs`: do not edit.

Errors are problem details (RFC 9457) with a `reason` for programs. What goes over the WebSocket is in
[PROTOCOL.md](../../proto/PROTOCOL.md).

# For players

A running realm describes the same at `/v1/openapi.json` and `/v1/docs`.
"""
CONSOLE = """
# For operators

For addresses in `edge.console_from`; a running realm describes all of it at `/console/api/v1/openapi.json`. Logged in by the
console's cookie, and then whatever changes something needs the header `X-CSRF-Token`; or by a token of an operator
(`rayrealm operators token`), as `Authorization: Bearer ...`.

## Operations

[operations.md](operations.md) has all of them with their params.

| | |
|---|---|
| `GET /console/api/v1/<look, with a slash for the dot>` | params in the query; 200 and its result |
| `POST /console/api/v1/actions/<action>/plan` | params as JSON; 200 what would be done, in order, and warnings; nothing is done |
| `POST /console/api/v1/actions/<action>` | params as JSON; 202 and the job that does it, to be asked for by its id |
"""
METHODS = ("get", "post", "put", "patch", "delete")


def render() -> str:
    players, operators = FastAPI(), FastAPI()
    players.include_router(router)
    operators.include_router(console_router, prefix="/console")
    operators.include_router(account_routes.router, prefix="/console")
    return HEAD + "".join(_routes(players.openapi())) + CONSOLE + "".join(_routes(operators.openapi()))


def _routes(document: dict[str, Any]) -> Iterator[str]:
    schemas = document.get("components", {}).get("schemas", {})
    for path in sorted(document["paths"]):
        for method in METHODS:
            said = document["paths"][path].get(method)
            if said is None:
                continue
            text = " ".join((said.get("description") or said.get("summary", "")).split())
            yield f"\n## `{method.upper()} {path}`\n\n{text}\n"
            members = [*_parameters(said), *_body(said, schemas)]
            if members:
                yield "\n| | in | |\n|---|---|---|\n" + "".join(members)
            yield "\n| answer | |\n|---|---|\n"
            for code, answer in sorted(said["responses"].items()):
                if code != "422" or "application/json" not in answer.get("content", {}):
                    yield f"| {code} | {_answer(answer)} |\n"


def _answer(answer: dict[str, Any]) -> str:
    text = str(answer.get("description", ""))
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    return f"`{name}`" if name and text == "Successful Response" else text.replace("Successful Response", "done")


def _parameters(said: dict[str, Any]) -> Iterator[str]:
    for one in said.get("parameters", []):
        yield f"| `{one['name']}` | {one['in']} | {kind(one.get('schema', {}))}{', needed' * one.get('required', False)} |\n"


def _body(said: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    schema = schemas.get(name, {})
    for member, one in schema.get("properties", {}).items():
        needed = ", needed" if member in schema.get("required", []) else ""
        yield f"| `{member}` | body | {kind(one)}{needed} |\n"
