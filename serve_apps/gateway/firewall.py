"""Who may knock at all (row 6.1): bans, rates and numbers of connections, and whether a request head is a clean one.

All before a token is looked at. Plain Python; `clock` gives seconds, `wall_clock` Unix seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus

from cluster.ports.protection import NetworkBan
from cluster.security.addresses import limit_key, within
from cluster.security_settings import FirewallSettings
from cluster.token_bucket import Bucket, bucket
from serve_apps.gateway.client import Client
from serve_apps.gateway.origins import Origins
from serve_apps.gateway.upgrade import Refusal

MOST_ADDRESSES = 100_000  # whose rates are remembered; beyond, the oldest are forgotten
FULL_RETRY_S = 10

# A second one is an attempt to be read differently by two parsers (RFC 9112, section 3.2; RFC 6455, section 4.1).
ONCE = frozenset(
    {"host", "upgrade", "origin", "authorization", "sec-websocket-key", "sec-websocket-version", "content-length"}
)
NEVER = frozenset({"transfer-encoding", "sec-websocket-accept"})  # an upgrade has no body, and is no answer
HOST = re.compile(r"(?:[A-Za-z0-9._~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

TOO_MUCH = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", "the request head is too large")
BANNED = Refusal(HTTPStatus.FORBIDDEN, "address_banned", "this address may not connect")
ORIGIN = Refusal(HTTPStatus.FORBIDDEN, "origin_refused", "this origin may not connect")
TOO_MANY = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS, "too_many_connections", "this address has too many connections", FULL_RETRY_S
)

Banned = Callable[[str, float], NetworkBan | None]


class Firewall:
    """`enter` for each request head; `leave` once that connection is over, if it was let in, with what `enter` gave.

    It is also a watcher (`serve_apps/gateway/watcher.py`): a ban that came while a socket was being opened holds for it.
    """

    def __init__(
        self,
        settings: FirewallSettings,
        banned: Banned,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        kick: Callable[[Client], None],
    ) -> None:
        self._settings = settings
        self._banned = banned
        self._clock = clock
        self._wall_clock = wall_clock
        self._kick = kick
        self._origins = Origins(settings.origins, settings.origin_needed)
        self._in_all = bucket(settings.connects_in_all)
        self._rates: dict[str, Bucket] = {}
        self._inside: dict[str, int] = {}

    def enter(self, head_bytes: int, headers: Sequence[tuple[str, str]], address: str) -> Refusal | str:
        """Why the request is refused, or what has one connection more now: "" for who is exempt. `headers`: names in lower case."""
        if self._banned(address, self._wall_clock()) is not None:
            return BANNED
        key = "" if within(address, self._settings.exempt) else limit_key(address)
        refusal = self._too_fast(key) or self._unclean(head_bytes, headers)
        if refusal is not None:
            return refusal
        if key:
            self._inside[key] = self._inside.get(key, 0) + 1
        return key

    def leave(self, key: str) -> None:
        """What was not counted is not taken off: an exempt host may share its /64 with others."""
        left = self._inside.get(key, 0) - 1
        if left > 0:
            self._inside[key] = left
        else:
            self._inside.pop(key, None)

    def enforce(self, clients: Collection[Client]) -> None:
        """Close those that are banned by now: after a change of the bans."""
        now = self._wall_clock()
        for client in clients:
            if self._banned(client.address, now) is not None:
                self._kick(client)

    # --- Watcher -----------------------------------------------------------------------------------------------

    def opened(self, client: Client, now: float) -> None:
        if self._banned(client.address, self._wall_clock()) is not None:
            self._kick(client)

    def gone(self, client: Client, now: float) -> None:
        """The connection says so itself, by `leave`: also one that never became a client."""

    def sweep(self, clients: Collection[Client], now: float) -> None:
        for key in [key for key, rate in self._rates.items() if rate.full_at <= now]:
            del self._rates[key]

    # -----------------------------------------------------------------------------------------------------------

    def _too_fast(self, key: str) -> Refusal | None:
        """By the address first: what it refuses does not use up what all have together."""
        settings, now = self._settings, self._clock()
        if key and self._inside.get(key, 0) >= settings.connections_per_address:
            return TOO_MANY
        rate = self._rates.get(key)
        if rate is None and key:
            if len(self._rates) >= MOST_ADDRESSES:
                del self._rates[next(iter(self._rates))]
            rate = self._rates[key] = bucket(settings.connects_per_address)
        wait = (rate.take(now) if rate is not None else 0.0) or self._in_all.take(now)
        if not wait:
            return None
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, "connecting_too_fast", "too many connections in a short time", math.ceil(wait)
        )

    def _unclean(self, head_bytes: int, headers: Sequence[tuple[str, str]]) -> Refusal | None:
        if head_bytes > self._settings.head_bytes or len(headers) > self._settings.headers:
            return TOO_MUCH
        names = [name for name, _ in headers]
        for name in ONCE:
            if names.count(name) > 1:
                return _bad(f"{name} is there more than once")
        for name, value in headers:
            if name in NEVER or CONTROL.search(value):
                return _bad(f"{name} is not allowed" if name in NEVER else f"{name} is malformed")
        fields = dict(headers)
        if fields.get("content-length", "0") != "0":
            return _bad("an upgrade has no content")
        if not HOST.fullmatch(fields.get("host", "")):
            return _bad("host is missing or malformed")
        if fields.get("upgrade", "").lower() != "websocket" or not any(
            word.strip().lower() == "upgrade"
            for name, value in headers
            if name == "connection"
            for word in value.split(",")
        ):
            return _bad("a WebSocket handshake has Upgrade: websocket and Connection: Upgrade")
        return None if self._origins.allow(fields.get("origin"), fields["host"]) else ORIGIN


def _bad(detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "bad_request", detail)
