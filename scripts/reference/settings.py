"""docs/reference/settings.md, from the settings' classes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cluster.settings import Settings

HEAD = """# Settings

Generated from the code by `scripts/generate-docs`: do not edit.

Each has a name in `realm.toml` (sections are tables, as `[world.policy]`), and a variable. Sources, strongest first:
arguments of the command, variables, files in the folder `RAYREALM_SECRETS`, `realm.toml` (or the file `RAYREALM_CONFIG`),
the default. A value that is wrong, or a name that is not here, stops the start and is named.
"""


def render() -> str:
    return HEAD + "".join(_section("", Settings))


def _section(path: str, section: type[BaseModel], given: BaseModel | None = None) -> Iterator[str]:
    """`given`: the section as the one above has it by default."""
    plain = {name: field for name, field in section.model_fields.items() if _inner(field.annotation) is None}
    nested = {name: _inner(field.annotation) for name, field in section.model_fields.items()}
    remarks = _remarks(section)
    title = f"`[{path}]`" if path else "At the top"
    yield f"\n## {title}\n\n{_said(section)}"
    if plain:
        yield "| name | variable | what | default |\n|---|---|---|---|\n"
        for name, field in plain.items():
            variable = "RAYREALM_" + "__".join([*path.upper().split("."), name.upper()] if path else [name.upper()])
            what = _kind(field.annotation, field.metadata) + (f": {remarks[name]}" if name in remarks else "")
            yield f"| `{name}` | `{variable}` | {what} | {_default(field, name, given)} |\n"
    for name, inner in nested.items():
        if inner is not None:
            default = section.model_fields[name].get_default(call_default_factory=True)
            inside = getattr(given, name) if given is not None else default
            yield from _section(
                f"{path}.{name}" if path else name, inner, inside if isinstance(inside, BaseModel) else None
            )


def _remarks(section: type[BaseModel]) -> dict[str, str]:
    """What the comments beside and above the members say."""
    source = textwrap.dedent(inspect.getsource(section))
    lines = source.splitlines()
    found = {}
    for member in (one for top in ast.parse(source).body for one in ast.iter_child_nodes(top)):
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name) and member.end_lineno:
            said = [line.partition("  # ")[2] for line in lines[member.lineno - 1 : member.end_lineno]]
            above = lines[member.lineno - 2].strip()
            if above.startswith("# "):
                said.insert(0, above.removeprefix("# "))
            if text := "; ".join(filter(None, said)):
                found[member.target.id] = text.rstrip(".").replace("|", "\\|")
    return found


def _inner(annotation: Any) -> type[BaseModel] | None:
    return annotation if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else None


def _said(section: type[BaseModel]) -> str:
    text = inspect.getdoc(section) or ""
    return text + "\n\n" if section.__doc__ else ""


def _kind(annotation: Any, metadata: list[Any]) -> str:
    """A type in words, with its limits."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0], [*args[1:], *metadata])
    limits = _limits(metadata)
    if origin is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in args)
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        kinds = [_kind(arg, []) for arg in args if arg is not type(None)]
        return " or ".join(dict.fromkeys(kinds)) + (", or nothing" if type(None) in args else "") + limits
    if origin in (tuple, frozenset, list):
        return f"list of {_kind(args[0], [])}{limits}"
    if origin is dict:
        return f"table: {_kind(args[0], [])} to {_kind(args[1], [])}{limits}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        members = ", ".join(f"`{name}`" for name in annotation.model_fields)
        return f"table of {members}{limits}"
    names = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        str: "text",
        SecretStr: "text, secret",
        Path: "path",
        IPv4Network: "network (IPv4)",
        IPv6Network: "network (IPv6)",
    }
    return names.get(annotation, getattr(annotation, "__name__", str(annotation))) + limits


def _limits(metadata: list[Any]) -> str:
    said = []
    for one in _flat(metadata):
        for kind, attribute, sign in (
            (annotated_types.Ge, "ge", ">="),
            (annotated_types.Gt, "gt", ">"),
            (annotated_types.Le, "le", "<="),
            (annotated_types.Lt, "lt", "<"),
        ):
            if isinstance(one, kind):
                said.append(f"{sign} {_number(getattr(one, attribute))}")
        if isinstance(one, annotated_types.MinLen):
            said.append(f"at least {one.min_length} long")
        if isinstance(one, annotated_types.MaxLen):
            said.append(f"at most {one.max_length} long")
        if pattern := getattr(one, "pattern", None):
            said.append(f"like `{pattern}`".replace("|", "\\|"))
    return f" ({', '.join(said)})" if said else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from _flat(one.metadata)
        else:
            yield one


def _default(field: FieldInfo, name: str, given: BaseModel | None) -> str:
    value = field.get_default(call_default_factory=True) if given is None else getattr(given, name)
    if value is PydanticUndefined:
        return "needed"
    if value is None:
        return "nothing"
    if isinstance(value, SecretStr) or value in ("", (), {}, frozenset()):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and value.is_integer():
        return f"`{int(value)}`"
    if isinstance(value, dict):
        return ", ".join(f"`{key}`" for key in value)
    if isinstance(value, tuple | frozenset):
        return ", ".join(f"`{_short(one)}`" for one in value)
    return f"`{value}`"


def _short(value: Any) -> str:
    """One of a list: of a table what names it."""
    if not isinstance(value, BaseModel):
        return str(value)
    return str(next(iter(value.model_dump().values())))
