"""The watch on abuse as a Ray actor: one a realm (row 6.3). What it has seen may be lost; what it has done is in the store.

It is no part of any lane: while it is away nobody is judged, and everything else goes on.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import ray
import structlog

from actors.watch.anomaly import Anomaly
from actors.watch.enforcing import Enforcer
from actors.watch.patterns import patterns
from actors.watch.watch import Watch
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.errors import InvalidInput
from cluster.measures import KINDS, still_open
from cluster.realm import Realm
from cluster.telemetry.tracing import Traced
from cluster.telemetry.watch_metrics import WatchMetrics
from cluster.world_control import responder
from realm_proto import internal_pb2

STEP_S = 1.0
SWEEP_S = 30.0
LOOK_BACK = 2_000  # entries of the audit log in which open measures are looked for

log = structlog.get_logger(__name__)


class WatchRunner(Traced):
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._name = name
        self._open = open_with
        self._metrics = WatchMetrics()
        self._loops: list[asyncio.Task[None]] = []
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> None:
        settings = self._realm.settings
        self._runtime = runtime = await self._open(self._realm, "watch", self._name, self._metrics.registry)
        unknown = settings.abuse.patterns.keys() - {p.name for p in patterns(settings.limits)}
        if unknown:
            log.error("no_such_patterns", names=sorted(unknown))
        audit = RedisAuditLog(runtime.redis, settings.namespace, settings.abuse.audit_log)
        self._watch = Watch(settings, Anomaly(settings.abuse.anomaly_warmup))
        self._enforcer = Enforcer(
            RedisBans(runtime.redis, settings.namespace),
            RedisProtection(runtime.redis, settings.namespace),
            audit,
            runtime.bus,
            runtime.subjects,
            settings.abuse.mode == "enforce",
            settings.abuse.slow_factor,
            time.time,
        )
        self._metrics.watch(self._watch.judge, self._enforcer)
        for measure in still_open(await until_available(partial(audit.newest, LOOK_BACK)), time.time()):
            self._watch.judge.restore(measure)
            self._enforcer.again(measure)
        await runtime.bus.subscribe(runtime.subjects.abuse_reports(), self._report)
        runtime.beating.add(lambda: {"held": len(self._watch.judge), "waiting": self._enforcer.waiting})
        control = responder({"about": self._about, "lift": self._lift})
        await until_available(lambda: runtime.bus.respond(runtime.subjects.abuse_control(), control))
        self._loops += [
            asyncio.create_task(every(STEP_S, self._enforcer.step, "measures")),
            asyncio.create_task(every(SWEEP_S, self._sweep, "sweep")),
        ]
        log.info("watch_started", name=self._name, open=len(self._watch.judge))

    def _report(self, data: bytes) -> None:
        began = time.process_time()
        report = internal_pb2.AbuseReport.FromString(data)
        for measure in self._watch.take(report, time.time()):
            self._metrics.judged(measure.reason, measure.level.name.lower())
            self._enforcer.take(measure)
        self._metrics.reported(len(report.sessions), self._watch.scores, time.process_time() - began)
        self._watch.scores.clear()

    async def _sweep(self) -> None:
        self._watch.sweep(time.time())

    # --- the control lane --------------------------------------------------------------------------------------

    async def info(self) -> dict[str, Any]:
        """Health check."""
        await asyncio.shield(self._started)
        return {"actor": self._name, "held": len(self._watch.judge), "waiting": self._enforcer.waiting}

    async def _about(self, kind: str, subject: str) -> dict[str, Any]:
        """See Watch.about."""
        if kind not in KINDS:
            raise InvalidInput([("kind", "user or address")])
        return self._watch.about(KINDS[kind], subject, time.time())

    async def _lift(self, kind: str, subject: str) -> dict[str, Any]:
        """Forget what is held against it. The store's entries are the caller's to end."""
        if kind not in KINDS:
            raise InvalidInput([("kind", "user or address")])
        held = self._watch.lift(KINDS[kind], subject)
        self._enforcer.lifted(subject)
        if kind == "user":
            self._enforcer.slow(subject, 1.0, 0.0)
        return {"held": held}


WatchActor = ray.remote(WatchRunner)
