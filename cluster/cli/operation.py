"""`rayrealm do` and `rayrealm operations`: every operation by its name, also those without a command of their own (row 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

import typer

from cluster.cli.desk import AsJson, DryRun, run_action, run_look
from cluster.cli.down import Url
from cluster.errors import StartRefused
from cluster.operations.all import registry
from cluster.operations.model import Action, Operation

Name = Annotated[str, typer.Argument(help="An operation, as `rayrealm operations` names it.")]
Given = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="What it is given. A value that is JSON is taken as that, else as text."
    ),
]
Wait = Annotated[
    float | None, typer.Option(min=0.0, help="Seconds to wait for the end of an action; it goes on after that.")
]


def do(
    name: Name,
    given: Given = None,
    dry_run: DryRun = False,
    wait: Wait = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have any operation carried out, like `rayrealm do zones.split zone=zon_meadow`."""
    operation = registry().operations.get(name)
    if operation is None:
        raise StartRefused(f"there is no operation {name!r}: see `rayrealm operations`")
    params = read(operation, given or [])
    if isinstance(operation, Action):
        run_action(name, params, url, as_json=as_json, dry_run=dry_run, wait_s=wait, text=pretty)
    elif dry_run:
        raise StartRefused(f"{name} changes nothing: there is no plan for it")
    else:
        run_look(name, params, url, as_json, pretty)


def operations(as_json: AsJson = False) -> None:
    """Every operation: what it does, who may, and what it is given."""
    found = [told(operation) for _, operation in sorted(registry().operations.items())]
    if as_json:
        print(json.dumps({"operations": found}))
        return
    for row in found:
        print(f"{row['name']:<20} {row['role']:<9} {row['summary']}")
        for given in row["params"]:
            print(f"{'':<20} {'':<9} {given['name']}{'' if given['needed'] else ' (may be left out)'}")


def told(operation: Operation) -> dict[str, Any]:
    """JSON. `schema`: of its params (JSON Schema)."""
    fields = operation.params.model_fields
    return {
        "name": operation.name,
        "summary": operation.summary,
        "kind": "action" if isinstance(operation, Action) else "look",
        "role": operation.role.name.lower(),
        "command": operation.command,
        "params": [{"name": name, "needed": field.is_required()} for name, field in fields.items()],
        "schema": operation.params.model_json_schema(),
    }


def read(operation: Operation, given: Iterable[str]) -> dict[str, Any]:
    """`["on=true", "zone=zon_a"]` as params. Raises StartRefused."""
    params: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise StartRefused(f"{text!r} is not KEY=VALUE")
        if key not in operation.params.model_fields:
            there = ", ".join(operation.params.model_fields) or "nothing"
            raise StartRefused(f"{operation.name} is not given {key!r}; it is given: {there}")
        params[key] = _value(value, operation.params.model_fields[key].annotation)
    return params


def _value(text: str, kind: Any) -> Any:
    """A text stays one where one is wanted: a name may be `123` or `true`. Several are separated by commas."""
    if kind is str:
        return text
    try:
        read = json.loads(text)
    except ValueError:
        read = text
    if str in get_args(kind):
        return None if read is None else text
    return text.split(",") if get_origin(kind) in (tuple, list) and not isinstance(read, list) else read


def pretty(result: dict[str, Any]) -> Iterable[str]:
    yield json.dumps(result, indent=2)
