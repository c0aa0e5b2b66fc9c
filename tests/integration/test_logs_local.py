"""A process as it really opens, seen by an operator: its newest lines, its level, and what others hear of it (row 7.8). No Ray."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from cluster.adapters import runtime
from cluster.adapters.redis import transfer
from cluster.adapters.runtime import Runtime, open_runtime
from cluster.errors import InvalidInput, NotFound
from cluster.operator_settings import TelemetrySettings, TracingSettings
from cluster.ports.log_levels import KEPT_S
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import NatsSettings, RedisSettings, Settings
from cluster.telemetry import logs, tracing
from tests.collector import collector
from tests.integration.operations_rig import Operations, operations
from tests.local_realm import LocalRealm

NAME = "watch/0"

log = structlog.get_logger("tests.logs")


class Rig:
    def __init__(self, opened: Runtime, operator: Operations, out: io.StringIO) -> None:
        self.runtime = opened
        self.operator = operator
        self.out = out

    def written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    async def heard(self) -> None:
        """Until the operator knows the process."""
        async with asyncio.timeout(5.0):
            while not self.operator.desk.beats.living():
                self.runtime.beating.now()
                await asyncio.sleep(0.02)

    async def tail(self, **params: Any) -> list[str]:
        return [line["event"] for line in (await self.operator.look("logs.tail", **params))["lines"]]


def realm_of(valkey_url: str, nats_url: str, nats_token: str, namespace: str, otlp: str = "") -> Realm:
    settings = Settings(
        realm=namespace,
        redis=RedisSettings(url=SecretStr(valkey_url)),
        nats=NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token)),
        telemetry=TelemetrySettings(tracing=TracingSettings(otlp=otlp)),
    )
    return Realm(settings, KeyRing.create(time.time()), b"recovery tokens of this test only")


@pytest.fixture
async def rig(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    out = io.StringIO()
    monkeypatch.setattr(runtime, "node_id", lambda: "node1")
    handlers = list(logging.getLogger().handlers)
    realm = realm_of(valkey_url, nats_url, nats_token, namespace)
    opened = await open_runtime(realm, "watch", NAME, CollectorRegistry())
    logs.configure("info", out)
    async with operations(cast(LocalRealm, SimpleNamespace(settings=realm.settings))) as operator:
        yield Rig(opened, operator, out)
    await opened.close()
    logs.about("", "", "")
    logging.getLogger().handlers[:] = handlers


async def test_the_newest_lines(rig: Rig) -> None:
    log.info("first", zone="zon_a", token="abc")
    log.warning("second")
    log.debug("not said")
    logging.getLogger("some.library").error("third %s", "of a library")
    found = await rig.operator.look("logs.tail")
    mine = {line["event"]: line for line in found["lines"]}
    first = mine["first"]
    assert {key: first[key] for key in ("level", "kind", "process", "node")} == {
        "level": "info",
        "kind": "watch",
        "process": NAME,
        "node": "node1",
    }
    assert first["fields"] == {"zone": "zon_a", "token": "***", "logger": "tests.logs"}
    assert abs(first["at"] - time.time()) < 10.0
    assert mine["third of a library"]["level"] == "error"
    assert "not said" not in mine
    # What is written has the same.
    (line,) = [line for line in rig.written() if line["event"] == "first"]
    assert (line["kind"], line["process"], line["node"], line["token"]) == ("watch", NAME, "node1", "***")
    assert await rig.tail(level="warning", q="ond") == ["second"]
    assert await rig.tail(kind="zone") == []
    assert await rig.tail(process=NAME, q="SECOND") == ["second"]
    log.info("fourth")
    assert await rig.tail(after=found["next"]) == ["fourth"]
    assert await rig.tail(limit=1) == ["fourth"]


async def test_others_hear_them(rig: Rig) -> None:
    heard: list[dict[str, Any]] = []
    came = asyncio.Event()

    def take(data: bytes) -> None:
        heard.extend(orjson.loads(data))
        if any(line["event"] == "told" for line in heard):
            came.set()

    await rig.operator.desk.bus.subscribe(rig.runtime.subjects.process_logs(), take)
    log.info("told", number=3, data=b"x")
    async with asyncio.timeout(5.0):
        await came.wait()
    (line,) = [line for line in heard if line["event"] == "told"]
    assert (line["process"], line["fields"]["number"]) == (NAME, 3)


async def test_the_level_changes_while_it_runs(rig: Rig) -> None:
    await rig.heard()
    log.debug("before")
    done = await rig.operator.act("logs.level", level="debug")
    week = time.time() + KEPT_S
    assert done["until"] == pytest.approx(week, abs=60.0), "no level holds for ever, in no process"
    assert (done["level"], done["processes"]) == ("debug", [NAME])
    log.debug("now")
    assert await rig.tail(q='"level":"debug"') == ["now"]
    await rig.operator.act("logs.level", level="error", processes=[NAME])
    log.warning("quiet")
    log.error("loud")
    assert (await rig.tail())[-1] == "loud"
    await rig.operator.act("logs.level", level="")
    assert logs.level() == "info"
    assert [entry.target for entry in await rig.operator.audit("logs.level") if entry.result == "done"] == [
        "*",
        NAME,
        "*",
    ]


async def test_for_a_while(rig: Rig) -> None:
    await rig.heard()
    done = await rig.operator.act("logs.level", level="debug", for_s=0.6)
    assert done["until"] is not None
    assert logs.level() == "debug"
    async with asyncio.timeout(10.0):
        while logs.level() != "info":  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def test_a_process_that_starts_later_has_it(
    rig: Rig, valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    await rig.heard()
    await rig.operator.act("logs.level", level="debug")
    realm = realm_of(valkey_url, nats_url, nats_token, namespace)
    later = await open_runtime(realm, "watch", "watch/1", CollectorRegistry())
    assert logs.level() == "info"  # the settings, until the store has answered
    async with asyncio.timeout(5.0):
        while logs.level() != "debug":  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    await later.close()


async def test_what_is_refused(rig: Rig) -> None:
    await rig.heard()
    with pytest.raises(InvalidInput):
        await rig.operator.act("logs.level", level="loud")
    with pytest.raises(NotFound):
        await rig.operator.act("logs.level", level="debug", processes=["zone/none"])
    preview = await rig.operator.plan("logs.level", level="debug", for_s=60)
    assert preview.steps == ("every process writes at the level debug for 60 s",)
    assert preview.warnings


async def test_spans_of_a_process(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told as this process's, and those that wait are sent as it ends. A line says which it belongs to."""
    monkeypatch.setattr(runtime, "node_id", lambda: "node1")
    out, handlers = io.StringIO(), list(logging.getLogger().handlers)
    monkeypatch.setattr(sys, "stderr", out)
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with collector() as found:
        realm = realm_of(valkey_url, nats_url, nats_token, namespace, found.url)
        opened = await open_runtime(realm, "zone", "zone/zon_a", CollectorRegistry())
        with tracing.span("work", parent=trace, players=3):
            await opened.epochs.take("zone", "zon_a")
            log.info("inside")
        await opened.close()
        spans = {span.name: span for span in found.spans()}
    work = spans["work"]
    assert (work.trace, work.parent, work.values) == ("a" * 32, "b" * 16, {"players": "3"})
    assert work.about["service.name"] == "rayrealm-zone"
    assert work.about["service.instance.id"] == "zone/zon_a"
    assert spans["redis.RedisEpochStore.take"].parent == work.id
    (line,) = [json.loads(line) for line in out.getvalue().splitlines() if '"inside"' in line]
    assert (line["trace_id"], line["span_id"]) == (work.trace, work.id)
    assert not tracing.on()
    logs.about("", "", "")
    logging.getLogger().handlers[:] = handlers


async def test_a_restore_sees_that_the_realm_runs(rig: Rig) -> None:
    """Also from another machine: by what its processes are called in the server's CLIENT LIST."""
    namespace = rig.runtime.realm.settings.namespace
    assert await transfer.users(rig.runtime.redis, namespace) == [NAME.replace("/", "-")]
    assert await transfer.users(rig.runtime.redis, f"{namespace}-other") == []
