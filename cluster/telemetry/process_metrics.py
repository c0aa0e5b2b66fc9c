"""What every process tells of itself and of its machine (row 5.4): version, CPU, memory, disk, and what it calls.

A machine's figures come from each process on it: whichever is asked, the machine is known. `max by (host)` makes them one.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping

import psutil
from prometheus_client import CollectorRegistry, ProcessCollector

from cluster.telemetry.collectors import CounterSource, CountsCollector, GaugeSource, HistogramSource
from cluster.telemetry.counts import (
    BREAKER_REFUSED,
    BREAKER_TRIPS,
    BREAKERS_OPEN,
    DEPENDENCY_ERRORS,
    LOG_LINES,
    ROUND_TRIPS,
    SPANS,
)
from cluster.version import VERSION

IDLE = ("idle", "iowait")
COUNTED_TWICE = ("guest", "guest_nice")  # Linux has them in user and nice, too


def process_registry() -> CollectorRegistry:
    """A registry of a process's own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = (("version", VERSION), ("python", platform.python_version()))
    registry.register(
        CountsCollector(
            [
                GaugeSource("rayrealm_build_info", "1; the version is in the labels", lambda: 1.0, fixed=build),
                CounterSource(
                    "rayrealm_dependency_errors_total",
                    "Calls of a server or an actor that failed or came too late",
                    lambda: DEPENDENCY_ERRORS,
                    "dependency",
                ),
                HistogramSource(
                    "rayrealm_dependency_seconds",
                    "Round trips: groups of commands to redis, echoes through nats, calls of actors (ray)",
                    lambda: ROUND_TRIPS,
                    "dependency",
                ),
                GaugeSource(
                    "rayrealm_breakers_open", "Circuit breakers that are open", lambda: BREAKERS_OPEN, "dependency"
                ),
                CounterSource(
                    "rayrealm_breaker_trips_total", "Times that one opened", lambda: BREAKER_TRIPS, "dependency"
                ),
                CounterSource(
                    "rayrealm_breaker_refused_total",
                    "Calls that failed at once because one was open",
                    lambda: BREAKER_REFUSED,
                    "dependency",
                ),
                CounterSource(
                    "rayrealm_spans_total", "Spans of traces that ended; of these sent", lambda: SPANS, "outcome"
                ),
                CounterSource(
                    "rayrealm_log_lines_total", "Log lines told to consoles, or too many", lambda: LOG_LINES, "outcome"
                ),
                CounterSource("rayrealm_node_cpu_seconds_total", "CPU time of the machine", _cpu, "mode"),
                GaugeSource("rayrealm_node_cpus", "CPUs of the machine", lambda: float(os.cpu_count() or 1)),
                GaugeSource(
                    "rayrealm_node_memory_bytes", "Memory of the machine", lambda: float(psutil.virtual_memory().total)
                ),
                GaugeSource(
                    "rayrealm_node_memory_available_bytes",
                    "... of which programs can get so much",
                    lambda: float(psutil.virtual_memory().available),
                ),
                GaugeSource("rayrealm_node_disk_bytes", "Size of a file system", _disk(lambda d: d.total), "path"),
                GaugeSource("rayrealm_node_disk_free_bytes", "... free of it", _disk(lambda d: d.free), "path"),
            ]
        )
    )
    return registry


def _cpu() -> Mapping[str, float]:
    times = psutil.cpu_times()._asdict()
    idle = sum(times.get(mode, 0.0) for mode in IDLE)
    return {"busy": sum(s for mode, s in times.items() if mode not in (*IDLE, *COUNTED_TWICE)), "idle": idle}


def _disk(part: Callable[[shutil._ntuple_diskusage], int]) -> Callable[[], Mapping[str, float]]:
    """Of the root, where programs and logs are, and of the folder for temporary files, where Ray's are."""

    def read() -> Mapping[str, float]:
        found: dict[str, float] = {}
        for path in dict.fromkeys(("/", tempfile.gettempdir())):
            try:
                found[path] = float(part(shutil.disk_usage(path)))
            except OSError:  # unmounted: then there is no figure, which a panel shows
                continue
        return found

    return read
