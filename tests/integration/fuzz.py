"""Frames that are nearly right, from a seed."""

from __future__ import annotations

import math
import random
import zlib
from typing import Any

import orjson

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.typed import to_any
from tests.integration.bad_input import URL
from tests.wire import BINARY, CONTINUATION, PING, TEXT, frame


class Fuzz:
    """`character`: one that the client may enter with."""

    METHODS = (
        "system.ping", "system.info", "system.subscribe", "system.unsubscribe", "character.list", "world.zones",
        "world.enter", "world.leave", "world.position.update", "world.position.batch", "state.sync.request",
        "state.sync.delta", "presence.update", "presence.subscribe", "presence.unsubscribe", "chat.channel.join",
        "chat.channel.leave", "chat.message", "chat.channel.members", "chat.channel.create", "chat.channel.change",
        "chat.channel.invite", "chat.history", "chat.inbox", "chat.read", "chat.delete", "chat.mute", "no.such.method",
    )  # fmt: skip
    NAMES = (
        "echo", "topics", "character_id", "zone", "position", "rotation", "sequence", "updates", "entity_id", "version",
        "properties", "status", "user_ids", "channel", "text", "x", "y", "z", "yaw", "@type", "value", "",
        "cursor", "limit", "client_id", "message_ids", "seconds",
    )  # fmt: skip

    def __init__(self, seed: int, character: str) -> None:
        self.rng = random.Random(seed)
        self.scalars: tuple[Any, ...] = (
            None, True, False, 0, 1, -1, 2, 1.5, -0.0, 1e300, 2**31, 2**32, 2**53, 2**63, "", "a", "hall", "news", "é\0",
            "x" * 600, "online", "zon_meadow", "usr_walker", "ent_x", character, URL + "PositionUpdate", "AAAA", "NaN",
        )  # fmt: skip

    def value(self, depth: int = 0) -> Any:
        rng = self.rng
        kind = rng.random()
        if kind < 0.6 or depth > 4:
            return rng.choice(self.scalars)
        if kind < 0.8:
            return [self.value(depth + 1) for _ in range(rng.randrange(4))]
        return {rng.choice(self.NAMES): self.value(depth + 1) for _ in range(rng.randrange(4))}

    def good(self, method: str) -> dict[str, Any]:
        """Params that are often right."""
        rng, number = self.rng, self.rng.randrange(1, 2**32)
        place = {"position": {"x": rng.uniform(-10, 210), "y": 0, "z": rng.uniform(-10, 210)}, "sequence": number}
        params: dict[str, dict[str, Any]] = {
            "world.enter": {"character_id": self.scalars[-4]},
            "world.position.update": place,
            "world.position.batch": {"updates": [place] * rng.randrange(1, 4)},
            "state.sync.delta": {"entity_id": "ent_" + self.scalars[-4][4:], "version": 1, "properties": {"a": self.value()}},
            "presence.update": {"status": rng.choice(["online", "busy", "invisible"])},
            "presence.subscribe": {"user_ids": ["usr_walker"]},
            "presence.unsubscribe": {"user_ids": ["usr_walker"]},
            "system.subscribe": {"topics": ["news"]},
            "system.unsubscribe": {"topics": ["news"]},
            "chat.channel.join": {"channel": "fuzz"},
            "chat.channel.leave": {"channel": "fuzz"},
            "chat.message": {"channel": rng.choice(["fuzz", "say", "zone", "direct:usr_walker"]), "text": "hello"},
            "chat.channel.members": {"channel": "fuzz"},
            "chat.channel.create": {"channel": f"fuzz{number}"},
            "chat.channel.change": {"channel": "fuzz", "slow_s": 1},
            "chat.channel.invite": {"channel": "fuzz", "user_id": "usr_walker"},
            "chat.history": {"channel": "fuzz"},
            "chat.read": {"message_ids": ["msg_0123456789abcdef"]},
            "chat.delete": {"channel": "fuzz", "message_id": "msg_0123456789abcdef"},
            "chat.mute": {"channel": "fuzz", "user_id": "usr_walker", "seconds": 1},
        }  # fmt: skip
        return params.get(method, {})

    def request(self) -> Any:
        rng = self.rng
        method = rng.choice(self.METHODS)
        made: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": self.good(method)}
        if rng.random() < 0.8:
            made["id"] = rng.choice([1, "a", 0, "", None, 1.5, rng.randrange(2**63)])
        if rng.random() < 0.5:
            made["params"][rng.choice(self.NAMES)] = self.value()
        if rng.random() < 0.2:
            made[rng.choice(["jsonrpc", "method", "params", "id", "extra"])] = self.value()
        return made

    def damaged(self, data: bytes) -> bytes:
        rng, made = self.rng, bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(made) + 1)
            how = rng.random()
            if how < 0.4 and at < len(made):
                made[at] = rng.randrange(256)
            elif how < 0.7:
                made[at:at] = rng.randbytes(rng.randrange(4))
            else:
                del made[at : at + rng.randrange(1, 6)]
        return bytes(made)

    def json(self) -> bytes:
        rng = self.rng
        document = self.request() if rng.random() < 0.7 else [self.request() for _ in range(rng.randrange(6))]
        data = orjson.dumps(document)
        if rng.random() < 0.2:
            data = self.damaged(data).decode(errors="replace").encode()
        return data

    def proto_message(self) -> pb.WebSocketMessage:
        rng = self.rng
        kind = rng.random()
        if kind < 0.3:
            floats = [1.0, 100.0, math.nan, math.inf, 3e38, -1.0]
            x, z, yaw = (rng.choice(floats) for _ in range(3))
            update = pb.PositionUpdate(position=pb.Vector3(x=x, z=z), sequence=rng.randrange(2**32))
            update.rotation.yaw = yaw
            return pb.WebSocketMessage(move=update)
        method = rng.choice(self.METHODS)
        message = pb.WebSocketMessage(jsonrpc=rng.choice(["2.0", "2.0", "2.0", ""]))
        if rng.random() < 0.8:
            message.id_number = rng.randrange(-(2**63), 2**63)
            body = message.request
        else:
            body = message.notification  # type: ignore[assignment]
        body.method = method
        params = self.good(method)
        if rng.random() < 0.4:
            params[rng.choice(self.NAMES)] = self.value()
        body.params.CopyFrom(to_any(params))
        if rng.random() < 0.1:
            body.params.type_url = rng.choice([URL + "StateSync", URL + "PresenceUpdate", URL + "PositionBatch", "x"])
        return message

    def proto(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.7:
            data = self.proto_message().SerializeToString()
        else:
            batch = pb.BatchMessage(messages=[self.proto_message() for _ in range(rng.randrange(5))])
            if kind < 0.85:
                plain = batch.SerializeToString()
                if rng.random() < 0.2:
                    plain = self.damaged(plain)
                batch = pb.BatchMessage(compressed=True, original_size=len(plain), payload=zlib.compress(plain))
            data = pb.WebSocketMessage(batch=batch).SerializeToString()
        return self.damaged(data) if rng.random() < 0.2 else data

    def stream(self) -> bytes:
        """What goes over the socket: mostly whole frames, sometimes in fragments."""
        rng = self.rng
        opcode, payload = (TEXT, self.json()) if rng.random() < 0.5 else (BINARY, self.proto())
        if rng.random() < 0.1:
            at = rng.randrange(len(payload) + 1)
            return frame(opcode, payload[:at], fin=False) + frame(PING) + frame(CONTINUATION, payload[at:])
        return frame(opcode, payload)
