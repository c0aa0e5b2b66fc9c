"""Calls to named Ray actors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayError, RayTaskError

from cluster.adapters.retrying import RetryingCalls
from cluster.breaker import Breaker
from cluster.errors import RealmError, Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.telemetry import tracing
from cluster.telemetry.counts import DEPENDENCY_ERRORS, ROUND_TRIPS

LEAST_S = 0.5  # whoever waits for less does not know that an actor is silent
SILENT_S = 3.0  # before calls are refused: an actor that begins again is back much sooner
MOST_BREAKERS = 1_024
LOOKS = frozenset({"info"})  # how others see whether it is there

log = structlog.get_logger(__name__)


class RayCalls(RetryingCalls):
    """Implements `cluster.ports.calls.Calls`. One per process; handles are resolved by name once, and again after a death.

    `breaker`: actors that are there but silent are not called for a while. None: for processes that look after others, which must
    go on asking.
    """

    def __init__(
        self,
        namespace: str,
        seed: int | None = None,
        breaker: BreakerSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(seed)
        self._namespace = namespace
        self._settings = breaker
        self._clock = clock
        self._handles: dict[str, Any] = {}
        self._breakers: dict[str, Breaker] = {}  # of actors that were silent; most never are

    async def _once(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        if timeout_s <= 0:
            raise Unavailable(actor)
        tried = False
        if self._breakers and method not in LOOKS and (breaker := self._breakers.get(actor)) is not None:
            tried = breaker.enter()
        began = time.monotonic()
        try:
            return await self._ask(actor, method, args, timeout_s, tried)
        except Unavailable:
            DEPENDENCY_ERRORS.add("ray")
            raise
        finally:
            ROUND_TRIPS.observe("ray", time.monotonic() - began)

    async def _ask(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float, tried: bool) -> Any:
        asked = False
        try:
            async with asyncio.timeout(timeout_s):
                handle = self._handles.get(actor) or await self._resolve(actor)
                asked = True
                answer = await _call(handle, method, args)
                self._heard(actor)
                return answer
        except TimeoutError:
            if asked and timeout_s >= LEAST_S and method not in LOOKS:
                self._silent(actor, tried)
            raise Unavailable(actor) from None
        except RayActorError:  # died or unreachable: the name may mean another process next time
            self._handles.pop(actor, None)
            self._heard(actor)
            raise Unavailable(actor) from None
        except RayTaskError as error:
            self._heard(actor)
            if isinstance(error.cause, RealmError):
                raise error.cause from None
            log.error("actor_method_failed", actor=actor, method=method, error=str(error))
            raise Unavailable(actor) from error
        except RayError as error:
            log.warning("actor_call_failed", actor=actor, method=method, error=str(error))
            raise Unavailable(actor) from error

    def _heard(self, actor: str) -> None:
        """It answers, or it is known to be dead: the next one of its name begins anew."""
        if self._breakers and (breaker := self._breakers.pop(actor, None)) is not None:
            breaker.close()

    def _silent(self, actor: str, tried: bool) -> None:
        if self._settings is None:
            return
        breaker = self._breakers.get(actor)
        if breaker is None:
            if len(self._breakers) >= MOST_BREAKERS:
                self._heard(next(iter(self._breakers)))
            breaker = self._breakers[actor] = Breaker("actor", actor, self._settings, self._clock, SILENT_S)
        breaker.failed(tried)

    async def _resolve(self, actor: str) -> Any:
        loop = asyncio.get_running_loop()
        try:
            handle = await loop.run_in_executor(None, lambda: ray.get_actor(actor, namespace=self._namespace))
        except ValueError:  # no actor of this name, yet or for now
            raise Unavailable(actor) from None
        self._handles[actor] = handle
        return handle


async def _call(handle: Any, method: str, args: tuple[Any, ...]) -> Any:
    """With the trace of what is being done, if there is one, and if the actor's release knows of traces."""
    trace = tracing.here()
    traced = getattr(handle, "traced", None) if trace else None
    if traced is not None:
        return await traced.remote(trace, method, *args)
    return await getattr(handle, method).remote(*args)
