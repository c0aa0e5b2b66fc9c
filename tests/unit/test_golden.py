"""Every golden frame says the same to the Python client and to the gateway; the browser's client has its own test."""

from __future__ import annotations

import importlib
import json
import math
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest
from google.protobuf import any_pb2, struct_pb2

from rayrealm_client import codec
from rayrealm_client.codec import Failure, Notification, OwnMove, Request, Result
from rayrealm_client.errors import CodecError
from rayrealm_client.scene import Scene
from rayrealm_client.view import Correction, Move, Place, Position, Reset, State, View
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway import messages as gateway
from serve_apps.gateway.views import View as GatewayView

ROOT = Path(__file__).parents[2]
MOVE = "world.position.update"
PLACE_ROW, MOVE_ROW = struct.Struct("<HHiiiH"), struct.Struct("<HBbbbH")
XYZ, DXYZ = ("x", "y", "z"), ("dx", "dy", "dz")


def load(name: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads((ROOT / "proto/golden" / name).read_text())
    return made


TO_SERVER, TO_CLIENT = load("to_server.json"), load("to_client.json")


def named(vectors: list[dict[str, Any]], *having: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in vectors if all(member in vector for member in having)]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[vector["name"] for vector in chosen])


def frame(vector: dict[str, Any]) -> str | bytes:
    made: str | bytes = vector["text"] if "text" in vector else bytes.fromhex(vector["hex"])
    return made


def generator() -> ModuleType:
    """A script among others that it imports."""
    return importlib.import_module("golden")


def test_the_files_are_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    for name, content in generator().files().items():
        assert (ROOT / "proto/golden" / name).read_text() == content, f"{name}: run scripts/generate-golden"


def test_names_are_unique() -> None:
    for vectors in (TO_SERVER, TO_CLIENT):
        assert len({vector["name"] for vector in vectors}) == len(vectors)


# --- the Python client ---------------------------------------------------------------------------------------------


def client_item(item: dict[str, Any]) -> codec.Item:
    """What the client's codec calls it."""
    match item["kind"]:
        case "request":
            return Request(item["id"], item["method"], item["params"])
        case "notification":
            return Notification(item["method"], item["params"], item.get("seq"))
        case "move":
            return OwnMove(item["x"], item["y"], item["z"], item["yaw"], item["sequence"])
        case "result":
            return Result(item["id"], item["value"])
        case "error":
            return Failure(item["id"], item["code"], item["message"], item["data"])
    c = item["correction"]
    return View(
        item["tick"],
        item["ack"],
        tuple(Place(p["number"], p["sequence"], *in_cm(p, XYZ), p["yaw"]) for p in item["places"]),
        tuple(Move(m["number"], m["sequence"], *in_cm(m, DXYZ), m["yaw"]) for m in item["moves"]),
        tuple(State(**{**UNNAMED, **state}) for state in item["states"]),
        tuple(item["leaves"]),
        None if item["reset"] is None else Reset(**item["reset"]),
        None if c is None else Correction(c["sequence"], Position(**c["position"]), c["reason"], c["yaw"]),
    )


UNNAMED = {"entity_id": "", "entity_type": "", "name": ""}  # a change is


def in_cm(row: dict[str, Any], axes: tuple[str, ...]) -> list[int]:
    return [round(row[axis] * 100) for axis in axes]


def same(left: Any, right: Any) -> bool:
    """Equal; yaws are known in steps, their last bit as a float is not."""
    if isinstance(left, View) and isinstance(right, View):
        pairs = [*zip(left.places, right.places, strict=True), *zip(left.moves, right.moves, strict=True)]
        near = all(a[:5] == b[:5] and math.isclose(a.yaw, b.yaw, abs_tol=1e-9) for a, b in pairs)
        rest = ("tick", "ack", "states", "leaves", "reset", "correction")
        return near and all(getattr(left, name) == getattr(right, name) for name in rest)
    return bool(left == right)


class TestPythonClient:
    @named(TO_SERVER + TO_CLIENT, "items")
    def test_reads(self, vector: dict[str, Any]) -> None:
        items, expected = codec.decode(frame(vector)), [client_item(item) for item in vector["items"]]
        assert len(items) == len(expected)
        assert all(map(same, items, expected)), items

    @named(TO_CLIENT, "refused")
    def test_refuses(self, vector: dict[str, Any]) -> None:
        with pytest.raises(CodecError):
            codec.decode(frame(vector))

    @named(TO_CLIENT, "unheld")
    def test_refuses_what_it_does_not_hold(self, vector: dict[str, Any]) -> None:
        (view,) = codec.decode(frame(vector))
        assert isinstance(view, View)
        with pytest.raises(CodecError):
            Scene().apply(view)

    @named([v for v in TO_CLIENT if v["name"].endswith("view: everything")], "items")
    def test_applies(self, vector: dict[str, Any]) -> None:
        (view,) = codec.decode(frame(vector))
        assert isinstance(view, View)
        scene = Scene()
        scene.apply(view)
        seen = {n: (e.cm, e.sequence, e.version, e.properties, e.link_dead) for n, e in scene.entities.items()}
        assert seen == {
            258: ((202, 193, -301), 772, 4, {"at": {"x": None}}, False),
            0: ((0, 0, 0), 0, 2**32 - 1, {"é": [1, "two"]}, True),
            65_535: ((2**31 - 129, -(2**31) + 127, 39_976), 65_535, 1, {"of": None}, False),
            7: (None, 0, 2, {}, False),
        }
        assert (scene.zone, scene.epoch, scene.number) == ("zon_meadow", 2**32 + 1, 65_534)

    @named([v for v in TO_SERVER if v["name"] not in ("typed move", "typed text move")], "items")
    def test_writes(self, vector: dict[str, Any]) -> None:
        """The client has one way to say a move, and reads the others."""
        items = [client_item(item) for item in vector["items"]]
        framing: codec.Framing = "json" if "text" in vector else "proto"
        made = codec.encode_batch(items, framing) if "batch" in vector else codec.encode(items[0], framing)
        if isinstance(made, str):
            assert with_params(json.loads(made)) == with_params(json.loads(vector["text"]))
        else:
            assert canonical(made) == canonical(bytes.fromhex(vector["hex"]))


def with_params(document: Any) -> Any:
    """An absent `params` is an empty one."""
    if isinstance(document, list):
        return [with_params(one) for one in document]
    return {"params": {}, **document}


def canonical(data: bytes) -> pb.WebSocketMessage:
    """Inflated, the members of objects sorted, and empty params left out: what differs then says something else."""
    made = pb.WebSocketMessage.FromString(data)
    if made.batch.compressed:
        plain = codec.inflate(made.batch.payload, made.batch.original_size)
        made.batch.CopyFrom(pb.BatchMessage.FromString(plain))
    for one in (made, *made.batch.messages):
        match one.WhichOneof("message_type"):
            case "request" | "notification" as kind:
                body = getattr(one, kind)
                sort(body.params)
                if not body.params.value:
                    body.ClearField("params")
            case "response":
                sort(one.response.result if one.response.HasField("result") else one.response.error.data)
    return made


def sort(packed: any_pb2.Any) -> None:
    struct_made = struct_pb2.Struct()
    if packed.Unpack(struct_made):
        packed.value = struct_made.SerializeToString(deterministic=True)


# --- the gateway ---------------------------------------------------------------------------------------------------


def read_by_gateway(vector: dict[str, Any]) -> gateway.Decoded:
    if "text" in vector:
        return json_framing.decode(vector["text"].encode(), 50)
    return proto_framing.decode(proto_framing.parse(bytes.fromhex(vector["hex"])), 50, 1024 * 1024)


def call(item: dict[str, Any]) -> gateway.Call:
    if item["kind"] == "move":
        place = {axis: item[axis] for axis in "xyz"}
        params = {"position": place, "rotation": {"yaw": item["yaw"]}, "sequence": item["sequence"]}
        return gateway.Call(MOVE, params, gateway.NO_ID)
    request_id = item["id"] if item["kind"] == "request" else gateway.NO_ID
    return gateway.Call(item["method"], item["params"], request_id)


def gateway_view(item: dict[str, Any]) -> GatewayView:
    moves, places = (
        b"".join(
            row.pack(said["number"], said["sequence"], *in_cm(said, axes), round(said["yaw"] / math.tau * 65_536))
            for said in item[name]
        )
        for name, row, axes in (("moves", MOVE_ROW, DXYZ), ("places", PLACE_ROW, XYZ))
    )
    states = [
        pb.EntityState(
            **{name: value for name, value in state.items() if name != "properties"},
            properties_json=json.dumps(state["properties"]) if state["properties"] else "",
        ).SerializeToString()
        for state in item["states"]
    ]
    reset, c = item["reset"], item["correction"]
    return GatewayView(
        item["tick"].to_bytes(4, "little"),
        item["ack"].to_bytes(4, "little"),
        moves,
        states,
        item["leaves"],
        None if reset is None else pb.ViewReset(zone_id=reset["zone"], epoch=reset["epoch"], number=reset["number"]),
        b""
        if c is None
        else pb.Correction(
            sequence=c["sequence"], position=pb.Vector3(**c["position"]), reason=c["reason"], yaw=c["yaw"]
        ).SerializeToString(),
        places=places,
    )


def written_by_gateway(item: dict[str, Any], text: bool) -> bytes:
    framing: Any = json_framing if text else proto_framing
    match item["kind"]:
        case "result":
            made: bytes = framing.encode_answers([gateway.Result(item["value"], item["id"])], False)
        case "error":
            fault = gateway.Fault(gateway.Code(item["code"]), item["data"] or {}, item["id"])
            made = framing.encode_answers([fault], False)
        case "notification":
            params = orjson.dumps(item["params"])
            if "seq" in item:
                made = framing.numbered(framing.notification_body(item["method"], params), item["seq"])
            else:
                made = framing.encode_notification(item["method"], params)
        case _:
            view = gateway_view(item)
            made = json_framing.encode_notification("world.view", view.to_json()) if text else view.to_proto()
    return made


class TestGateway:
    @named(TO_SERVER, "items")
    def test_reads(self, vector: dict[str, Any]) -> None:
        decoded = read_by_gateway(vector)
        assert decoded == gateway.Decoded(tuple(call(item) for item in vector["items"]), "batch" in vector)

    @named(TO_SERVER, "code")
    def test_refuses(self, vector: dict[str, Any]) -> None:
        (fault,) = read_by_gateway(vector).items
        assert isinstance(fault, gateway.Fault)
        assert (fault.code, fault.id) == (vector["code"], vector.get("id"))

    @named([vector for vector in TO_CLIENT if "batch" not in vector], "items")
    def test_writes(self, vector: dict[str, Any]) -> None:
        made = written_by_gateway(vector["items"][0], "text" in vector)
        if "text" not in vector:
            assert canonical(made) == canonical(bytes.fromhex(vector["hex"]))
            return
        said, expected = json.loads(made), json.loads(vector["text"])
        if said.get("method") == "world.view":  # an empty list may be absent
            for name in ("places", "moves"):
                rows, wanted = said["params"].pop(name, []), expected["params"].pop(name, [])
                for mine, theirs in zip(rows, wanted, strict=True):
                    assert mine == pytest.approx(theirs, abs=1e-9)
        assert said == expected
