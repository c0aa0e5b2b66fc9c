"""docs/reference/operations.md: what operators can do, from the registry that the console, its API and the commands share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cluster.operations.all import registry
from cluster.operations.model import Action, Operation
from reference.words import kind

HEAD = """# Operations

Generated from the code by `scripts/generate-docs`: do not edit.

What an operator can look at and do. Each is on the console's page, has a command (`rayrealm ...`, or `rayrealm do NAME
key=value`), and a route of the console's HTTP API (`/console/api/v1`, described at `/console/api/v1/openapi.json`). Actions
can be planned first (`--dry-run`, `.../plan`), and are written into the audit log.
"""


def render() -> str:
    operations = registry().operations
    looks = [one for one in operations.values() if not isinstance(one, Action)]
    actions = [one for one in operations.values() if isinstance(one, Action)]
    return HEAD + "\n## Looks\n" + "".join(_table(looks)) + "\n## Actions\n" + "".join(_table(actions))


def _table(operations: Sequence[Operation]) -> Iterator[str]:
    for operation in sorted(operations, key=lambda one: one.name):
        yield f"\n### `{operation.name}`\n\n{operation.summary.rstrip('.')}.\n\n"
        path = operation.name.replace(".", "/")
        route, more = f"GET /console/api/v1/{path}", ""
        if isinstance(operation, Action):
            route = f"POST /console/api/v1/actions/{operation.name}"
            more = ", dangerous" * operation.dangerous + ", can be cancelled" * (operation.cancel is not None)
        yield f"Role {operation.role.name.lower()}{more}. `rayrealm {operation.command}`; `{route}`.\n"
        members: dict[str, Any] = operation.params.model_json_schema().get("properties", {})
        needed = operation.params.model_json_schema().get("required", [])
        if members:
            yield "\n| param | what | |\n|---|---|---|\n"
        for name, said in members.items():
            yield f"| `{name}` | {kind(said)} | {'needed' if name in needed else _default(said)} |\n"


def _default(said: dict[str, Any]) -> str:
    value = said.get("default")
    if value in (None, "", [], ()):
        return ""
    return f"default `{str(value).lower() if isinstance(value, bool) else value}`"
