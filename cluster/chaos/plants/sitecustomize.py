"""Planted bugs: proof that `rayrealm chaos` finds what it should. Nothing of the realm knows of them.

Python imports a module of this name as it starts (docs.python.org/3/library/site.html). `rayrealm chaos --plant NAME` puts this
folder into PYTHONPATH and the name into CHAOS_PLANT of the realm under test; there the class concerned is changed as soon as it
is imported.
"""

from __future__ import annotations

import asyncio
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
    """A zone's writer is told of changes a while after they were acknowledged; of who came in, it is told at once."""
    put, drop = module.Writer.put, module.Writer.drop

    def late(self: Any, entity_id: str) -> None:
        known = self.__dict__.setdefault("known", set())
        waiting = self.__dict__.setdefault("waiting", set())
        if entity_id not in known:
            known.add(entity_id)
            put(self, entity_id)
        elif entity_id not in waiting:
            waiting.add(entity_id)
            asyncio.get_running_loop().call_later(COMMIT_LATE_S, at_last, self, entity_id)

    def at_last(self: Any, entity_id: str) -> None:
        self.waiting.discard(entity_id)
        if entity_id in self.known:
            put(self, entity_id)

    def forget(self: Any, entity_id: str, session_id: str) -> None:
        self.__dict__.get("known", set()).discard(entity_id)
        drop(self, entity_id, session_id)

    module.Writer.put, module.Writer.drop = late, forget


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

    def tolerant(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def written(self: Any, zone_id: str, epoch: int, *rest: Any) -> Any:
            newest = int(await self._client.get(f"{self._ns}:epoch:zone:{zone_id}") or 0)
            await self._client.delete(f"{self._ns}:zone:{zone_id}:written")  # nor does it look at their numbers
            return await write(self, zone_id, newest, *rest)

        return written

    for name in ("commit", "hand_over", "claim", "save_places"):
        setattr(store, name, tolerant(getattr(store, name)))


def forget_outbox(module: Any) -> None:
    """A session actor sends what it has numbered without writing it down first."""

    async def append(self: Any, *args: Any) -> None:
        return None

    module.RedisOutboxLog.append = append


PLANTS: Mapping[str, Mapping[str, Change]] = {
    "ack_before_commit": {"actors.zone.writer": ack_before_commit},
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
