from __future__ import annotations

import platform
import shutil

import psutil
from prometheus_client import CollectorRegistry

from cluster.adapters.memory.bus import MemoryBus
from cluster.telemetry.counts import DEPENDENCY_ERRORS, ROUND_TRIPS
from cluster.telemetry.metrics import SupervisorMetrics, watch_bus
from cluster.version import VERSION


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


class TestEveryProcess:
    def test_the_process_itself_the_bus_and_failed_calls(self) -> None:
        registry, bus = SupervisorMetrics().registry, MemoryBus()
        watch_bus(registry, bus)
        bus.counts.published += 4
        bus.set_connected(False)
        before = DEPENDENCY_ERRORS.get("redis", 0)
        DEPENDENCY_ERRORS.add("redis")
        assert value(registry, "rayrealm_bus_published_total") == 4
        assert value(registry, "rayrealm_bus_connected") == 0
        assert value(registry, "rayrealm_bus_pending_bytes") == 0
        assert value(registry, "rayrealm_dependency_errors_total", dependency="redis") == before + 1
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
            assert (value(registry, f"process_{name}") or 0) > 0
        assert value(registry, "rayrealm_build_info", version=VERSION, python=platform.python_version()) == 1

    def test_its_machine(self) -> None:
        registry = SupervisorMetrics().registry
        memory = value(registry, "rayrealm_node_memory_bytes")
        assert memory == psutil.virtual_memory().total
        assert 0 < (value(registry, "rayrealm_node_memory_available_bytes") or 0) < memory
        disk = value(registry, "rayrealm_node_disk_bytes", path="/")
        assert disk == shutil.disk_usage("/").total
        assert 0 <= (value(registry, "rayrealm_node_disk_free_bytes", path="/") or 0) < disk
        for mode in ("busy", "idle"):
            assert (value(registry, "rayrealm_node_cpu_seconds_total", mode=mode) or 0) > 0
        assert value(registry, "rayrealm_node_cpus") == psutil.cpu_count()

    def test_round_trips(self) -> None:
        registry = SupervisorMetrics().registry
        before = value(registry, "rayrealm_dependency_seconds_count", dependency="redis") or 0
        ROUND_TRIPS.observe("redis", 0.001)
        assert value(registry, "rayrealm_dependency_seconds_count", dependency="redis") == before + 1
