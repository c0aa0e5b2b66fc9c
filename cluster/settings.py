"""Every setting of a realm: one frozen object, validated before anything starts.

Sources, strongest first: arguments of the command, `RAYREALM_*` variables (nested with `__`, as in
`RAYREALM_GATEWAY__CAPACITY=500`), files in `RAYREALM_SECRETS` (cluster/setting_sources.py), `realm.toml` in the working directory
(or `RAYREALM_CONFIG`), the defaults below.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from cluster.errors import SettingsError
from cluster.operator_settings import ConsoleSettings, MeshSettings, TelemetrySettings
from cluster.section import Seconds, Section
from cluster.security_settings import (
    AbuseSettings,
    EdgeSettings,
    FirewallSettings,
    IdentitySettings,
    LimitSettings,
    LoginSettings,
    SealedSettings,
    SigningSettings,
)
from cluster.setting_sources import PREFIX, misspelt, secret_files
from cluster.social_settings import ChatSettings, EventSettings, PresenceSettings, Role, SocialSettings, TopicRule
from cluster.world_settings import WorldSettings


def _address(*schemes: str, several: bool = False) -> AfterValidator:
    """Empty, or an address with one of the schemes; or several, separated by commas. The reason quotes no password."""

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        for part in filter(None, text.split(",") if several else [text]):
            url = urlsplit(part)
            try:
                good = url.scheme in schemes and bool(url.hostname and url.port)
            except ValueError:  # the port is no number
                good = False
            if not good:
                raise ValueError(f"must be like {' or '.join(f'{scheme}://HOST:PORT' for scheme in schemes)}")
        return value

    return AfterValidator(check)


RedisUrl = Annotated[SecretStr, _address("redis", "rediss")]
NatsUrl = Annotated[SecretStr, _address("nats", "tls", several=True)]


class GatewaySettings(Section):
    """Sockets. Sizes are bytes."""

    capacity: int = Field(default=4_000, ge=1, le=100_000)  # sockets of one gateway; more are refused
    # of one message; a longer one closes the socket
    max_frame_bytes: int = Field(default=64 * 1024, ge=1024, le=1024 * 1024)
    # of a message after decompression
    max_inflated_bytes: int = Field(default=1024 * 1024, ge=1024, le=10 * 1024 * 1024)
    max_pending_requests: int = Field(default=32, ge=1, le=1_000)  # of one client at a time; more are refused
    max_batch: int = Field(default=50, ge=1, le=1_000)  # messages in one batch
    # of a client's messages that cannot be read; one more closes its socket
    max_errors_per_minute: int = Field(default=120, ge=1)
    # that the socket takes before a client counts as blocked
    send_buffer_bytes: int = Field(default=64 * 1024, ge=4096)
    slow_consumer_s: Seconds = 10.0  # seconds that a client may be blocked before its socket is closed
    slow_consumer_bytes: int = Field(default=512 * 1024, ge=4096)  # twice session.outbox_bytes, which may come at once
    ping_interval_s: Seconds = 30.0  # seconds of silence before a client is pinged
    pong_deadline_s: Seconds = 10.0  # seconds for the answer; then the socket is closed
    idle_timeout_s: Seconds = 1_800.0  # seconds without a message before a socket is closed
    attach_deadline_s: Seconds = 5.0  # seconds for a socket to get its session
    # sockets that get their session each second, at one gateway
    attaches_per_s: float = Field(default=200.0, ge=1.0, le=100_000.0)
    # sockets that wait for that; 0: none waits, more are refused
    attaches_waiting: int = Field(default=500, ge=0, le=100_000)
    drain_s: float = Field(
        default=20.0, gt=0, le=25.0
    )  # before Serve ends a replica (28 s), and Kubernetes a pod (30 s)
    drain_batch_s: Seconds = 0.5  # seconds between the closes of a drain
    rebalance: bool = False  # whether clients are moved from full gateways to emptier ones
    # share of a gateway's clients that is moved each minute, at most
    rebalance_per_minute: float = Field(default=0.2, gt=0.0, le=1.0)
    probe_s: Seconds = 1.0  # seconds between looks at Redis, NATS and the realm's actors
    degraded_after_s: Seconds = 3.0  # seconds without an answer before a part counts as away
    input_flush_s: Seconds = 0.02  # seconds that moves wait to go to their zone together
    call_deadline_s: Seconds = 5.0  # seconds for a call of a session's actor or a zone
    heartbeat_s: Seconds = 1.0  # seconds between a gateway's signs of life


class SessionSettings(Section):
    sessions_per_actor: int = Field(default=5_000, ge=1, le=100_000)  # of one session actor; more are refused
    actors: int = Field(default=1, ge=1, le=64)  # session actors, which share the sessions
    per_user: int = Field(default=5, ge=1, le=1_000)  # sessions of one user at a time
    grace_s: Seconds = 30.0  # seconds that a session without a socket stays
    record_ttl_s: Seconds = 300.0  # seconds that its record stays in Redis without being renewed
    max_subscriptions: int = Field(default=64, ge=1, le=1_000)  # topics of one session
    gateway_silence_s: float = Field(default=4.0, gt=2.0, le=600.0)  # actors look once a second
    takeover: bool = True  # whether a new socket may replace a session's present one; no: it is refused
    recovery_ttl_s: Seconds = 600.0  # seconds that a recovery token counts
    # unconfirmed notifications that are kept for one session
    outbox_count: int = Field(default=1_000, ge=1, le=100_000)
    outbox_bytes: int = Field(default=256 * 1024, ge=1_024)  # of them together
    outbox_age_s: Seconds = 120.0  # seconds that one is kept
    # newest messages of a topic that are kept for those who come back
    topic_log: int = Field(default=1_000, ge=10, le=1_000_000)


class AccountSettings(Section):
    """Passwords (argon2id, RFC 9106) and tokens."""

    argon2_memory_kib: int = Field(default=19_456, ge=8, le=4_194_304)  # KiB of memory for one hash
    argon2_time_cost: int = Field(default=2, ge=1, le=100)  # passes over it
    hashing_concurrency: int = Field(default=2, ge=1, le=64)  # hashes at the same time, in one process
    hashing_queue: int = Field(default=64, ge=1, le=10_000)  # logins that wait for one; more are refused
    access_ttl_s: Seconds = 900.0  # seconds that an access token counts
    refresh_ttl_s: Seconds = 30 * 86_400.0  # seconds that a refresh token counts
    clock_skew_s: float = Field(default=5.0, ge=0, le=300)  # seconds by which clocks may differ when tokens are judged
    max_characters: int = Field(default=8, ge=1, le=1_000)  # of one user
    roles: dict[str, Role] = Field(default={})  # by username in lower case; everybody else is a player
    premium: frozenset[str] = Field(default=frozenset())  # usernames in lower case


class RedisSettings(Section):
    """`url` empty: the embedded Valkey."""

    url: RedisUrl = SecretStr("")  # redis://HOST:PORT/0 or rediss://; empty: the embedded Valkey
    max_connections: int = Field(default=32, ge=1, le=10_000)  # of one process
    timeout_s: Seconds = 2.0  # seconds for an answer
    health_check_s: Seconds = 15.0  # seconds without use before a connection is tried out first


class NatsSettings(Section):
    """`url` empty: the embedded NATS."""

    url: NatsUrl = SecretStr("")  # nats://HOST:PORT or tls://, or several with commas; empty: the embedded NATS
    token: SecretStr = SecretStr("")  # for the login there; empty: none
    timeout_s: Seconds = 2.0  # seconds for an answer
    ping_interval_s: Seconds = 5.0  # seconds between pings of the server
    pending_bytes: int = Field(default=16 * 1024 * 1024, ge=65_536)  # that wait for the server while it is away


class RaySettings(Section):
    """`address` (HOST:PORT) empty: a Ray of the realm's own."""

    # HOST:PORT of a Ray cluster to join; empty: a Ray of the realm's own
    address: str = Field(default="", pattern=r"^(\S+:[0-9]{1,5})?$")
    dashboard_port: int = Field(default=0, ge=0, le=65_535)  # of Ray's dashboard; 0: there is none
    object_store_mib: int = Field(default=200, ge=80, le=1_048_576)  # MiB of shared memory for Ray's own objects


class Settings(BaseSettings):
    """The whole realm."""

    model_config = SettingsConfigDict(env_prefix="RAYREALM_", env_nested_delimiter="__", frozen=True, extra="forbid")

    # its name: in Redis keys, NATS subjects and the Ray namespace, so several can share servers
    realm: str = Field(default="realm", pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    # the address that is listened on; 0.0.0.0 or ::: all of the machine's
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=1, le=65_535)  # of the pages, the API and the sockets
    data: Path = Path(".rayrealm")  # the folder that outlives the realm: logs, certificates, embedded servers
    gateways: int = Field(default=2, ge=1, le=64)  # processes that hold the players' sockets
    bots: int = Field(default=0, ge=0, le=1_000)  # simulated players that `rayrealm up` starts; 0: none
    log_level: str = Field(default="info", pattern=r"^(debug|info|warning|error)$")  # log lines below it are left out

    world: WorldSettings = WorldSettings()
    gateway: GatewaySettings = GatewaySettings()
    session: SessionSettings = SessionSettings()
    presence: PresenceSettings = PresenceSettings()
    social: SocialSettings = SocialSettings()
    chat: ChatSettings = ChatSettings()
    # who may listen to which server topics; the first that fits counts
    topics: tuple[TopicRule, ...] = Field(default=(TopicRule(pattern="*"),), max_length=1_000)
    events: EventSettings = EventSettings()
    accounts: AccountSettings = AccountSettings()
    edge: EdgeSettings = EdgeSettings()
    firewall: FirewallSettings = FirewallSettings()
    limits: LimitSettings = LimitSettings()
    identity: IdentitySettings = IdentitySettings()
    login: LoginSettings = LoginSettings()
    signing: SigningSettings = SigningSettings()
    sealed: SealedSettings = SealedSettings()
    abuse: AbuseSettings = AbuseSettings()
    console: ConsoleSettings = ConsoleSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    mesh: MeshSettings = MeshSettings()
    redis: RedisSettings = RedisSettings()
    nats: NatsSettings = NatsSettings()
    ray: RaySettings = RaySettings()

    @model_validator(mode="after")
    def _tokens_open_sockets(self) -> Self:
        if self.accounts.access_ttl_s <= self.identity.grace_s:
            raise ValueError("accounts.access_ttl_s must be more than identity.grace_s: such tokens open no socket")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, Path(os.environ.get("RAYREALM_CONFIG", "realm.toml")))
        return init_settings, env_settings, *secret_files(file_secret_settings), toml

    @property
    def namespace(self) -> str:
        """The Ray namespace, and the prefix of every Redis key and NATS subject."""
        return f"rayrealm-{self.realm}"


# Variables that share the prefix and are no settings: where files are, and what the commands take.
NOT_SETTINGS = frozenset(
    {
        "RAYREALM_CONFIG",
        "RAYREALM_EDGE_FILE",
        "RAYREALM_SECRETS",
        "RAYREALM_TOKEN",
        "RAYREALM_TOKEN_OVER_HTTP",
        "RAYREALM_URL",
    }
)


def load(**overrides: Any) -> Settings:
    """Read the settings. Raises SettingsError with the name of each wrong one, as the operator wrote it, and the reason."""
    path = os.environ.get("RAYREALM_CONFIG")
    if path and not Path(path).is_file():
        raise SettingsError([("RAYREALM_CONFIG", f"no such file: {path}")])
    problems = misspelt(Settings.model_fields, NOT_SETTINGS)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [(_written(e["loc"], overrides), _reason(e)) for e in error.errors()]
    except SourceError as error:  # a variable for a whole section that is no JSON
        problems.append((f"{PREFIX}*", str(error)))
    except ValueError as error:
        problems.append((path or "realm.toml", f"not TOML: {error}"))
    if problems:
        raise SettingsError(problems)
    return settings


def _written(location: tuple[int | str, ...], overrides: Mapping[str, Any]) -> str:
    """`--port`'s problem is `port`, a variable's is the variable, a file's `gateway.capacity`."""
    variable = PREFIX + "__".join(str(part).upper() for part in location)
    if variable in os.environ and (not location or location[0] not in overrides):
        return variable
    return ".".join(str(part) for part in location) or "settings"


def _reason(error: ErrorDetails) -> str:
    return "no such setting" if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
