"""Finds classes that settings name: the world's game (row 7.6), a word filter (2.3). So is reached what is above this layer."""

from __future__ import annotations

import importlib

from cluster.errors import SettingsError


def load_class(name: str, setting: str = "world.game") -> type | None:
    """`module:Class`, None for an empty name. Raises SettingsError for the setting with the reason when there is no such class."""
    if not name:
        return None
    module, _, wanted = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), wanted)
    except Exception as error:  # whatever the module does as it is imported
        raise SettingsError([(setting, f"{name} cannot be loaded: {type(error).__name__}: {error}")]) from error
    if not isinstance(found, type):
        raise SettingsError([(setting, f"{name} is no class")])
    return found
