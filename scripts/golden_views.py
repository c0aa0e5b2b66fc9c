"""Views for golden.py: what they are in both framings, and what is none (PROTOCOL.md, "Views")."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from golden_frames import Item, Vector, binary, text, told_text

from realm_proto import realtime_pb2 as pb

TURN = math.tau / 65_536


def a_view(tick: int, ack: int, **members: Any) -> Item:
    empty: Item = {"places": [], "moves": [], "states": [], "leaves": [], "reset": None, "correction": None}
    return {"kind": "view", "tick": tick, "ack": ack, **empty, **members}


# number, sequence, x, y, z in centimetres, yaw in 1/65536 turn
FAR = 2**31
PLACE_ROWS = [(0, 0, 0, 0, 0, 0), (65_535, 65_535, FAR - 1, -FAR, 39_975, 65_535), (258, 772, 25, 200, -301, 16_384)]
MOVE_ROWS = [
    (0, 0, 0, 0, 0, 0),
    (65_535, 255, -128, 127, 1, 65_535),
    (258, 4, 50, -7, 0, 16_384),
    (258, 4, 127, 0, 0, 16_384),
]
STATES: list[dict[str, Any]] = [
    {"number": 258, "entity_id": "ent_1", "entity_type": "player", "name": "Ann é", "version": 3, "properties": {"hp": 5}},
    {"number": 0, "entity_id": "ent_0", "entity_type": "npc", "name": "", "version": 1, "properties": {}},
    {"number": 7, "entity_id": "ent_7", "entity_type": "player", "name": "Bo", "version": 2, "properties": {}, "link_dead": True},
    {"number": 65_535, "entity_id": "ent_65535", "entity_type": "item", "name": "", "version": 1, "properties": {"of": None}},
]  # fmt: skip
STATE_CHANGES: list[dict[str, Any]] = [
    {"number": 258, "version": 4, "properties": {"hp": None, "at": {"x": None}}, "change": True},
    {"number": 7, "version": 2, "properties": {}, "change": True},
    {"number": 0, "version": 2**32 - 1, "properties": {"é": [1, "two"]}, "link_dead": True, "change": True},
]
RESET = {"zone": "zon_meadow", "epoch": 2**32 + 1, "number": 65_534}
CORRECTION = {"sequence": 9, "position": {"x": 1.0, "y": 0.0, "z": 2.5}, "reason": "too_fast", "yaw": 0.25}


def frame(**members: Any) -> pb.ViewFrame:
    return pb.ViewFrame(tick=4_000_000_000, ack=9, **members)


def said(rows: list[tuple[int, ...]], *axes: str) -> list[dict[str, Any]]:
    """Rows in metres and radians."""
    names = ("number", "sequence", *axes, "yaw")
    return [
        dict(zip(names, (n, s, *(part / 100 for part in way), turns * TURN), strict=True)) for n, s, *way, turns in rows
    ]


PLACES, MOVES = said(PLACE_ROWS, "x", "y", "z"), said(MOVE_ROWS, "dx", "dy", "dz")
PLACE_BYTES = b"".join(struct.pack("<HHiiiH", *row) for row in PLACE_ROWS)
MOVE_BYTES = b"".join(struct.pack("<HBbbbH", *row) for row in MOVE_ROWS)


def states(said: list[dict[str, Any]]) -> list[pb.EntityState]:
    return [
        pb.EntityState(
            **{name: value for name, value in state.items() if name != "properties"},
            properties_json=json.dumps(state["properties"]) if state["properties"] else "",
        )
        for state in said
    ]


def views() -> list[tuple[str, pb.ViewFrame, Item]]:
    reset = pb.ViewReset(zone_id="zon_meadow", epoch=2**32 + 1, number=65_534)
    correction = pb.Correction(sequence=9, position=pb.Vector3(x=1, y=0, z=2.5), reason="too_fast", yaw=0.25)
    whole, changes = states(STATES), states(STATE_CHANGES)
    parts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "nothing new": ({}, {}),
        "places": ({"places": PLACE_BYTES}, {"places": PLACES}),
        "moves": ({"moves": MOVE_BYTES}, {"moves": MOVES}),
        "states": ({"states": whole}, {"states": STATES}),
        "changes": ({"states": changes}, {"states": STATE_CHANGES}),
        "leaves": ({"leaves": [0, 300, 65_535]}, {"leaves": [0, 300, 65_535]}),
        "reset": ({"reset": reset}, {"reset": RESET}),
        "correction": ({"correction": correction}, {"correction": CORRECTION}),
        "everything": (
            {
                "reset": reset,
                "leaves": [0, 300, 65_535],
                "states": whole + changes,
                "places": PLACE_BYTES,
                "moves": MOVE_BYTES,
                "correction": correction,
            },
            {
                "reset": RESET,
                "leaves": [0, 300, 65_535],
                "states": STATES + STATE_CHANGES,
                "places": PLACES,
                "moves": MOVES,
                "correction": CORRECTION,
            },
        ),
    }
    return [
        (f"view: {name}", frame(**members), a_view(4_000_000_000, 9, **says)) for name, (members, says) in parts.items()
    ]


def no_views() -> list[Vector]:
    """What no client takes for a view, whatever it holds."""
    bad_frames = {
        "moves that are torn": frame(moves=bytes(17)),
        "moves as long as a place": frame(moves=bytes(18)),
        "places that are torn": frame(places=bytes(17)),
        "places as long as moves": frame(places=bytes(16)),
        "properties that are no object": frame(states=[pb.EntityState(number=1, properties_json="[1]")]),
        "changed properties that are no object": frame(
            states=[pb.EntityState(number=1, change=True, properties_json="1")]
        ),
    }
    place, move = PLACES[0], MOVES[0]
    bad_params: dict[str, dict[str, Any]] = {
        "link_dead that is neither true nor false": {"states": [{**STATES[1], "link_dead": 1}]},
        "change that is neither true nor false": {"states": [{**STATES[1], "change": None}]},
        "a whole state without an id": {"states": [{"number": 1, "version": 1, "properties": {}}]},
        "properties that are no object": {"states": [{**STATES[1], "properties": [1]}]},
        "a place without an axis": {"places": [{name: place[name] for name in ("number", "sequence", "x", "y")}]},
        "a place that is no number": {"places": [{**place, "x": "1"}]},
        "a place too far away": {"places": [{**place, "z": 21_474_836.48}]},
        "a move without an axis": {"moves": [{name: move[name] for name in ("number", "sequence", "dx", "dy")}]},
        "a move that is a place": {"moves": [place]},
        "a reset without a number": {"reset": {"zone": "zon_meadow", "epoch": 1}},
    }
    return [
        *(binary(f"view: {name}", pb.WebSocketMessage(view=made), refused=True) for name, made in bad_frames.items()),
        *(
            text(f"text view: {name}", told_text("world.view", {"tick": 1, "ack": 1, **params}), refused=True)
            for name, params in bad_params.items()
        ),
    ]


def not_held() -> list[Vector]:
    """Views that can be read, and that a client refuses which holds nobody: `refused_by`: "scene"."""
    who = {name: STATES[0][name] for name in ("number", "entity_id", "entity_type", "name", "version", "properties")}
    place, move = [PLACES[2]], [MOVES[2]]
    a_place, a_move = struct.pack("<HHiiiH", *PLACE_ROWS[2]), struct.pack("<HBbbbH", *MOVE_ROWS[2])
    (state,), (change,) = states([who]), states(STATE_CHANGES[:1])
    reset = pb.ViewReset(zone_id="zon_meadow", epoch=2**32 + 1, number=258)
    own = {**RESET, "number": 258}
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "a move of nobody": ({"moves": a_move}, {"moves": move}),
        "a place of nobody": ({"places": a_place}, {"places": place}),
        "a change of nobody": ({"states": [change]}, {"states": STATE_CHANGES[:1]}),
        "a move of whom it was not told where": (
            {"states": [state], "moves": a_move},
            {"states": [who], "moves": move},
        ),
        "a place of oneself": (
            {"reset": reset, "states": [state], "places": a_place},
            {"reset": own, "states": [who], "places": place},
        ),
        "a change of oneself before the whole": (
            {"reset": reset, "states": [change]},
            {"reset": own, "states": STATE_CHANGES[:1]},
        ),
    }
    made = []
    for name, (members, says) in cases.items():
        view = a_view(4_000_000_000, 9, **says)
        made.append(binary(f"view: {name}", pb.WebSocketMessage(view=frame(**members)), items=[view], unheld=True))
        made.append(text(f"text view: {name}", text_view(view), items=[view], unheld=True))
    return made


def text_view(view: Item) -> dict[str, Any]:
    """The notification; what is empty may be absent, and is here."""
    params = {name: value for name, value in view.items() if name != "kind" and value not in ([], None)}
    return {"jsonrpc": "2.0", "method": "world.view", "params": params}
