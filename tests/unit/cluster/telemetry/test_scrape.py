from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Unavailable
from cluster.subjects import Subjects
from cluster.telemetry.metrics import SupervisorMetrics
from cluster.telemetry.scrape import assemble, collect, collect_one, serve_metrics
from cluster.telemetry.zone_metrics import ZoneMetrics

SUBJECTS = Subjects("test")


def read(page: bytes) -> dict[tuple[str, str], float]:
    """By sample name and process; the last one where there are more labels."""
    return {
        (sample.name, sample.labels.get("process", "")): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


async def test_every_process_is_on_the_page() -> None:
    bus = MemoryBus()
    await serve_metrics(bus, SUBJECTS, ZoneMetrics("zon_meadow").registry, "zone/zon_meadow")
    other = MemoryBus()
    subscription = await serve_metrics(bus, SUBJECTS, SupervisorMetrics().registry, "supervisor")
    samples = read(await collect(bus, SUBJECTS, timeout_s=0.05))
    assert samples["rayrealm_processes_answered", ""] == 2
    assert samples["process_open_fds", "zone/zon_meadow"] > 0
    assert samples["process_open_fds", "supervisor"] > 0
    assert samples["rayrealm_zone_ticks_skipped_total", "zone/zon_meadow"] == 0
    assert samples["rayrealm_bus_received_total", "supervisor"] >= 1

    await subscription.unsubscribe()
    samples = read(await collect(bus, SUBJECTS, timeout_s=0.05))
    assert samples["rayrealm_processes_answered", ""] == 1
    assert read(await collect(other, SUBJECTS, timeout_s=0.05))["rayrealm_processes_answered", ""] == 0


async def test_the_limit_holds() -> None:
    bus = MemoryBus()
    for number in range(5):
        await serve_metrics(bus, SUBJECTS, SupervisorMetrics().registry, f"process/{number}")
    samples = read(await collect(bus, SUBJECTS, timeout_s=5.0, limit=3))
    assert samples["rayrealm_processes_answered", ""] == 3


@pytest.mark.parametrize("answer", [b"bad\nnonsense", b"bad\n\xff\xfe", b"bad\nx{ 1"])
def test_an_unreadable_answer_spoils_nothing(answer: bytes) -> None:
    with capture_logs() as logs:
        samples = read(assemble([b"good\nx 1.0\n", answer]))
    assert samples["x", "good"] == 1
    assert samples["rayrealm_processes_answered", ""] == 1
    assert samples["rayrealm_processes_unreadable", ""] == 1
    assert [(log["event"], log["process"]) for log in logs] == [("metrics_unreadable", "bad")]


async def test_one_process_alone() -> None:
    bus = MemoryBus()
    await serve_metrics(bus, SUBJECTS, ZoneMetrics("zon_meadow").registry, "zone/zon_meadow")
    subscription = await serve_metrics(bus, SUBJECTS, SupervisorMetrics().registry, "supervisor")
    page = await collect_one(bus, SUBJECTS, "zone/zon_meadow", timeout_s=1.0)
    samples = read(page)
    assert samples["rayrealm_zone_ticks_skipped_total", ""] == 0
    assert b"process=" not in page
    await subscription.unsubscribe()
    for gone in ("supervisor", "nobody", "zone/*", "a.b"):
        with pytest.raises(Unavailable):
            await collect_one(bus, SUBJECTS, gone, timeout_s=0.05)
