"""What is fuzzed, and what may come of it: the outcomes that are documented, by name. Anything else that is raised is a finding."""

from __future__ import annotations

import html
import random
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import orjson
from pydantic import ValidationError

from actors.chat.text import clean
from cluster.errors import InvalidInput, RealmError
from cluster.settings import GatewaySettings
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Closing, Connection, Moved, Nothing, Received
from serve_apps.gateway.faults import to_fault
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.messages import (
    MAX_DEPTH,
    MAX_VALUES,
    NO_ID,
    BadParams,
    Call,
    Code,
    Decoded,
    Fault,
    Framing,
    Result,
    too_deep,
)
from serve_apps.gateway.router import MethodNotFound, Params, Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.typed import to_any, to_params
from serve_apps.gateway.upgrade import Refusal, parse_head, read
from tests.fuzz.making import TEXTS, Making
from tests.unit.serve_apps.gateway.fakes import a_client, a_world

LIMITS = GatewaySettings(max_errors_per_minute=20)
BATCH = LIMITS.max_batch
ROUTER = build_router()
SIZES = ROUTER.sizes
FRAMING_CODES = frozenset({Code.PARSE_ERROR, Code.INVALID_REQUEST, Code.INVALID_PARAMS})
MOST = 500


async def _taken(_services: Services, _client: Client, params: Params) -> dict[str, Any]:
    return params.model_dump(mode="json")


def checking() -> Router:
    """The gateway's methods and rules, with handlers that say what they got."""
    router = Router()
    for route in ROUTER._routes.values():
        router.add(route.method, route.params, _taken, route.states, route.max_bytes)
    return router


CHECKING = checking()
CLIENT: Client = a_client(world=a_world())[0]


def dispatched(call: Call) -> Result | Fault:
    """What the router says of it, as the dispatcher would."""
    running = CHECKING.dispatch(None, CLIENT, call.method, call.params)  # type: ignore[arg-type]
    answer_to = None if isinstance(call.id, type(NO_ID)) else call.id
    try:
        running.send(None)  # type: ignore[attr-defined]
    except StopIteration as done:
        return Result(done.value, answer_to)
    except MethodNotFound:
        return Fault(Code.METHOD_NOT_FOUND, {"method": call.method}, answer_to)
    except (ValidationError, RealmError) as error:
        return to_fault(error, answer_to, call.method)
    raise AssertionError("a handler that waits")


def count(value: Any) -> int:
    values, level = 0, [value]
    while level:
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict | list):
                inner += each.values() if isinstance(each, dict) else each
        values, level = values + len(inner), inner
    return values


def judged(decoded: Decoded) -> str:
    """All that a frame says is within the bounds, can be answered in both framings, and passes the router or is refused."""
    assert 0 < len(decoded.items) <= BATCH
    values, outcome = 0, ""
    answers: list[Result | Fault] = []
    for item in decoded.items:
        if isinstance(item, Fault):
            assert item.code in FRAMING_CODES
            answers.append(item)
            outcome = outcome or item.code.name
            continue
        assert not too_deep(item.params), MAX_DEPTH
        assert item.method in SIZES or item.params == {}
        values += count(item.params)
        answer = dispatched(item)
        answers.append(answer)
        outcome = outcome or ("taken" if isinstance(answer, Result) else answer.code.name)
    assert values <= MAX_VALUES + 8
    for framing in (json_framing, proto_framing):
        assert framing.encode_answers(answers, decoded.batch)
    return outcome


def json(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError:  # closed with 1007 before
        return "INVALID_TEXT"
    return judged(json_framing.decode(data, BATCH, SIZES))


def proto(data: bytes) -> str:
    message = proto_framing.parse(data)
    return judged(proto_framing.decode(message, BATCH, LIMITS.max_inflated_bytes, LIMITS.max_frame_bytes, SIZES))


def typed(data: bytes) -> str:
    """The name of the type, a NUL, and the bytes."""
    url, _, packed = data.partition(b"\0")
    try:
        params = to_params(url.decode(), packed)
    except BadParams:
        return "refused"
    assert count(params) <= MAX_VALUES + 8
    said = orjson.loads(orjson.dumps(params))
    again = to_any(said)
    assert to_params(again.type_url, again.value) == said
    return "taken"


def params(data: bytes) -> str:
    """`{"method", "params"}`."""
    said = orjson.loads(data)
    answer = dispatched(Call(said["method"], said["params"], 1))
    assert json_framing.encode_answers([answer], False)
    assert proto_framing.encode_answers([answer], False)
    return "taken" if isinstance(answer, Result) else answer.code.name


def connection(data: bytes) -> str:
    """The framing, and whether in the world (1 byte); then rows: a kind (1 byte), a wait in 0.25 s (1 byte), and a payload with its
    length (3 bytes).
    """
    framing = (None, Framing.JSON, Framing.PROTO)[data[0] % 3] if data else None
    machine, now, at, last = Connection(framing, LIMITS, 0.0, SIZES), 0.0, 1, "nothing"
    machine.entity = 3 if data[:1] >= b"\3" else None
    while at + 5 <= len(data):
        kind, wait, length = data[at], data[at + 1], int.from_bytes(data[at + 2 : at + 5], "big")
        payload, at, now = data[at + 5 : at + 5 + length], at + 5 + length, now + wait / 4
        if kind == 7:
            due = machine.sweep(now)
            if isinstance(due, Closing):
                return due.code.name
            continue
        if kind == 8:
            machine.entity = None if machine.entity else 3
            continue
        feed = (machine.text, machine.binary, machine.continuation)[kind % 3]
        event = feed(payload, kind < 4, now)
        assert machine._partial is None or len(machine._partial) <= LIMITS.max_frame_bytes
        if isinstance(event, Closing):
            assert len(event.reason) < 124
            return event.code.name
        assert isinstance(event, Moved | Received | Nothing)
        if isinstance(event, Received):
            judged(event.decoded)
        last = type(event).__name__
    return last


def upgrade(data: bytes) -> str:
    told = read(*parse_head(data))
    if isinstance(told, Refusal):
        assert told.body()
        return told.reason
    assert told.handshake().count(b"\r\n\r\n") == 1
    return "taken"


class _Tags(HTMLParser):
    """Counts all that is no text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append(data)

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)

    def handle_pi(self, data: str) -> None:
        self.found.append(data)

    def unknown_decl(self, data: str) -> None:
        self.found.append(data)


def markup(text: str) -> list[str]:
    """What an HTML parser finds beside text."""
    parser = _Tags()
    parser.feed(text)
    parser.close()
    return parser.found


def text(data: bytes) -> str:
    said = data.decode(errors="replace")
    try:
        shown = clean(said, MOST)
    except InvalidInput as refused:
        return refused.errors[0][1].split(" ")[0]
    assert clean(shown, MOST) == shown
    assert len(shown) <= MOST
    stage = shown
    for _ in range(8):
        assert markup(stage) == []
        stage = html.unescape(stage)
    return "changed" if shown != said else "kept"


def _text(making: Making) -> bytes:
    rng = making.rng
    bits = (
        *TEXTS,
        "<",
        ">",
        "&",
        "lt;",
        "amp;",
        "&#x3c;",
        "&LT",
        "b",
        "/",
        "!--",
        "-->",
        "svg",
        " ",
        "\u0301",
        "\u202e",
        "=",
        "'",
        '"',
        "<p",
        "<!",
    )
    return "".join(rng.choice(bits) for _ in range(rng.randrange(1, 14))).encode(errors="replace")


def _params(making: Making) -> bytes:
    """No more than a frame can hold."""
    while True:
        method, made = making.params()
        data = orjson.dumps({"method": method, "params": made})
        if len(data) <= LIMITS.max_frame_bytes:
            return data


@dataclass(frozen=True, slots=True)
class Target:
    """`run` gives the outcome's name. `share`: of all inputs."""

    make: Callable[[Making], bytes]
    run: Callable[[bytes], str]
    share: float


TARGETS = {
    "json": Target(Making.json, json, 0.2),
    "proto": Target(Making.proto, proto, 0.2),
    "typed": Target(lambda m: b"\0".join(part if isinstance(part, bytes) else part.encode() for part in m.typed()), typed, 0.15),
    "params": Target(_params, params, 0.25),
    "connection": Target(Making.steps, connection, 0.06),
    "upgrade": Target(Making.head, upgrade, 0.07),
    "text": Target(_text, text, 0.07),
}  # fmt: skip


def making(seed: int) -> Making:
    return Making(random.Random(seed), ROUTER)
