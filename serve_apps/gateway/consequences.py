"""What follows from a change that is durable already: others are told. It never makes the request fail that made the change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import structlog

from actors.session.together import each_of
from cluster.errors import Unavailable
from serve_apps.gateway.services import Services

ATTEMPTS = 12
PAUSE_S = 5.0

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[object]]


async def see_to(services: Services, what: str, *steps: Step) -> None:
    """Take all steps at once; what is not available is tried again in the background, for about a minute.

    Each step must bear to be taken twice. What is given up is logged and counted.
    """
    left = await _take(steps)
    if left and not services.hub.spawn(_again(services, what, left)):
        log.error("consequences_dropped", what=what, steps=len(left))
        services.hub.metrics.untold("no_room", len(left))


async def _again(services: Services, what: str, steps: Sequence[Step]) -> None:
    left = list(steps)
    for _ in range(ATTEMPTS):
        log.warning("consequences_postponed", what=what, steps=len(left))
        await asyncio.sleep(random.uniform(0.5, 1.0) * PAUSE_S)  # noqa: S311 - jitter
        left = await _take(left)
        if not left:
            return
    log.error("consequences_failed", what=what, steps=len(left))
    services.hub.metrics.untold("unavailable", len(left))


async def _take(steps: Sequence[Step]) -> list[Step]:
    """Those that were not available."""
    done = await each_of(_once(step) for step in steps)
    return [step for step, ok in zip(steps, done, strict=True) if not ok]


async def _once(step: Step) -> bool:
    try:
        await step()
    except Unavailable:
        return False
    return True
