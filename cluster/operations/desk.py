"""What operations work with: the realm's stores, its bus, and what its processes say. A value, made by whoever runs operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from cluster.beats import Beats
from cluster.operator_settings import ConsoleSettings
from cluster.ports.accounts import AccountStore, CharacterStore
from cluster.ports.audit import AuditLog
from cluster.ports.bans import Bans
from cluster.ports.bus import Bus
from cluster.ports.chat import ChatStore
from cluster.ports.device_keys import DeviceKeyStore
from cluster.ports.log_levels import LogLevels
from cluster.ports.operators import OperatorStore
from cluster.ports.parties import PartyStore
from cluster.ports.protection import ProtectionStore
from cluster.ports.sessions import SessionStore
from cluster.ports.social import SocialStore
from cluster.ports.topics import TopicLog
from cluster.publishing import Publisher
from cluster.subjects import Subjects


@dataclass(frozen=True, slots=True)
class Kept:
    """What else the realm keeps on its users, and the log levels that were set (cluster/adapters/redis/kept.py makes one)."""

    social: SocialStore
    parties: PartyStore
    chat: ChatStore
    device_keys: DeviceKeyStore
    topics: TopicLog
    log_levels: LogLevels


@dataclass(frozen=True, slots=True)
class Desk:
    """`clock`: monotonic seconds; `now`: Unix seconds. `beats` has heard every process once it has listened for `telemetry.beat_s`.

    `scale(application, deployment, replicas)`: how many replicas Serve shall run. `ask_world(method, params)`: the supervisor
    (cluster/world_control.py), again and again while it restarts. `ask_console(method, params)`: what only the console keeps, as
    `history`. All three raise Unavailable. `pause`: asyncio.sleep.
    """

    namespace: str
    subjects: Subjects
    bus: Bus
    beats: Beats
    accounts: AccountStore
    characters: CharacterStore
    bans: Bans
    protection: ProtectionStore
    sessions: SessionStore
    audit: AuditLog
    publisher: Publisher
    settings: ConsoleSettings
    clock: Callable[[], float]
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    scale: Callable[[str, str, int], Awaitable[None]]
    ask_world: Callable[[str, dict[str, Any]], Awaitable[Any]]
    kept: Kept
    operators: OperatorStore
    ask_console: Callable[[str, dict[str, Any]], Awaitable[Any]]
