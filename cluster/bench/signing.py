"""What signed messages cost, by size (row 6.1): in this process and on one thread, no realm."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cluster.bench.wire import MIN_SEQUENCE, encode_moves
from cluster.security_settings import SigningSettings
from cluster.settings import GatewaySettings
from rayrealm_client.signing import TO_CLIENT, TO_SERVER, Agreement, Opener, Sealer, encode, read_point

# What is measured is above this layer, and known to it by name only.
CONNECTION = "serve_apps.gateway.connection:Connection"
SIGNER = "serve_apps.gateway.signing:ServerSigner"
FRAMING = "serve_apps.gateway.messages:Framing"
SIZES = {"move": 32, "view": 256, "answer": 4_096, "largest": 65_536}
ROUNDS = 7
KEY = bytes(range(32))


def run_signing(messages: int) -> dict[str, Any]:
    """Microseconds, the median of ROUNDS rounds of `messages` messages each; `agreements` a hundredth of that."""
    agreements = max(1, messages // 100)
    return {
        "messages": messages,
        "rounds": ROUNDS,
        "us_by_size": {name: _sized(size, messages) for name, size in SIZES.items()},
        "us_of_a_move_in": {
            "not_signed": _moves(messages, signed=False),
            "signed": _moves(messages, signed=True),
        },
        "us_of_an_upgrade": _agreement(agreements),
    }


def _sized(size: int, messages: int) -> dict[str, float]:
    """To sign a message, and to verify it, in both framings."""
    message = b"x" * size
    few = max(1, messages * SIZES["view"] // max(size, SIZES["view"]))
    made: dict[str, float] = {"bytes": size}
    for kind in ("binary", "text"):
        sealer = Sealer(KEY, TO_CLIENT)
        made[f"sign_{kind}"] = _median(getattr(sealer, kind), [message] * few)

        def fresh(kind: str = kind) -> tuple[Callable[[bytes], bytes], list[bytes]]:
            sealer, opener = Sealer(KEY, TO_SERVER), Opener(KEY, TO_SERVER, follows=False)
            return getattr(opener, kind), [getattr(sealer, kind)(message) for _ in range(few)]

        made[f"verify_{kind}"] = _median_of(fresh)
    return made


def _moves(messages: int, *, signed: bool) -> float:
    """From a frame to a row for the zone: the gateway's connection machine, with a signature and without."""
    connection_of, signer_of, framing = _load(CONNECTION), _load(SIGNER), _load(FRAMING).PROTO
    sequences = np.arange(MIN_SEQUENCE, MIN_SEQUENCE + messages)
    place = np.array([[1.0], [0.0], [2.0], [0.5]], np.float32)
    rows = encode_moves(sequences, *place)
    plain = [row.tobytes() for row in rows]
    settings = SigningSettings()

    def fresh() -> tuple[Callable[[bytes], object], list[bytes]]:
        frames, signer = plain, None
        if signed:
            client = Agreement()
            signer = signer_of(encode(client.public), "ses_1", 1, settings, 0.0)
            ready = signer.seal(b"ready", False)
            keys = client.as_client(read_point(signer.offer()["public"]), ready, "ses_1", 1)
            sealer = Sealer(keys.client, TO_SERVER)
            frames = [sealer.binary(frame) for frame in plain]
        connection = connection_of(framing, GatewaySettings(), 0.0, signer=signer)
        connection.entity = 7
        return (lambda frame: connection.binary(frame, True, 0.0)), frames

    return _median_of(fresh)


def _agreement(count: int) -> float:
    """What a gateway does more for a socket that signs: check a point, make a key pair, derive."""
    offer = encode(Agreement().public)

    def agree(ready: bytes) -> object:
        point = read_point(offer)
        return Agreement().as_server(point, ready, "ses_1", 1)

    return _median(agree, [b"x" * 1_000] * count)


def _median(work: Callable[[bytes], object], inputs: list[bytes]) -> float:
    return _median_of(lambda: (work, inputs))


def _median_of(fresh: Callable[[], tuple[Callable[[bytes], object], list[bytes]]]) -> float:
    """Microseconds of CPU for one call. Each round has state of its own, made before it is measured."""
    spent = []
    for _ in range(ROUNDS):
        work, inputs = fresh()
        began = time.thread_time_ns()
        for each in inputs:
            work(each)
        spent.append((time.thread_time_ns() - began) / len(inputs) / 1_000)
    return round(statistics.median(spent), 2)


def _load(name: str) -> Any:
    module, _, member = name.partition(":")
    return getattr(importlib.import_module(module), member)
