"""Settings of protection (rows 4.1, 5.3, 6.1-6.4): the edge, tokens, logins, limits, signing, sealed messages, abuse.

All of it is on by default. Rates are token buckets: `per_s` in the long run, `burst` at once.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from cluster.section import Seconds, Section

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
Method = Annotated[str, Field(pattern=r"^[a-z][a-z_.]{0,99}$")]


class Rate(Section):
    per_s: float = Field(gt=0.0, le=1_000_000.0)  # in the long run
    burst: int = Field(ge=1, le=10_000_000)  # at once


class TlsSettings(Section):
    """TLS at the realm's own edge (row 6.4). `certificate` (a chain) and `key` are PEM files; empty: plain HTTP.

    `redirect_port`: plain HTTP there is answered with a redirect; 0: nothing listens. `local`: make a certificate for this machine.
    """

    certificate: str = ""  # PEM file with the chain; empty: plain HTTP
    key: str = ""  # PEM file with its key
    local: bool = False  # whether a certificate is made for this machine
    # plain HTTP there is answered with a redirect; 0: nothing listens
    redirect_port: int = Field(default=0, ge=0, le=65_535)
    # seconds for which browsers are told to use HTTPS only; 0: they are not told
    hsts_s: int = Field(default=365 * 86_400, ge=0)
    reload_s: Seconds = 5.0  # seconds between looks for a new certificate

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together")
        if self.local and self.certificate:
            raise ValueError("local makes a certificate of its own: leave certificate and key empty")
        return self

    @property
    def on(self) -> bool:
        return self.local or bool(self.certificate)


class EdgeSettings(Section):
    """Where clients come in (row 6.1). `trusted_proxies`: load balancers before the realm, whose word for the client's address
    counts.

    `proxy_protocol`: these speak it (HAProxy's PROXY protocol, versions 1 and 2). `metrics_from`: who may read /metrics.
    `console_from`: who reaches /console.
    """

    tls: TlsSettings = TlsSettings()
    trusted_proxies: tuple[Network, ...] = ()  # load balancers whose word for a client's address counts; empty: none
    proxy_protocol: bool = False  # whether these speak the PROXY protocol
    metrics_from: tuple[Network, ...] = LOOPBACK  # who may read /metrics
    console_from: tuple[Network, ...] = LOOPBACK  # who reaches /console


class FirewallSettings(Section):
    """Before the upgrade (row 6.1). Addresses are whole IPv4 addresses and /64 networks of IPv6.

    `origins`: Origin headers that may connect, `*` stands for anything but a slash; "self" is the page's own host. `exempt`: from
    limits by address, never from bans: whoever sits there is the operator, or a proxy that should be in `edge.trusted_proxies`.
    """

    origins: tuple[str, ...] = ("self",)  # Origin headers that may connect
    origin_needed: bool = False  # whether a request without one is refused
    exempt: tuple[Network, ...] = LOOPBACK  # addresses without limits by address; bans count
    connections_per_address: int = Field(default=100, ge=1, le=1_000_000)  # sockets at a time
    connects_per_address: Rate = Rate(per_s=5.0, burst=50)
    connects_in_all: Rate = Rate(per_s=1_000.0, burst=5_000)  # at one gateway
    requests_per_address: Rate = Rate(per_s=20.0, burst=200)  # HTTP, refused at the edge
    head_s: Seconds = 5.0  # for a whole request head
    head_bytes: int = Field(default=8_192, ge=1_024, le=16_384)  # of a request's head
    headers: int = Field(default=64, ge=8, le=101)  # of a request
    refresh_s: Seconds = 2.0  # how often each process looks for bans and revocations


class LimitSettings(Section):
    """Messages (row 5.3), at each gateway. What is over is refused with `retryAfter`; moves that are over are dropped.

    A message counts once for each `unit_bytes` that it begins. `methods`: besides, for one user. `premium`: users with the claim
    `premium` have so many times the rates of a user. `strikes` refusals of a user's sockets within `strike_window_s` close the one
    that was refused last, `closes` of these within `ban_window_s` ban the user for `ban_s`. `without_store`: what the limits that
    gateways share do while Redis is away.
    """

    in_all: Rate = Rate(per_s=50_000.0, burst=100_000)
    address: Rate = Rate(per_s=2_000.0, burst=4_000)
    user: Rate = Rate(per_s=60.0, burst=120)
    # of one user, for one method
    methods: dict[Method, Rate] = Field(
        default={
            "auth.refresh": Rate(per_s=0.1, burst=5),
            "auth.renew": Rate(per_s=0.1, burst=5),
            "chat.history": Rate(per_s=5.0, burst=20),
            "keys.get": Rate(per_s=2.0, burst=20),
            "keys.publish": Rate(per_s=0.1, burst=10),
            "presence.get": Rate(per_s=5.0, burst=20),
            "presence.update": Rate(per_s=2.0, burst=20),
            "world.enter": Rate(per_s=2.0, burst=20),
        }
    )
    premium: float = Field(default=2.0, ge=1.0, le=1_000.0)  # times the rates of other users
    unit_bytes: int = Field(default=4_096, ge=256, le=1_048_576)  # bytes that count as one message
    strikes: int = Field(default=200, ge=1, le=1_000_000)  # refusals within strike_window_s that close a socket
    strike_window_s: Seconds = 10.0  # seconds
    closes: int = Field(default=3, ge=1, le=1_000)  # of these within ban_window_s that ban the user
    ban_window_s: Seconds = 600.0  # seconds
    ban_s: Seconds = 600.0  # seconds
    without_store: Literal["open", "closed"] = "open"  # what shared limits do while Redis is away: let pass, or refuse
    strangers_per_hour: int = Field(
        default=30, ge=1, le=100_000
    )  # direct messages to those who are no friends: new ones


class IssuerSettings(Section):
    """An outside identity provider (row 4.1): its `iss`, the audience it must name, and its keys: a JWKS URL, or a secret for
    HS256.

    `subject`: the claim that names the user; `premium`: the one that says so, if any.
    """

    issuer: str = Field(min_length=1, max_length=512)
    audience: str = Field(min_length=1, max_length=512)
    jwks_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    secret: SecretStr = SecretStr("")
    algorithms: tuple[Literal["RS256", "ES256", "EdDSA", "HS256"], ...] = ("RS256", "EdDSA")
    subject: str = Field(default="sub", min_length=1, max_length=64)
    premium: str = Field(default="premium", max_length=64)

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        secret = self.secret.get_secret_value()
        if bool(self.jwks_url) == bool(secret):
            raise ValueError("an issuer needs either jwks_url or secret")
        if bool(secret) != (self.algorithms == ("HS256",)):
            raise ValueError("HS256 needs a secret, and a secret nothing but HS256")
        if secret and len(secret) < 32:
            raise ValueError("a secret for HS256 has at least 32 characters (RFC 7518, section 3.2)")
        return self


class IdentitySettings(Section):
    """Tokens on sockets (row 4.1). One that ends within `grace_s` opens no socket, and an open socket outlives it by so much.

    `longest_token_s`: outside tokens that last longer are refused, as nothing would remember their revocation. `key_lead_s`: how
    long a new key of the realm is public before it signs; at least twice `firewall.refresh_s`.
    """

    # outside identity providers; empty: only the realm's own tokens
    issuers: tuple[IssuerSettings, ...] = Field(default=(), max_length=16)
    grace_s: float = Field(default=30.0, ge=0.0, le=3_600.0)  # seconds that an open socket outlives its token
    revalidate_s: Seconds = 300.0  # seconds between looks at the token of an open socket
    remind_s: Seconds = 120.0  # before a token ends, its client is told
    jwks_refresh_s: Seconds = 300.0  # seconds between looks for a provider's keys
    jwks_timeout_s: Seconds = 5.0  # seconds for its answer
    longest_token_s: Seconds = 86_400.0  # seconds that an outside token may last
    key_lead_s: float = Field(default=60.0, ge=0.0, le=86_400.0)  # seconds that a new key is public before it signs

    @model_validator(mode="after")
    def _each_issuer_once(self) -> Self:
        names = [issuer.issuer for issuer in self.issuers]
        if len(set(names)) < len(names):
            raise ValueError("an issuer may be named once")
        return self


class LoginSettings(Section):
    """Passwords (row 4.1; NIST SP 800-63B, section 5.1.1). `failures` in a row lock an account for `lock_s`, twice as long each
    time.

    Addresses in `firewall.exempt` have no limit of their own.
    """

    min_password: int = Field(default=8, ge=8, le=64)  # characters of a player's password
    refuse_breached: bool = True  # whether passwords that are known from breaches are refused
    failures: int = Field(default=10, ge=1, le=1_000)  # in a row that lock an account
    lock_s: Seconds = 30.0  # seconds of the first lock; each further one is twice as long
    max_lock_s: Seconds = 900.0  # seconds of the longest
    attempts_per_address: Rate = Rate(per_s=0.5, burst=20)
    registrations_per_address: Rate = Rate(per_s=0.02, burst=20)


class SigningSettings(Section):
    """HMAC-SHA256 over messages (row 6.1). `methods` (fnmatch patterns): only over signed connections.

    `rotate_s`: how long a key is used; the previous one counts for `previous_s` more.
    """

    # off: no message is signed; optional: the client chooses; required: all are
    mode: Literal["off", "optional", "required"] = "optional"
    methods: tuple[str, ...] = ()  # that need a signed connection; empty: none
    rotate_s: Seconds = 3_600.0  # seconds that a key is used
    previous_s: Seconds = 30.0  # seconds that the one before still counts

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.previous_s >= self.rotate_s:
            raise ValueError("rotate_s is longer than previous_s: there is one previous key")
        if self.methods and self.mode == "off":
            raise ValueError("methods need mode optional or required")
        return self


class SealedSettings(Section):
    """Messages that the realm cannot read (row 6.4). Sizes are bytes: of a device's record of keys, and of what is sealed for one
    device. `inbox`: how many wait for one device, for `keep_s`.
    """

    devices: int = Field(default=8, ge=1, le=64)  # of one user
    max_key: int = Field(default=4_096, ge=256, le=4_096)  # bytes of a device's record of keys
    max_message: int = Field(default=8_192, ge=1_024, le=49_152)  # bytes sealed for one device
    inbox: int = Field(default=100, ge=1, le=10_000)  # messages that wait for one device
    keep_s: Seconds = 14 * 86_400.0  # seconds that they wait


class AbuseSettings(Section):
    """Watching for abuse (row 6.3). `monitor` writes what it would do into the audit log; `enforce` does it.

    `patterns`: other thresholds for patterns of actors/watch/patterns.py by their names; 0 switches one off. `slow_factor`: a user
    who is slowed has so many times lower limits.
    """

    enabled: bool = True  # whether anybody watches
    mode: Literal["monitor", "enforce"] = "enforce"  # monitor: it is only written down; enforce: it is done
    report_s: float = Field(default=5.0, gt=0.0, le=5.0)  # the watch's windows count in slots of so much
    anomaly_score: float = Field(default=0.85, gt=0.0, le=1.0)  # 0 to 1, above which behaviour counts as unlike others'
    anomaly_warmup: int = Field(default=2_000, ge=0)  # reports learned from before scores count
    # thresholds by the pattern's name; 0 switches one off
    patterns: dict[str, Annotated[float, Field(ge=0.0, le=1e9)]] = Field(default_factory=dict)
    slow_factor: float = Field(default=4.0, ge=1.0, le=1_000.0)  # times lower limits of a user who is slowed
    slow_s: Seconds = 60.0  # seconds
    block_s: Seconds = 300.0  # seconds
    ban_s: Seconds = 3_600.0  # seconds
    audit_log: int = Field(default=10_000, ge=100, le=1_000_000)  # entries kept
