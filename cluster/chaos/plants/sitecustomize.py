"""Planted bugs: proof that `rayrealm chaos` finds what it should. Nothing of the realm knows of them.

Python imports a module of this name as it starts (docs.python.org/3/library/site.html). `rayrealm chaos --plant NAME` puts this
folder into PYTHONPATH and the name into CHAOS_PLANT of the realm under test; there the class concerned is changed as soon as it
is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

VARIABLE = "CHAOS_PLANT"
COMMIT_LATE_S = 1.5

Change = Callable[[Any], None]


def ack_before_commit(module: Any) -> None:
    """A zone answers a change of state at once, and writes it a while later."""
    writing: set[asyncio.Task[None]] = set()

    async def change(self: Any, session_id: str, entity_id: str, version: int, properties: dict[str, Any]) -> int:
        zone = await self._ready()
        entity, merged = zone.plan_change(session_id, entity_id, version, properties)
        planned = module.records.dump(entity.changed(merged), zone.standing(entity))
        acknowledged: int = zone.commit_change(entity, merged)

        async def write() -> None:
            await asyncio.sleep(COMMIT_LATE_S)
            with contextlib.suppress(Exception):  # nobody waits for it: that is the bug
                await self._store.put_entity(self._spec.id, zone.epoch, entity_id, planned)

        task = asyncio.create_task(write())
        writing.add(task)
        task.add_done_callback(writing.discard)
        return acknowledged

    # Ray has made a class of its own of it already, with copies of all methods.
    for owner in (module.ZoneRunner, module.ZoneActor.__ray_metadata__.modified_class):
        owner.change = change


def believe_any_epoch(module: Any) -> None:
    """A gateway shows what any incarnation of a zone says."""
    receive = module.ZoneLink.receive

    def gullible(self: Any, data: bytes) -> None:
        self._epochs.clear()
        receive(self, data)

    module.ZoneLink.receive = gullible


def write_with_any_epoch(module: Any) -> None:
    """The store takes what any incarnation of a zone writes."""
    store = module.RedisZoneStore

    def tolerant(write: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def written(self: Any, zone_id: str, epoch: int, *rest: Any) -> None:
            newest = int(await self._client.get(f"{self._ns}:epoch:zone:{zone_id}") or 0)
            await write(self, zone_id, newest, *rest)

        return written

    for name in ("put_entity", "drop_entity", "save_places"):
        setattr(store, name, tolerant(getattr(store, name)))


def forget_outbox(module: Any) -> None:
    """A session actor sends what it has numbered without writing it down first."""

    async def append(self: Any, *args: Any) -> None:
        return None

    module.RedisOutboxLog.append = append


PLANTS: Mapping[str, Mapping[str, Change]] = {
    "ack_before_commit": {"actors.zone.zone_actor": ack_before_commit},
    "skip_epoch_check": {
        "serve_apps.gateway.zone_link": believe_any_epoch,
        "cluster.adapters.redis.zones": write_with_any_epoch,
    },
    "forget_outbox": {"cluster.adapters.redis.outbox": forget_outbox},
}


class Planter(importlib.abc.MetaPathFinder):
    """Finds what the others find, and changes it once it has run."""

    def __init__(self, changes: Mapping[str, Change]) -> None:
        self._changes = changes

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = self._changes.get(name)
        if change is None:
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                setattr(spec.loader, "exec_module", _both(spec.loader.exec_module, change))  # noqa: B010 - of this one loader
                return spec
        return None


def _both(run: Callable[[ModuleType], None], change: Change) -> Callable[[ModuleType], None]:
    def changed(module: ModuleType) -> None:
        run(module)
        change(module)

    return changed


if os.environ.get(VARIABLE):
    sys.meta_path.insert(0, Planter(PLANTS[os.environ[VARIABLE]]))
