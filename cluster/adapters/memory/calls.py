"""Calls to objects of this process, for tests and for trying the realm's logic without Ray."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from contextvars import Context
from typing import Any

import structlog

from cluster.adapters.retrying import RetryingCalls
from cluster.errors import RealmError, Unavailable
from cluster.telemetry import tracing

log = structlog.get_logger(__name__)


def _copied(value: Any) -> Any:
    """As if it had gone to another process: nothing is shared, and what cannot go fails here too."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


class MemoryCalls(RetryingCalls):
    """Implements `cluster.ports.calls.Calls`. `actors` maps names to objects with async or plain methods; an absent one is away.

    As with Ray, a call that came too late for its caller goes on in the actor.
    """

    first_pause_s, last_pause_s = 0.005, 0.1

    def __init__(self, actors: dict[str, Any] | None = None, seed: int | None = None) -> None:
        super().__init__(seed)
        self.actors = {} if actors is None else actors
        self._running: set[asyncio.Task[Any]] = set()

    async def _once(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        target = self.actors.get(actor)
        if target is None:
            raise Unavailable(actor)
        trace = tracing.here()
        if trace and hasattr(target, "traced"):
            method, args = "traced", (trace, method, *args)
        task = asyncio.create_task(self._run(actor, target, method, _copied(args)), context=Context())
        self._running.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait([task], timeout=max(0.0, timeout_s))
        if not task.done() or task.cancelled():  # too slow, or killed meanwhile
            raise Unavailable(actor)
        return task.result()

    async def _run(self, actor: str, target: Any, method: str, args: tuple[Any, ...]) -> Any:
        try:
            result = getattr(target, method)(*args)
            return _copied(await result if inspect.isawaitable(result) else result)
        except RealmError as error:
            raise _copied(error) from None
        except Exception as error:
            log.exception("actor_method_failed", actor=actor, method=method)
            raise Unavailable(actor) from error

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # known to the caller, or to nobody any more
