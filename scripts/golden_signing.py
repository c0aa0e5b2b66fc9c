"""What a signed socket says, from its key agreement on, byte by byte (PROTOCOL.md, "Signed messages").

Written from the text, with the standard library and ECDH of `cryptography`: nothing of the gateway or of a client takes part.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from golden_frames import notification, request, update

from realm_proto import realtime_pb2 as pb

# Private keys of nobody: the numbers 1 to 32, and 101 to 132.
CLIENT, SERVER = bytes(range(1, 33)), bytes(range(101, 133))
SESSION, ATTACH = "ses_golden", 7
SPEAKS = {"client": b"c", "server": b"s"}
MOVE = pb.WebSocketMessage(move=update(1.5, 0.0, -2.25, 0.5, 7)).SerializeToString(deterministic=True)
PING = request("system.ping", {"echo": "é"}, id_number=7).SerializeToString(deterministic=True)
TOLD = notification("security.key.rotated", {"key_id": 1, "previous_s": 30.0}).SerializeToString(deterministic=True)
TEXT = '{"jsonrpc":"2.0","id":7,"method":"system.ping",\n"params":{"echo":"é"}}'.encode()
VIEW = pb.WebSocketMessage(view=pb.ViewFrame(tick=9, ack=7)).SerializeToString(deterministic=True)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def first_keys(ready: bytes) -> dict[str, bytes]:
    """HKDF (RFC 5869) for 64 bytes, written out."""
    client, server = private(CLIENT), private(SERVER)
    secret = client.exchange(ec.ECDH(), server.public_key())
    extracted = mac(hashlib.sha256(point(client) + point(server) + ready).digest(), secret)
    info = b"rayrealm signing 1\0" + SESSION.encode() + b"\0" + str(ATTACH).encode()
    one = mac(extracted, info + b"\x01")
    return {"client": one, "server": mac(extracted, one + info + b"\x02")}


def after(key: bytes, rotations: int) -> bytes:
    for _ in range(rotations):
        key = mac(key, b"rayrealm signing 1 next")
    return key


def signed(keys: dict[str, bytes], who: str, text: bool, rotations: int, sequence: int, message: bytes) -> bytes:
    key_id = rotations % 256
    stamp = bytes([key_id]) + sequence.to_bytes(8, "big")
    made = mac(after(keys[who], rotations), SPEAKS[who] + (b"t" if text else b"b") + stamp + message)
    if text:
        return message + f"\ns1.{key_id}.{sequence}.{b64url(made)}".encode()
    return message + stamp + made + b"s1"


def signing() -> dict[str, Any]:
    """`stream`: what is said in this order. `refused`: what is not believed in place of the message number `at` of the stream."""
    client, server = private(CLIENT), private(SERVER)
    offer = {"public": b64url(point(server)), "key_id": 0, "attach": ATTACH, "rotate_s": 3600.0, "previous_s": 30.0}
    ready = notification("session.ready", {"session_id": SESSION, "signing": offer}).SerializeToString(
        deterministic=True
    )
    keys = first_keys(ready)
    numbers = {"client": 0, "server": 0}
    stream: list[dict[str, Any]] = []

    def say(who: str, message: bytes, rotations: int, *, text: bool = False) -> None:
        numbers[who] += 1
        frame = signed(keys, who, text, rotations, numbers[who], message)
        stream.append(
            {
                "from": who,
                "kind": "text" if text else "binary",
                "key_id": rotations,
                "sequence": numbers[who],
                "message": message.hex(),
                "signed": frame.hex(),
            }
        )

    say("client", PING, 0)
    say("server", VIEW, 0)
    say("client", MOVE, 0)
    say("client", b"", 0)
    say("server", TOLD, 1)
    say("server", VIEW, 1)
    say("client", MOVE, 1)
    say("server", VIEW, 2)
    say("client", PING, 2)
    say("client", TEXT, 2, text=True)  # last: a client that speaks binary messages only can follow until here
    say("server", TEXT, 2, text=True)

    def wrong(name: str, at: int, frame: bytes, reason: str) -> dict[str, Any]:
        said = stream[at]
        return {
            "name": name,
            "at": at,
            "from": said["from"],
            "kind": said["kind"],
            "signed": frame.hex(),
            "reason": reason,
        }

    good = [bytes.fromhex(said["signed"]) for said in stream]
    refused = [
        wrong("unsigned", 1, VIEW, "unsigned"),
        wrong("only a mark", 1, b"s1", "unsigned"),
        wrong("cut off", 1, good[1][:-1], "unsigned"),
        wrong("a bit of the message", 1, bytes([good[1][0] ^ 1]) + good[1][1:], "bad_mac"),
        wrong("a bit of the mac", 1, good[1][:-3] + bytes([good[1][-3] ^ 1]) + good[1][-2:], "bad_mac"),
        wrong("another number", 1, VIEW + b"\0" + (2).to_bytes(8, "big") + good[1][len(VIEW) + 9 :], "bad_mac"),
        wrong("said by the client", 1, signed(keys, "client", False, 0, 1, VIEW), "bad_mac"),
        wrong("meant for a text message", 1, signed(keys, "server", True, 0, 1, VIEW), "unsigned"),
        wrong("a mac of a text message", 1, retold(signed(keys, "server", True, 0, 1, VIEW), VIEW), "bad_mac"),
        wrong("of another session", 1, signed(first_keys(ready + b"x"), "server", False, 0, 1, VIEW), "bad_mac"),
        wrong("a number is missing", 1, signed(keys, "server", False, 0, 2, VIEW), "missing"),
        wrong("again", 5, good[4], "replayed"),
        wrong("by the former key", 5, signed(keys, "server", False, 0, 3, VIEW), "unknown_key"),
        wrong("two keys on", 1, signed(keys, "server", False, 2, 1, VIEW), "unknown_key"),
        wrong("text: unsigned", 10, TEXT, "unsigned"),
        wrong("text: a number with a zero before it", 10, good[10].replace(b"\ns1.2.5.", b"\ns1.2.05."), "malformed"),
        wrong("text: a key id too large", 10, good[10].replace(b"\ns1.2.5.", b"\ns1.256.5."), "malformed"),
        wrong("text: a bit of the message", 10, good[10].replace(b"ping", b"pang"), "bad_mac"),
        wrong("text: something after it", 10, good[10] + b"\n", "unsigned"),
    ]  # fmt: skip
    return {
        "client": {"private": CLIENT.hex(), "public": b64url(point(client))},
        "server": {"private": SERVER.hex(), "public": b64url(point(server))},
        "session_id": SESSION,
        "attach": ATTACH,
        "ready": ready.hex(),
        "keys": [
            {
                "rotations": count,
                "client": after(keys["client"], count).hex(),
                "server": after(keys["server"], count).hex(),
            }
            for count in (0, 1, 2, 255, 256)
        ],
        "stream": stream,
        "refused": refused,
    }


def retold(text: bytes, message: bytes) -> bytes:
    """The mac of a text message in a binary trailer."""
    made = base64.urlsafe_b64decode(text.rsplit(b".", 1)[1] + b"=")
    return message + b"\0" + (1).to_bytes(8, "big") + made + b"s1"
