"""Calls to named Ray actors."""

from __future__ import annotations

import asyncio
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayError, RayTaskError

from cluster.adapters.retrying import RetryingCalls
from cluster.errors import RealmError, Unavailable
from cluster.telemetry.counts import DEPENDENCY_ERRORS

log = structlog.get_logger(__name__)


class RayCalls(RetryingCalls):
    """Implements `cluster.ports.calls.Calls`. One per process; handles are resolved by name once, and again after a death."""

    def __init__(self, namespace: str, seed: int | None = None) -> None:
        super().__init__(seed)
        self._namespace = namespace
        self._handles: dict[str, Any] = {}

    async def _once(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        if timeout_s <= 0:
            raise Unavailable(actor)
        try:
            return await self._ask(actor, method, args, timeout_s)
        except Unavailable:
            DEPENDENCY_ERRORS.add("ray")
            raise

    async def _ask(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                handle = self._handles.get(actor) or await self._resolve(actor)
                return await getattr(handle, method).remote(*args)
        except TimeoutError:
            raise Unavailable(actor) from None
        except RayActorError:  # died or unreachable: the name may mean another process next time
            self._handles.pop(actor, None)
            raise Unavailable(actor) from None
        except RayTaskError as error:
            if isinstance(error.cause, RealmError):
                raise error.cause from None
            log.error("actor_method_failed", actor=actor, method=method, error=str(error))
            raise Unavailable(actor) from error
        except RayError as error:
            log.warning("actor_call_failed", actor=actor, method=method, error=str(error))
            raise Unavailable(actor) from error

    async def _resolve(self, actor: str) -> Any:
        loop = asyncio.get_running_loop()
        try:
            handle = await loop.run_in_executor(None, lambda: ray.get_actor(actor, namespace=self._namespace))
        except ValueError:  # no actor of this name, yet or for now
            raise Unavailable(actor) from None
        self._handles[actor] = handle
        return handle
