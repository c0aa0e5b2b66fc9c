"""Signed messages at the gateway (row 6.1; PROTOCOL.md, "Signed messages"): who may, who must, and the change of keys.

A client that signs has a `connection.signer` and a socket of its own kind: for all others there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Protocol

import orjson

from actors.session.attaching import Attached
from cluster.security_settings import SigningSettings
from cluster.settings import Settings
from rayrealm_client.signing import (
    MAX_TRAILER,
    TO_CLIENT,
    TO_SERVER,
    Agreement,
    BadSignature,
    Opener,
    Reason,
    Sealer,
    encode,
    read_point,
)
from serve_apps.gateway.client import Client, Socket
from serve_apps.gateway.connection import Connection
from serve_apps.gateway.messages import Framing, Sizes
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.upgrade import Refusal, Upgrade

ROTATED = "security.key.rotated"
REQUIRED = Refusal(HTTPStatus.BAD_REQUEST, "signature_required", "this realm takes signed messages only: offer sign")


class ServerSigner:
    """The gateway's end of one signed socket. Implements `connection.Verifier`. Times are seconds on the hub's clock.

    `failed`: why a message was not believed, once one was not.
    """

    def __init__(
        self,
        client: str,
        session_id: str,
        attach: int,
        settings: SigningSettings,
        now: float,
        agreement: Agreement | None = None,
    ) -> None:
        """`client`: its public key, as `read_point` takes it."""
        self.failed: Reason | None = None
        self.rotated_at = now
        self._agreement = agreement or Agreement()
        self._client = read_point(client)
        self._session_id = session_id
        self._attach = attach
        self._settings = settings
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None

    def offer(self) -> dict[str, str | int | float]:
        """What session.ready says of it."""
        return {
            "public": encode(self._agreement.public),
            "key_id": 0,
            "attach": self._attach,
            "rotate_s": self._settings.rotate_s,
            "previous_s": self._settings.previous_s,
        }

    def seal(self, frame: bytes, text: bool) -> bytes:
        """What is written next. The first one, session.ready, is not signed: from it the keys are made."""
        sealer = self._sealer
        if sealer is None:
            keys = self._agreement.as_server(self._client, frame, self._session_id, self._attach)
            self._sealer = Sealer(keys.server, TO_CLIENT)
            self._opener = Opener(keys.client, TO_SERVER, follows=False)
            return frame
        return sealer.text(frame) if text else sealer.binary(frame)

    def open(self, data: bytes, text: bool, now: float) -> bytes:
        """A whole message without its trailer. Raises BadSignature."""
        try:
            if self._opener is None:
                raise BadSignature("unknown_key")
            return self._opener.text(data, now) if text else self._opener.binary(data, now)
        except BadSignature as error:
            self.failed = error.reason
            raise

    def skip(self) -> None:
        """A frame of the client's was thrown away unread."""
        if self._opener is not None:
            self._opener.skip()

    def rotate(self, now: float) -> int:
        """From now on by the next key; the client's former one counts `previous_s` more. Returns the new key's id."""
        if self._sealer is None or self._opener is None:
            raise RuntimeError("no keys yet")
        self.rotated_at = now
        self._sealer.rotate()
        self._opener.rotate(now + self._settings.previous_s)
        return self._sealer.key_id


class SignedSocket:
    """A Socket that signs what is written."""

    __slots__ = ("_signer", "_socket", "close", "ping")

    def __init__(self, socket: Socket, signer: ServerSigner) -> None:
        self._socket = socket
        self._signer = signer
        self.ping = socket.ping
        self.close = socket.close

    def send(self, frame: bytes, framing: Framing) -> None:
        self._socket.send(self._signer.seal(frame, framing is Framing.JSON), framing)


def refused(upgrade: Upgrade, settings: SigningSettings) -> Refusal | None:
    """Why a client that does not offer to sign is not let in."""
    return REQUIRED if settings.mode == "required" and not upgrade.sign else None


def room(upgrade: Upgrade, settings: SigningSettings) -> int:
    """Bytes by which a frame may be longer than a message may."""
    return MAX_TRAILER if _signs(upgrade, settings) else 0


def begin(
    upgrade: Upgrade, attached: Attached, settings: Settings, socket: Socket, sizes: Sizes, now: float
) -> tuple[Connection, Socket]:
    """The connection, and the socket to write to; both sign if the client offered it and the realm does."""
    if _signs(upgrade, settings.signing):
        signer = ServerSigner(upgrade.sign, attached.session_id, attached.attach_epoch, settings.signing, now)
        return Connection(upgrade.framing, settings.gateway, now, sizes, signer), SignedSocket(socket, signer)
    # A move's shorthand passes the dispatcher by: where moves have to be signed, it must not.
    short = not signed_only((MOVE_METHOD,), settings.signing.methods)
    return Connection(upgrade.framing, settings.gateway, now, sizes, short_moves=short), socket


def _signs(upgrade: Upgrade, settings: SigningSettings) -> bool:
    return upgrade.sign != "" and settings.mode != "off"


def signed_only(methods: Iterable[str], patterns: Collection[str]) -> frozenset[str]:
    """Those of the methods that one of the patterns (fnmatch) fits."""
    return frozenset(method for method in methods if any(fnmatchcase(method, pattern) for pattern in patterns))


class Tell(Protocol):
    """`Hub.notify`."""

    def __call__(self, client: Client, method: str, params_json: bytes, priority: Priority) -> None: ...


class Counted(Protocol):
    """`GatewayMetrics`, as far as it is about signatures."""

    def bad_signature(self, reason: str) -> None: ...

    def key_rotated(self) -> None: ...


class Rotation:
    """Implements `Watcher`: changes the keys of those who sign, and counts whose signatures were wrong."""

    def __init__(self, settings: SigningSettings, notify: Tell, metrics: Counted) -> None:
        self._settings = settings
        self._notify = notify
        self._metrics = metrics
        self._signing: dict[Client, ServerSigner] = {}

    def opened(self, client: Client, now: float) -> None:
        signer = client.connection.signer
        if isinstance(signer, ServerSigner):
            self._signing[client] = signer

    def gone(self, client: Client, now: float) -> None:
        signer = self._signing.pop(client, None)
        if signer is not None and signer.failed is not None:
            self._metrics.bad_signature(signer.failed)

    def sweep(self, clients: Collection[Client], now: float) -> None:
        for client, signer in list(self._signing.items()):
            due = now - signer.rotated_at >= self._settings.rotate_s
            # `previous_s` is for messages on their way, not for a client that does not read: its turn is when it does.
            if due and not client.closed and client.outgoing.blocked_since is None:
                self._rotate(client, signer, now)

    def _rotate(self, client: Client, signer: ServerSigner, now: float) -> None:
        key_id = signer.rotate(now)
        self._metrics.key_rotated()
        params = orjson.dumps({"key_id": key_id, "previous_s": self._settings.previous_s})
        self._notify(client, ROTATED, params, Priority.IMMEDIATE)
