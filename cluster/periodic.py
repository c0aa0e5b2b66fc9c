"""Steps that are repeated for as long as a process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cluster.errors import Fenced, RealmError

log = structlog.get_logger(__name__)


async def every(
    period_s: float, step: Callable[[], Awaitable[None]], what: str, on_fenced: Callable[[str], None]
) -> None:
    """Run a step for ever, `period_s` between its ends. Errors are logged; `on_fenced(what)` is called when a newer owner
    exists.
    """
    while True:
        await asyncio.sleep(period_s)
        try:
            await step()
        except Fenced:
            on_fenced(what)
        except RealmError as error:
            log.warning("step_failed", what=what, error=str(error))
        except Exception:
            log.exception("step_failed", what=what)
