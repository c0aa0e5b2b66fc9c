"""docs/reference/commands.md, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from cluster.cli.main import app

HEAD = """# Commands

Generated from the code by `scripts/generate-docs`: do not edit.

Commands that act on a realm take `--url` or `RAYREALM_URL`, else they find the one that runs on this machine. With
`RAYREALM_TOKEN` they go over the console's HTTP API, to a realm anywhere. Exit codes: 0 done, 1 fell short or failed, 2
wrong usage or settings.
"""


# typer brings a click of its own in some versions: what a thing is is asked of it, not of its class.
Thing = Any


def render() -> str:
    group = typer.main.get_command(app)
    return HEAD + "".join(_commands("rayrealm", group))


def _commands(path: str, command: Thing) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        own = bool(getattr(command, "invoke_without_command", False))
        if own and any(param.name != "help" and not param.hidden for param in command.params):
            yield _one(path, command)
        for name in sorted(inner):
            yield from _commands(f"{path} {name}", inner[name])
        return
    if not command.hidden:
        yield _one(path, command)


def _one(path: str, command: Thing) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [
        one for one in command.params if one.param_type_name == "option" and not one.hidden and one.name != "help"
    ]
    words = [path, *(["[OPTIONS]"] if options else []), *(_metavar(one) for one in arguments)]
    rows = [f"| `{_text(_metavar(one))}` | {_text(getattr(one, 'help', ''))} |" for one in arguments]
    for option in options:
        names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {_value(option)}"
        rows.append(f"| {names}{value} | {_text(option.help)}{_default(option)} |")
    table = "\n| | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
    return f"\n## `{path}`\n\n{_text(command.help)}\n\n```\n{' '.join(words)}\n```\n{table}"


def _metavar(argument: Thing) -> str:
    name = argument.metavar or (argument.name or "").upper()
    if argument.nargs == -1:
        return f"{name.removesuffix('...')}..."
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _value(option: Thing) -> str:
    annotation = option.type_descriptor.annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(f"`{one.value}`" for one in annotation)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{one}`" for one in get_args(annotation))
    return option.metavar or {int: "NUMBER", float: "NUMBER", str: "TEXT", Path: "PATH"}.get(annotation, "VALUE")


def _default(option: Thing) -> str:
    default: Any = option.default
    if option.is_flag or default is None or callable(default) or default in ("", []):
        return ""
    return f" Default: `{default}`."


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
