"""Looks now and then at what one process measures for the whole realm (cluster/telemetry/realm_metrics.py)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from cryptography import x509
from prometheus_client import CollectorRegistry

from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.fenced import fenced
from cluster.adapters.runtime import Runtime, every
from cluster.errors import RealmError, Unavailable
from cluster.security.certificates import local_files
from cluster.settings import Settings
from cluster.telemetry.realm_metrics import Vitals, watch_vitals

LOOK_S = 5.0
ANSWER_S = 2.0


async def watch_realm(runtime: Runtime, registry: CollectorRegistry) -> None:
    """Until cancelled."""
    vitals = Vitals()
    watch_vitals(registry, vitals)

    async def look() -> None:
        vitals.certificate_ends = await asyncio.to_thread(certificate_ends, runtime.realm.settings)
        try:
            async with guard(ANSWER_S):
                info = await runtime.redis.info()
            vitals.look(info, await fenced(runtime.redis, runtime.subjects.namespace))
        except Unavailable:
            vitals.redis_up = False
            raise

    with contextlib.suppress(RealmError):  # the next look will say
        await look()
    await every(LOOK_S, look, "vitals")


def certificate_ends(settings: Settings) -> float | None:
    """Unix seconds. None without TLS of the realm's own, or where its file cannot be read: it is on another node."""
    tls = settings.edge.tls
    if not tls.on:
        return None
    path = Path(tls.certificate) if tls.certificate else local_files(settings.data.resolve()).certificate
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None
