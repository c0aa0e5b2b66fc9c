"""Attacks on an open socket: floods, frames of every wrong kind, bombs."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import partial

import orjson

from rayrealm_client.codec import OwnMove, encode
from rayrealm_client.signing import ClientSigner
from realm_proto import realtime_pb2 as pb
from tests.attack.target import Outcome, Target, paced
from tests.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, Raw, frame, text

FLOOD_PER_S = 3_000.0
BURST = 20  # frames in one write
OPEN = "open"  # in place of a close code


async def flood(raw: Raw, seconds: float, per_s: float, make: Callable[[int], bytes]) -> int | str:
    """Send until the server closes, or time is over. Returns the close code, or OPEN."""
    closing = asyncio.create_task(raw.closed())
    try:
        async for number in paced(per_s / BURST, seconds):
            if closing.done():
                break
            raw.send(b"".join(make(number * BURST + k) for k in range(BURST)))
            await raw.sent()
        await asyncio.wait([closing], timeout=2.0)
    except ConnectionError:
        await asyncio.wait([closing], timeout=2.0)
    if closing.done():
        return OPEN if isinstance(closing.exception(), TimeoutError) else closing.result()
    closing.cancel()
    return OPEN


def ask(number: int, method: str = "system.ping", params: str = "{}") -> bytes:
    return frame(
        TEXT, b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":%s}' % (number, method.encode(), params.encode())
    )


async def message_flood(target: Target, seconds: float, outcome: Outcome) -> None:
    """Requests without end: 4504."""
    async with target.socket() as raw:
        code = await flood(raw, seconds, FLOOD_PER_S, ask)
        outcome.met(code)
        outcome.must(code == 4504, f"a flood of requests ended with {code}")


async def move_flood(target: Target, seconds: float, outcome: Outcome) -> None:
    """Moves without end: 4504. They are the cheapest thing to send."""
    token, character = await target.account()
    raw = await target.open(token, target.address(), subprotocol="")
    raw.send(text({"jsonrpc": "2.0", "id": 1, "method": "world.enter", "params": {"character_id": character}}))
    world = (await raw.answer_to(1))["result"]
    at, first = world["position"], world["sequence"] + 1

    def move(number: int) -> bytes:
        made = encode(OwnMove(at["x"], 0.0, at["z"], 0.0, first + number), "proto")
        return frame(BINARY, made if isinstance(made, bytes) else made.encode())

    code = await flood(raw, seconds, FLOOD_PER_S, move)
    raw.abort()
    outcome.met(code)
    outcome.must(code == 4504, f"a flood of moves ended with {code}")


async def ping_flood(target: Target, seconds: float, outcome: Outcome) -> None:
    """Control frames cost the server an answer each: 4504."""
    async with target.socket() as raw:
        code = await flood(raw, seconds, FLOOD_PER_S, lambda _: frame(PING, b"x" * 125))
        outcome.met(code)
        outcome.must(code == 4504, f"a flood of pings ended with {code}")


async def method_spray(target: Target, seconds: float, outcome: Outcome) -> None:
    """Names of methods tried out: too many errors (4502) or too fast (4504)."""
    async with target.socket() as raw:
        code = await flood(raw, seconds, 200.0, lambda number: ask(number, f"admin.try{number}"))
        outcome.met(code)
        outcome.must(code in (4502, 4504), f"a spray of methods ended with {code}")


async def one_byte_too_many(target: Target, seconds: float, outcome: Outcome) -> None:
    """Frames of 64 KiB and one byte: 1009, whatever they are."""
    for opcode in (TEXT, BINARY):
        async with target.socket() as raw:
            raw.send(frame(opcode, b"x" * (64 * 1024 + 1)))
            code = await raw.closed()
            outcome.met(code)
            outcome.must(code == 1009, f"64 KiB and one byte ended with {code}")


async def endless_fragments(target: Target, seconds: float, outcome: Outcome) -> None:
    """A message that never ends: 1009 when it is too big, 4504 when its fragments are too many."""
    for size in (4_096, 1):
        fragment = frame(CONTINUATION, b" " * size, fin=False)
        async with target.socket() as raw:
            raw.send(frame(TEXT, b"{", fin=False))
            code = await flood(raw, seconds / 2, FLOOD_PER_S, partial(_same, fragment))
            outcome.met(code)
            outcome.must(code in (1009, 4504), f"fragments of {size} bytes without end ended with {code}")


def _same(data: bytes, _number: int) -> bytes:
    return data


async def compressed_bombs(target: Target, seconds: float, outcome: Outcome) -> None:
    """Batches that say less than they inflate to, and compressed frames that nobody agreed on (1002)."""
    plain = bytes(100 * 1024 * 1024)
    packed = zlib.compress(plain, 9)[:60_000]
    for size in (1, 1_000_000, 2**31 - 1):
        async with target.socket(subprotocol="") as raw:
            batch = pb.BatchMessage(compressed=True, original_size=size, payload=packed)
            raw.send(frame(BINARY, pb.WebSocketMessage(jsonrpc="2.0", batch=batch).SerializeToString()))
            await _refused(raw)
            outcome.met("error")
    async with target.socket() as raw:
        raw.send(frame(TEXT, zlib.compress(b"{}"), reserved=0b100))
        code = await raw.closed()
        outcome.met(code)
        outcome.must(code == 1002, f"a frame with a reserved bit ended with {code}")


async def _refused(raw: Raw) -> None:
    """Until an error is answered, in whichever framing, or the socket is closed. Raises TimeoutError."""
    while True:
        opcode, payload = await raw.read()
        if opcode == CLOSE or (opcode == TEXT and b'"error"' in payload):
            return
        if opcode == BINARY and pb.WebSocketMessage.FromString(payload).response.HasField("error"):
            return


async def deep_json(target: Target, seconds: float, outcome: Outcome) -> None:
    """Brackets 30,000 deep, which fit into a frame, and 100,000, which do not."""
    for depth in (500, 30_000):
        async with target.socket() as raw:
            params = b'{"echo":' + b"[" * depth + b"]" * depth + b"}"
            raw.send(frame(TEXT, b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":%s}' % params))
            said = orjson.loads(await _first_answer(raw))
            code = said.get("error", {}).get("code")
            outcome.met(code)
            outcome.must(code in (-32700, -32600, -32602), f"{depth} brackets were answered with {said}")
    async with target.socket() as raw:
        raw.send(frame(TEXT, b"[" * 100_000))
        code = await raw.closed()
        outcome.met(code)
        outcome.must(code == 1009, f"100,000 brackets ended with {code}")


async def _first_answer(raw: Raw) -> bytes:
    while True:
        opcode, payload = await raw.read()
        if opcode == CLOSE:
            return b'{"error":{"code":%d}}' % int.from_bytes(payload[:2], "big")
        if b'"method"' not in payload:
            return payload


async def signed_replays(target: Target, seconds: float, outcome: Outcome) -> None:
    """A signed message once more, one that was changed, and one without its signature: 4505."""
    for name in ("replayed", "changed", "unsigned"):
        signer = ClientSigner()
        async with target.socket(sec_websocket_protocol=f"rayrealm.v1+json, rayrealm.sign.{signer.offer}") as raw:
            _, first = await raw.read()
            ready = orjson.loads(first)["params"]
            signer.agree(first, ready["session_id"], ready["signing"])
            plain = '{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"echo":1}}'
            sealed = str(signer.seal(plain)).encode()
            raw.send(frame(TEXT, sealed.replace(b'"echo":1', b'"echo":2') if name == "changed" else sealed))
            if name == "replayed":
                raw.send(frame(TEXT, sealed))
            elif name == "unsigned":
                raw.send(frame(TEXT, plain.encode()))
            code = await raw.closed()
            outcome.met(code)
            outcome.must(code == 4505, f"a {name} message ended with {code}")
