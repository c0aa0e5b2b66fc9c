"""Where settings come from besides `realm.toml`: variables, and files for those that are secret.

The folder in `RAYREALM_SECRETS` has one file a setting, named as its variable without the prefix: `redis__url` there is what
`RAYREALM_REDIS__URL` would be (which wins), `identity__issuers` is JSON. Any case will do; hidden files are passed over. That is
how Kubernetes and Docker mount secrets.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from pydantic_settings import NestedSecretsSettingsSource, PydanticBaseSettingsSource

PREFIX = "RAYREALM_"
SECRETS = "RAYREALM_SECRETS"
_NO_SUCH = "no such setting"


def secret_files(default: PydanticBaseSettingsSource) -> tuple[NestedSecretsSettingsSource, ...]:
    """The folder as a source of settings, instead of the library's `default`.

    None without the variable, or if something in it cannot be read.
    """
    folder = _folder()
    if folder is None or _unreadable(folder):
        return ()
    made = NestedSecretsSettingsSource(
        default, secrets_dir=folder, secrets_prefix="", secrets_nested_delimiter="__", secrets_case_sensitive=False
    )
    return (made,)


def misspelt(known: Collection[str], others: Collection[str]) -> list[tuple[str, str]]:
    """(what, why) of variables and files for which there is no setting, and of what cannot be read.

    `known`: the names of all sections; `others`: variables that are none and may be there.
    """

    def unknown(name: str) -> bool:
        return name.split("__")[0].lower() not in known

    found = [
        (name, _NO_SUCH)
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in others and unknown(name.removeprefix(PREFIX))
    ]
    folder = _folder()
    if folder is None:
        return found
    if problems := _unreadable(folder):
        return [*found, *problems]
    return [*found, *((f"{SECRETS}/{file.name}", _NO_SUCH) for file in _files(folder) if unknown(file.name))]


def _folder() -> Path | None:
    named = os.environ.get(SECRETS)
    return Path(named) if named else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _unreadable(folder: Path) -> list[tuple[str, str]]:
    if not folder.is_dir():
        return [(SECRETS, f"no such folder: {folder}")]
    if not os.access(folder, os.R_OK | os.X_OK):
        return [(SECRETS, f"cannot be read: {folder}")]
    return [(f"{SECRETS}/{file.name}", "cannot be read") for file in _files(folder) if not os.access(file, os.R_OK)]
