"""Signed messages (PROTOCOL.md, "Signed messages"; row 6.1): key agreement, trailers, sequences, the ratchet.

Plain, and used by both ends. ECDH on P-256 (NIST SP 800-56A), HKDF-SHA256 (RFC 5869), HMAC-SHA256 (RFC 2104).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rayrealm_client.errors import RealmError

Reason = Literal["unsigned", "malformed", "unknown_key", "bad_mac", "replayed", "missing"]
"""unsigned: no trailer; unknown_key: none that counts now; replayed: its number came before; missing: one before it did not."""

REASONS: tuple[Reason, ...] = get_args(Reason)
POINT_BYTES = 65  # an uncompressed point of P-256 (SEC 1, section 2.3.3)
KEY_BYTES = 32
KEY_IDS = 256
INFO = b"rayrealm signing 1"
NEXT = b"rayrealm signing 1 next"
TO_SERVER, TO_CLIENT = b"c", b"s"  # by who speaks
BINARY, TEXT = b"b", b"t"
MARK = b"s1"
MAX_SEQUENCE = 2**53 - 1  # what a browser can count to
STAMP = struct.Struct(">BQ")  # key id, sequence
BINARY_TRAILER = STAMP.size + KEY_BYTES + len(MARK)
TEXT_TRAILER = len("\ns1.255.") + 16 + 1 + 43  # the longest
MAX_TRAILER = max(BINARY_TRAILER, TEXT_TRAILER)

_TEXT = re.compile(rb"s1\.(0|[1-9][0-9]{0,2})\.([1-9][0-9]{0,15})\.([A-Za-z0-9_-]{43})")
_CURVE = ec.SECP256R1()


class BadSignature(RealmError):
    """A message that did not come from the other end as it is, now. Nothing of it may be used, and nothing that follows."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Keys:
    """The first keys of a socket: of what the client says, and of what the server says. 32 bytes each."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


def encode(data: bytes) -> str:
    """base64url without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_point(text: str) -> bytes:
    """A public key as the wire has it, in bytes. Raises ValueError for what is no uncompressed point of the curve."""
    try:
        point = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("no base64url") from error
    if encode(point) != text:
        raise ValueError("no canonical base64url")
    _public(point)
    return point


def _public(point: bytes) -> ec.EllipticCurvePublicKey:
    if len(point) != POINT_BYTES or point[0] != 0x04:
        raise ValueError("no uncompressed point of P-256")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)


class Agreement:
    """One end's half of the key agreement, for one socket. `public`: its point, 65 bytes."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | None = None) -> None:
        self._private = private or ec.generate_private_key(_CURVE)
        self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def as_client(self, server: bytes, ready: bytes, session_id: str, attach: int) -> Keys:
        """`server`: its point. `ready`: the whole message that held session.ready, as it came. Raises ValueError: a bad point."""
        return self._keys(server, self.public + server, ready, session_id, attach)

    def as_server(self, client: bytes, ready: bytes, session_id: str, attach: int) -> Keys:
        """As `as_client`, from the other end."""
        return self._keys(client, client + self.public, ready, session_id, attach)

    def _keys(self, peer: bytes, points: bytes, ready: bytes, session_id: str, attach: int) -> Keys:
        secret = self._private.exchange(ec.ECDH(), _public(peer))
        # session.ready cannot be signed yet. Bound like this, whoever changes it makes every message after it fail.
        salt = hashlib.sha256(points + ready).digest()
        info = b"\0".join((INFO, session_id.encode(), str(attach).encode()))
        made = HKDF(SHA256(), 2 * KEY_BYTES, salt, info).derive(secret)
        return Keys(made[:KEY_BYTES], made[KEY_BYTES:])


def ratchet(key: bytes) -> bytes:
    """The key after this one. Nobody finds the former from it."""
    return hmac.digest(key, NEXT, "sha256")


class Sealer:
    """Signs what one end says, in the order in which it is said."""

    def __init__(self, key: bytes, direction: bytes) -> None:
        self.key_id = 0
        self.sequence = 0
        self._key = key
        self._binary, self._text = direction + BINARY, direction + TEXT

    def binary(self, message: bytes) -> bytes:
        """The message with its trailer."""
        self.sequence += 1
        stamp = STAMP.pack(self.key_id, self.sequence)
        return b"".join((message, stamp, hmac.digest(self._key, self._binary + stamp + message, "sha256"), MARK))

    def text(self, message: bytes) -> bytes:
        """The same for a text message, in UTF-8."""
        self.sequence += 1
        stamp = STAMP.pack(self.key_id, self.sequence)
        mac = hmac.digest(self._key, self._text + stamp + message, "sha256")
        return b"%b\ns1.%d.%d.%b" % (message, self.key_id, self.sequence, base64.urlsafe_b64encode(mac)[:-1])

    def rotate(self) -> None:
        """From now on by the next key. The sequence goes on."""
        self._key = ratchet(self._key)
        self.key_id = (self.key_id + 1) % KEY_IDS


class Opener:
    """Verifies what the other end says. After a BadSignature it is of no use any more.

    `follows`: the other end says when a new key begins, by using it. Otherwise `rotate` does. `now`: seconds on any one clock.
    """

    def __init__(self, key: bytes, direction: bytes, *, follows: bool) -> None:
        self.key_id = 0
        self.sequence = 0
        self._key = key
        self._binary, self._text = direction + BINARY, direction + TEXT
        self._follows = follows
        self._former: bytes | None = None
        self._former_until = 0.0
        self._skipped = 0

    def binary(self, data: bytes, now: float = 0.0) -> bytes:
        """The message without its trailer. Raises BadSignature."""
        cut = len(data) - BINARY_TRAILER
        if cut < 0 or data[-len(MARK) :] != MARK:
            raise BadSignature("unsigned")
        stamp, message = data[cut : cut + STAMP.size], data[:cut]
        key_id, sequence = STAMP.unpack(stamp)
        key = self._key_of(key_id, now)
        mac = hmac.digest(key, self._binary + stamp + message, "sha256")
        self._judge(hmac.compare_digest(mac, data[cut + STAMP.size : -len(MARK)]), key, key_id, sequence)
        return message

    def text(self, data: bytes, now: float = 0.0) -> bytes:
        """The same for a text message, in UTF-8. Raises BadSignature."""
        cut = data.rfind(b"\n", -TEXT_TRAILER)
        if cut < 0 or not data.startswith(b"s1.", cut + 1):
            raise BadSignature("unsigned")
        trailer = _TEXT.fullmatch(data, cut + 1)
        if trailer is None:
            raise BadSignature("malformed")
        key_id, sequence = int(trailer[1]), int(trailer[2])
        if key_id >= KEY_IDS or sequence > MAX_SEQUENCE:
            raise BadSignature("malformed")
        key, message = self._key_of(key_id, now), data[:cut]
        mac = hmac.digest(key, self._text + STAMP.pack(key_id, sequence) + message, "sha256")
        # What is written is compared, not what it means: there is one way to write a trailer.
        self._judge(hmac.compare_digest(base64.urlsafe_b64encode(mac)[:-1], trailer[3]), key, key_id, sequence)
        return message

    def rotate(self, until: float) -> None:
        """The next key counts, and the present one until then."""
        self._former, self._former_until = self._key, until
        self._key = ratchet(self._key)
        self.key_id = (self.key_id + 1) % KEY_IDS

    def skip(self) -> None:
        """A frame was thrown away unread: one number may be missing."""
        self._skipped += 1

    def _key_of(self, key_id: int, now: float) -> bytes:
        if key_id == self.key_id:
            return self._key
        if self._follows:
            if key_id == (self.key_id + 1) % KEY_IDS:
                return ratchet(self._key)
        elif self._former is not None and now < self._former_until and key_id == (self.key_id - 1) % KEY_IDS:
            return self._former
        raise BadSignature("unknown_key")

    def _judge(self, good: bool, key: bytes, key_id: int, sequence: int) -> None:
        if not good:
            raise BadSignature("bad_mac")
        if sequence <= self.sequence:
            raise BadSignature("replayed")
        if sequence > self.sequence + 1 + self._skipped:  # the transport keeps order and loses nothing
            raise BadSignature("missing")
        self.sequence, self._skipped = sequence, 0
        if key_id == self.key_id:
            self._former = None  # who has the new key says nothing by the former one any more
        elif self._follows:
            self._key, self.key_id = key, key_id


class ClientSigner:
    """A client's end of one signed socket: `offer` goes into the upgrade; after `agree`, all is sealed and opened."""

    def __init__(self, agreement: Agreement | None = None) -> None:
        self._agreement = agreement or Agreement()
        self.offer = encode(self._agreement.public)
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None

    def agree(self, ready: bytes, session_id: str, signing: Mapping[str, Any]) -> None:
        """`ready`: the message as it came; `signing`: what its params say of it. Raises ValueError for what was not agreed."""
        public, attach, key_id = signing.get("public"), signing.get("attach"), signing.get("key_id")
        if not isinstance(public, str) or type(attach) is not int or key_id != 0:
            raise ValueError("no public key, attach and key_id 0")
        keys = self._agreement.as_client(read_point(public), ready, session_id, attach)
        self._sealer = Sealer(keys.client, TO_SERVER)
        self._opener = Opener(keys.server, TO_CLIENT, follows=True)

    def seal(self, message: bytes | str) -> bytes | str:
        """What is sent next, signed. Raises BadSignature before `agree`."""
        sealer = self._sealer
        if sealer is None:
            raise BadSignature("unknown_key")
        return sealer.binary(message) if isinstance(message, bytes) else sealer.text(message.encode()).decode()

    def open(self, data: bytes | str) -> bytes | str:
        """What came, verified. Raises BadSignature. A new key of the server's is ours, too, from now on."""
        sealer, opener = self._sealer, self._opener
        if sealer is None or opener is None:
            raise BadSignature("unknown_key")
        message = opener.binary(data) if isinstance(data, bytes) else opener.text(data.encode()).decode()
        if sealer.key_id != opener.key_id:
            sealer.rotate()
        return message
