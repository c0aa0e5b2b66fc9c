"""Finds the class of the world's game by its name (row 7.6). What is above this layer is reached by import string alone."""

from __future__ import annotations

import importlib

from cluster.errors import SettingsError


def load_class(name: str) -> type | None:
    """`module:Class`, None for an empty name. Raises SettingsError with the reason when there is no such class."""
    if not name:
        return None
    module, _, wanted = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), wanted)
    except Exception as error:  # whatever the module does as it is imported
        raise SettingsError([("world.game", f"{name} cannot be loaded: {type(error).__name__}: {error}")]) from error
    if not isinstance(found, type):
        raise SettingsError([("world.game", f"{name} is no class")])
    return found
