"""What a process does so that operators see into it: its log lines and their level, and its spans (rows 4.4 and 7.8)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from cluster.adapters.nats_bus import NatsBus
from cluster.errors import Unavailable
from cluster.periodic import every
from cluster.ports.log_levels import LogLevels
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.subjects import Subjects
from cluster.telemetry import logs, tracing
from cluster.telemetry.log_tap import FLUSH_S, LogControl, LogTap, tapped

log = structlog.get_logger(__name__)


class Observing:
    """For the whole process: there is one. `stop` sends what waits, within a deadline."""

    def __init__(
        self, realm: Realm, kind: str, name: str, node: str, bus: NatsBus, control: ProcessControl, levels: LogLevels
    ) -> None:
        settings = realm.settings
        subject = Subjects(settings.namespace).process_logs()
        logs.about(kind, name, node)
        tap = LogTap(kind, name, node, lambda data: bus.publish(subject, data, {}))
        logs.tap(tapped(tap))
        self._control = LogControl(tap, kind, settings.log_level, time.time)
        control.add("logs", self._control.logs)
        control.add("log_level", self._control.log_level)
        self._name = name
        self._levels = levels
        self._spans_end: Callable[[], None] | None = None
        if settings.telemetry.tracing.otlp:
            from cluster.adapters.otlp import OtlpSpans  # it costs those who want no traces nothing

            spans = OtlpSpans(settings.telemetry.tracing, settings.namespace, kind, name, node)
            tracing.use(spans)
            self._spans_end = spans.close
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """What an operator has set before this process began holds as well."""
        with contextlib.suppress(Unavailable):
            if (level := await self._levels.of(self._name, time.time())) is not None:
                self._control.apply(level)
        await every(FLUSH_S, self._step, "logs", lambda _: None)

    async def _step(self) -> None:
        self._control.step()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._control.step()
        logs.tap()
        if self._spans_end is not None:
            tracing.use(None)
            await asyncio.to_thread(self._spans_end)
