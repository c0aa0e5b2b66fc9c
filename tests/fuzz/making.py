"""Inputs from a seed: what is nearly right, made by rules; what is wrong in a known way; and either of them damaged."""

from __future__ import annotations

import base64
import random
import re
import re._parser as patterns  # type: ignore[import-untyped]
from functools import cache
from typing import Any

import orjson
from google.protobuf import struct_pb2

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.router import Router
from serve_apps.gateway.typed import DECODERS, STRUCT
from serve_apps.gateway.varint import varint
from tests.integration.fuzz import Fuzz

CHARACTER = "chr_fuzz"
TEXTS = (
    "", "a", "hello", "a < b && c", "<b>bold</b>", "<script>x</script>", "&lt;b&gt;", "&amp;lt;i", "\u202egnp.exe", "e\u0301",
    "👩\u200d👩\u200d👧", "שָׁלוֹם", "\x00", "\ufeff", "x" * 64, "x" * 65, "x" * 501, "龍" * 60, "<a href='", "&#60;", "news", "hall",
    "direct:usr_walker", "say", "zone", "global", "%s", "../..", "1e999",
)  # fmt: skip
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 50, 100, 101, 2**31, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 0.5, -0.0, 5.0, 1e9, 1.1e9,
    -1e9, 1e-320, 1.7976931348623157e308, 5e-324,
)  # fmt: skip
JSON_BITS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"1e999", b"-", b"9" * 40, b"0.1e-400",
    b"null", b"true", b"NaN", b'"id":', b'"params":', b'"@type":', b'"method":', b'"jsonrpc":"2.0"', b"\xff", b"\xc3", b"[" * 70,
)  # fmt: skip
PROTO_BITS = (
    b"\x0a\x00", b"\x4a\x00", b"\x0a\x032.0", b"\xff" * 10, b"\x80" * 11 + b"\x01", b"\x22\x00", b"\x3a\x00", b"\x32\x00",
    b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"\x0c", b"\x00", b"\x18\x01",
)  # fmt: skip


@cache
def pieces(pattern: str) -> Any:
    return patterns.parse(pattern)


class Making:
    """`router`: whose methods are called."""

    def __init__(self, rng: random.Random, router: Router) -> None:
        self.rng = rng
        self.fuzz = Fuzz(rng.randrange(2**32), CHARACTER)
        self.fuzz.rng = rng
        self.schemas = {name: route.params.model_json_schema() for name, route in router._routes.items()}
        self.methods = sorted(self.schemas)

    # --- values ------------------------------------------------------------------------------------------------

    def matching(self, parsed: Any) -> str:
        """A text that a pattern allows."""
        rng, made = self.rng, ""
        for kind, what in parsed:
            match str(kind):
                case "LITERAL":
                    made += chr(what)
                case "IN":
                    low, high = rng.choice([(w, w) if str(k) == "LITERAL" else w for k, w in what])
                    made += chr(rng.randint(low, high))
                case "MAX_REPEAT":
                    least, most, inner = what
                    times = rng.choice([least, min(most, least + 8), min(int(most), 64)])
                    made += "".join(self.matching(inner) for _ in range(times))
                case "SUBPATTERN":
                    made += self.matching(what[3])
                case "BRANCH":
                    made += self.matching(rng.choice(what[1]))
        return made

    def good(self, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
        """A value that fits the schema, often at one of its bounds."""
        rng = self.rng
        if "bounded" in schema:
            return self.fuzz.value()
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            return self.good(rng.choice(schema["anyOf"]), definitions)
        if "enum" in schema or "const" in schema:
            return rng.choice(schema.get("enum") or [schema.get("const")])
        match schema.get("type"):
            case "string":
                if "pattern" in schema:
                    return self.matching(pieces(schema["pattern"]))
                least, most = schema.get("minLength", 0), schema.get("maxLength", 64)
                return rng.choice([rng.choice(TEXTS)[:most].ljust(least, "a"), "x" * least, "é" * min(most, 600)])
            case "integer" | "number":
                low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
                high = schema.get("maximum", schema.get("exclusiveMaximum", 2**53) - 1)
                number = rng.choice([low, high, rng.uniform(low, high), (low + high) / 2])
                return int(number) if schema["type"] == "integer" else number
            case "boolean":
                return rng.random() < 0.5
            case "array":
                most = rng.choice([schema.get("minItems", 0), min(schema.get("maxItems", 3), 3), rng.randrange(1, 8)])
                return [self.good(schema["items"], definitions) for _ in range(most)]
            case "object" if "additionalProperties" in schema:
                names = rng.sample(TEXTS, rng.randrange(1, 4))
                return {name: self.good(schema["additionalProperties"], definitions) for name in names}
            case "object":
                wanted = set(schema.get("required", ()))
                members = {n: s for n, s in schema.get("properties", {}).items() if n in wanted or rng.random() < 0.5}
                return {name: self.good(member, definitions) for name, member in members.items()}
        return None

    def wrong(self, value: Any) -> Any:
        """Another value, or the same with something in it replaced."""
        rng = self.rng
        if isinstance(value, dict) and value and rng.random() < 0.8:
            name = rng.choice(sorted(value))
            how = rng.random()
            if how < 0.15:
                return {n: v for n, v in value.items() if n != name}
            if how < 0.3:
                return {**value, rng.choice(Fuzz.NAMES): self.fuzz.value()}
            return {**value, name: self.wrong(value[name])}
        if isinstance(value, list) and value and rng.random() < 0.7:
            at = rng.randrange(len(value))
            if rng.random() < 0.2:
                return value * rng.choice([2, 20, 70])
            return [*value[:at], self.wrong(value[at]), *value[at + 1 :]]
        if isinstance(value, str) and rng.random() < 0.6:
            at = rng.randrange(len(value) + 1)
            return value[:at] + rng.choice(TEXTS) + value[at:]
        if isinstance(value, int | float) and rng.random() < 0.5:
            number = value + rng.choice([1, -1, 0.5, 2**32])
            return number if -(2**63) <= number < 2**64 else float(number)
        return rng.choice([self.fuzz.value(), rng.choice(NUMBERS), rng.choice(TEXTS), None, [], {}])

    def params(self) -> tuple[str, Any]:
        method = self.rng.choice(self.methods)
        schema = self.schemas[method]
        made = self.good(schema, schema.get("$defs", {}))
        for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
            made = self.wrong(made)
        return method, made if isinstance(made, dict) else {}

    # --- frames ------------------------------------------------------------------------------------------------

    def damaged(self, data: bytes, bits: tuple[bytes, ...]) -> bytes:
        rng = self.rng
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(data) + 1)
            how = rng.random()
            if how < 0.5:
                data = data[:at] + rng.choice(bits) + data[at + rng.choice([0, 0, 1, 4]) :]
            elif how < 0.7:
                part = data[at : at + rng.randrange(1, 40)]
                data = data[:at] + part * rng.choice([2, 3, 50]) + data[at:]
            else:
                data = self.fuzz.damaged(data)
        return data[:65_536]

    def call(self) -> dict[str, Any]:
        if self.rng.random() < 0.3:
            request = self.fuzz.request()
            return request if isinstance(request, dict) else {}
        method, params = self.params()
        call = {"jsonrpc": "2.0", "method": method, "params": params, "id": self.rng.choice([1, "a", None, 1.5, 2**63])}
        if self.rng.random() < 0.1:
            url, data = self.typed()
            call["params"] = {"@type": url, "value": base64.b64encode(data).decode()}
        return call

    def json(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.01:
            return self.nasty_json()
        document: Any = self.call() if kind < 0.8 else [self.call() for _ in range(rng.choice([0, 1, 2, 4, 51]))]
        data = orjson.dumps(document)
        return self.damaged(data, JSON_BITS) if rng.random() < 0.5 else data

    def nasty_json(self) -> bytes:
        rng = self.rng
        unit = rng.choice(
            [b"[]", b"{}", b"1", b'{"a":1}', b'"a"', b"[" * 40 + b"]" * 40, b"1e308", b'"\\u00e9"', b"[[[]]]"]
        )
        head = b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"echo":['
        times = rng.choice([10, 1_000, 4_000, (65_536 - 80) // (len(unit) + 1)])
        return (head + b",".join([unit] * times) + b"]}}")[:65_536]

    def struct(self, depth: int = 0) -> struct_pb2.Struct:
        """With values that say nothing, numbers that are none, and some that nest."""
        rng, made = self.rng, struct_pb2.Struct()
        for _ in range(rng.randrange(4)):
            self.fill(made.fields[rng.choice((*Fuzz.NAMES, *TEXTS))], depth)
        return made

    def fill(self, value: struct_pb2.Value, depth: int) -> None:
        rng = self.rng
        match rng.randrange(8 if depth < 4 else 6):
            case 0:
                value.null_value = struct_pb2.NULL_VALUE
            case 1:
                value.number_value = rng.choice([*NUMBERS, float("nan"), float("inf")])
            case 2:
                value.string_value = rng.choice(TEXTS)
            case 3:
                value.bool_value = True
            case 4 | 5:
                value.SetInParent()
            case 6:
                for _ in range(rng.choice([0, 1, 3, 100])):
                    self.fill(value.list_value.values.add(), depth + 3)
            case 7:
                value.struct_value.CopyFrom(self.struct(depth + 1))

    def typed(self) -> tuple[str, bytes]:
        """A type that params may have, and bytes that are nearly of it."""
        rng = self.rng
        url = rng.choice(sorted(DECODERS))
        kind = rng.random()
        if kind < 0.5:
            url, data = STRUCT, self.struct().SerializeToString()
        elif kind < 0.6:
            sync = pb.StateSync(entity_id="ent_fuzz", version=1)
            inner = self.struct()
            for name in TEXTS[: rng.randrange(5)]:
                sync.properties[name].Pack(rng.choice([inner, struct_pb2.Value(struct_value=inner), pb.Vector3(x=1)]))
            url, data = url if rng.random() < 0.1 else DECODER_OF["StateSync"], sync.SerializeToString()
        elif kind < 0.7:
            update = pb.PositionUpdate(position=pb.Vector3(x=rng.uniform(-1e9, 1e9)), sequence=rng.randrange(2**32))
            times = rng.choice([1, 50, 51, 3_000])
            url, data = DECODER_OF["PositionBatch"], pb.PositionBatch(updates=[update] * times).SerializeToString()
        elif kind < 0.8:
            about = pb.PresenceUpdate(
                status=rng.randrange(7), text=rng.choice(TEXTS), metadata=dict.fromkeys(TEXTS[:5], "x")
            )
            url, data = DECODER_OF["PresenceUpdate"], about.SerializeToString()
        elif kind < 0.82:
            depth = rng.choice([10, 40, 60, 400])
            data = b""
            for _ in range(depth):
                data = b"\x32" + varint(len(data) + 1 + len(varint(len(data)))) + b"\x0a" + varint(len(data)) + data
        else:
            data = rng.randbytes(rng.randrange(40))
        return url, self.damaged(data, PROTO_BITS) if rng.random() < 0.4 else data

    def proto(self) -> bytes:
        rng = self.rng
        kind = rng.random()
        if kind < 0.4:
            data = self.fuzz.proto()
        else:
            message = pb.WebSocketMessage(jsonrpc="2.0", id_number=rng.randrange(2**40))
            message.request.method = rng.choice(self.methods)
            message.request.params.type_url, message.request.params.value = self.typed()
            if kind > 0.9:
                message = pb.WebSocketMessage(batch=pb.BatchMessage(messages=[message] * rng.choice([1, 3, 51])))
            data = message.SerializeToString()
        return self.damaged(data, PROTO_BITS) if rng.random() < 0.4 else data[:65_536]

    # --- a connection's life, and an upgrade -------------------------------------------------------------------

    def steps(self) -> bytes:
        """A framing, and rows of a kind, a wait in 0.25 s, and a payload with its length: see `targets.connection`."""
        rng = self.rng
        framing, made = rng.randrange(6), list[bytes]()

        def row(kind: int, payload: bytes) -> None:
            made.append(bytes([kind, rng.choice([0, 0, 0, 1, 40, 255])]) + len(payload).to_bytes(3, "big") + payload)

        for _ in range(rng.randrange(1, 9)):
            text = framing % 3 == 1 if rng.random() < 0.8 and framing % 3 else rng.random() < 0.5
            payload, kind = self.json() if text else self.proto(), rng.random()
            if kind < 0.6:
                row(0 if text else 1, payload)
            elif kind < 0.8:
                cut = rng.randrange(len(payload) + 1)
                row(6 if text else 4, payload[:cut])
                if rng.random() < 0.3:
                    row(5, b"")
                row(2, payload[cut:])
            elif kind < 0.9:
                row(rng.choice([7, 8]), b"")
            else:
                row(rng.randrange(9), rng.choice([b"", bytes(65_536), bytes(65_537), rng.randbytes(9), b"\xff"]))
        return bytes([framing]) + b"".join(made)

    def head(self) -> bytes:
        rng = self.rng
        token = rng.choice(["abc", "", "a.b.c", "%00", "x" * 2_000])
        target = rng.choice([
            f"/ws?token={token}", "/ws", "/ws/", f"/ws?session=ses_1&token={token}", f"/ws?last=a.1&recovery={token}",
            "//[", "/ws?" + "&" * 500, "/ws#x", "http://x/ws?token=a", f"/ws?token={token}&sign=BAAA", "/other", "*",
            f"/ws?token={token}&last=ff.9999999999999999999", "/ws?token=a&last=zz",
        ])  # fmt: skip
        lines = [f"{rng.choice(['GET', 'GET', 'GET', 'POST'])} {target} HTTP/1.1", "Host: x"]
        headers = [
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Upgrade: websocket",
            "Connection: Upgrade", "Authorization: Bearer " + token, "Cookie: a=b; rayrealm_token=" + token,
            "Sec-WebSocket-Protocol: rayrealm.v1+json, rayrealm.token." + token, "Origin: https://x", "X-Forwarded-For: 1.2.3.4",
            "Sec-WebSocket-Protocol: rayrealm.sign.BAAA,,", "Sec-WebSocket-Key: ?", "no colon", ": empty", "Cookie: ;;=;",
        ]  # fmt: skip
        needed = headers[:4] if rng.random() < 0.8 else []
        lines += [*needed, *rng.sample(headers, rng.randrange(5))]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if rng.random() < 0.5:
            return head
        first, rest = head.split(b"\r\n", 1)
        # The HTTP server has parsed the head: its first line has three words, and no line has a CR or LF of its own.
        return first + b"\r\n" + re.sub(rb"\r(?!\n)|(?<!\r)\n", b"", self.fuzz.damaged(rest))


DECODER_OF = {url.rpartition(".")[2]: url for url in DECODERS}
