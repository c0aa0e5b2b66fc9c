"""What the launcher starts and this layer must not import: by import string alone."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.realm import Realm
from cluster.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Import strings `module:function` of what the launcher starts.

    `world(realm)` returns when the zones are up; `applications` is name: (`build(realm)`, route prefix), where `build`
    returns a Serve application; `replica_callback` runs in each replica before its server is built.
    """

    world: str = "actors.world.supervisor_actor:start"
    applications: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "web": ("serve_apps.accounts.web_app:build", "/"),
            "gateway": ("serve_apps.gateway.gateway_app:build", "/ws"),
        }
    )
    replica_callback: str = "serve_apps.gateway.picows_app:install"

    @classmethod
    def of(cls, settings: Settings) -> Parts:
        """Those that the settings want."""
        parts = cls()
        applications = dict(parts.applications)
        if settings.console.enabled:
            applications["console"] = ("serve_apps.console.console_app:build", "/console")
        return replace(parts, applications=applications)


def load(import_string: str) -> Callable[[Realm], Any]:
    """`module:function`. Raises ImportError, AttributeError."""
    module, _, name = import_string.partition(":")
    loaded: Callable[[Realm], Any] = getattr(importlib.import_module(module), name)
    return loaded
