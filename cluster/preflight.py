"""May the realm start on this machine? Rules over facts; `cluster/launch.py` gathers the facts and raises StartRefused."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.settings import Settings

MIN_PYTHON = (3, 11)
FILES_PER_CONNECTION = 2.5  # HAProxy: both ends and a share of its pipes; it refuses to start, or to reload, with less
FILES_OF_HAPROXY = (
    500  # its threads, listeners and one health check a replica: 36 to begin with, more with each gateway
)
FILES_OF_A_GATEWAY = 500  # Ray, NATS, Redis and the code, beside the sockets of the players
MIN_CONNECTIONS = 400
MEMORY_OF_RAY_MIB = 850  # PSS, measured: Ray, Serve, HAProxy, Valkey, NATS and the launcher
MEMORY_OF_A_PROCESS_MIB = 110  # the mean of ours: a zone takes 98, a gateway 132, the web application 171
OTHER_PROCESSES = 3  # web application, presence, supervisor


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens on the port, as far as this user may know."""

    pid: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """`open_files` is the soft limit after raising it; `memory_mib` is what may still be used, None if unknown."""

    python: tuple[int, int]
    open_files: int
    cpus: int
    memory_mib: int | None
    port_free: bool
    port_holder: PortHolder | None
    missing: tuple[str, ...]
    """Programs that should be there and are not, each with what to do."""
    faults: tuple[str, ...] = ()
    """What is wrong with the edge, each with what to do."""


def problems(settings: Settings, facts: Facts) -> list[str]:
    """Each a line that says what is wrong and what to do about it; empty: go ahead."""
    found = [*facts.missing, *facts.faults]
    if facts.python < MIN_PYTHON:
        have, need = (".".join(map(str, version)) for version in (facts.python, MIN_PYTHON))
        found.append(f"Python {have} is too old: install Python {need} or newer")
    if not facts.port_free:
        found.append(_port_taken(settings, facts.port_holder))
    files = needed_files(settings)
    if facts.open_files < files:
        found.append(
            f"a process may open {facts.open_files} files and the realm needs {files}: "
            f"run `ulimit -n {files}` first, or lower RAYREALM_GATEWAY__CAPACITY"
        )
    memory = needed_memory_mib(settings)
    if facts.memory_mib is not None and facts.memory_mib < memory:
        found.append(
            f"{facts.memory_mib} MiB of memory are free and the realm needs about {memory}: "
            "end something, or lower --gateways"
        )
    return found


def needed_files(settings: Settings) -> int:
    """The `ulimit -n` without which a gateway or HAProxy could not hold what the settings allow."""
    haproxy = int(FILES_PER_CONNECTION * MIN_CONNECTIONS) + FILES_OF_HAPROXY
    return max(haproxy, settings.gateway.capacity + FILES_OF_A_GATEWAY)


def needed_memory_mib(settings: Settings) -> int:
    """An estimate of what the realm takes before players come."""
    world = settings.world
    standbys = sum(world.standby if zone.standby is None else zone.standby for zone in world.zones)
    processes = OTHER_PROCESSES + settings.gateways + settings.session.actors + len(world.zones) + standbys
    return MEMORY_OF_RAY_MIB + MEMORY_OF_A_PROCESS_MIB * processes + settings.ray.object_store_mib // 4


def max_connections(settings: Settings, open_files: int) -> int:
    """HAProxy's `maxconn`: what the gateways can hold and some to be refused, within the limit of open files."""
    wanted = settings.gateways * settings.gateway.capacity * 5 // 4 + MIN_CONNECTIONS
    return min(wanted, int((open_files - FILES_OF_HAPROXY) / FILES_PER_CONNECTION))


def reachable_only_here(settings: Settings, node_addresses: list[str], own: frozenset[str]) -> str | None:
    """The problem, if Ray has nodes elsewhere and a server listens on loopback alone."""
    embedded = [
        option
        for option, url in (("--redis", settings.redis.url), ("--nats", settings.nats.url))
        if not url.get_secret_value()
    ]
    elsewhere = sorted(set(node_addresses) - own)
    if embedded and elsewhere:
        return (
            f"Ray has nodes on other machines ({', '.join(elsewhere[:3])}) that cannot reach the embedded servers: "
            f"give {' and '.join(embedded)}"
        )
    return None


def _port_taken(settings: Settings, holder: PortHolder | None) -> str:
    where = f"port {settings.port} of {settings.host}"
    if holder is None or holder.pid is None:
        return f"{where} is taken: stop what listens there or choose another with --port"
    return f"{where} is taken by {holder.name} (pid {holder.pid}): stop it or choose another with --port"
