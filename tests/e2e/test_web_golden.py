"""Every golden frame of the binary framing says to the browser library what it says to everybody (proto/golden)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rayrealm_client import codec
from tests.e2e.conftest import RunScript

GOLDEN = Path(__file__).resolve().parents[2] / "proto" / "golden"

# The items of a frame, as the golden files describe them; a WireError's name for what is refused.
READ = """
  const { checkMessage, decodeMessage, unpackAny } = await load("messages");
  const { openBatch } = await load("batch");
  const { moveRows, placeRows } = await load("move_rows");
  const { readState, View } = await load("view");
  const metres = (row, ...axes) => ({ ...row, ...Object.fromEntries(axes.map((axis) => [axis, row[axis] / 100])) });
  const item = (message) => {
    checkMessage(message);
    const { request, response, notification, move, view } = message;
    const id = message.idString ?? message.idNumber ?? null;
    if (request) return { kind: "request", id, method: request.method, params: unpackAny(request.params) };
    if (response?.error) {
      const { code, message: said, data } = response.error;
      return { kind: "error", id, code, message: said, data: data ? unpackAny(data) : null };
    }
    if (response) return { kind: "result", id, value: unpackAny(response.result) };
    if (notification) {
      const told = { kind: "notification", method: notification.method, params: unpackAny(notification.params) };
      return notification.seq === 0 ? told : { ...told, seq: notification.seq };
    }
    if (move) return { kind: "move", ...move.position, yaw: move.rotation.yaw, sequence: move.sequence };
    const states = view.states.map(readState).map((state) => {
      const { number, entityId, entityType, name, version, properties, linkDead, change } = state;
      const named = change ? { change } : { entity_id: entityId, entity_type: entityType, name };
      return { number, version, properties, ...named, ...(linkDead ? { link_dead: true } : {}) };
    });
    return {
      kind: "view", tick: view.tick, ack: view.ack, states, leaves: view.leaves,
      places: placeRows(view.places).map((row) => metres(row, "x", "y", "z")),
      moves: moveRows(view.moves).map((row) => metres(row, "dx", "dy", "dz")),
      reset: view.reset ? { zone: view.reset.zoneId, epoch: Number(view.reset.epoch), number: view.reset.number } : null,
      correction: view.correction ?? null,
    };
  };
  const results = [];
  for (const hex of given) {
    try {
      const message = decodeMessage(Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16)));
      results.push((message.batch ? await openBatch(message.batch) : [message]).map(item));
    } catch (error) {
      results.push(error.name);
    }
  }
  return results;
"""

WRITE = """
  const { encodeMove, encodeNotification, encodeRequest } = await load("messages");
  return given.map((item) => {
    if (item.kind === "move") {
      const { x, y, z, yaw, sequence } = item;
      return [...encodeMove({ position: { x, y, z }, rotation: { yaw }, sequence })];
    }
    if (item.kind === "notification") return [...encodeNotification(item.method, item.params)];
    return [...encodeRequest(item.id, item.method, item.params)];
  });
"""


# Whom a viewer sees after a frame that is its first one; a WireError's name for one that is not for it.
APPLY = """
  const { decodeMessage } = await load("messages");
  const { View } = await load("view");
  return given.map((hex) => {
    const view = new View();
    try {
      view.apply(decodeMessage(Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16))).view);
    } catch (error) {
      return [error.name, view.entities.size, view.own, view.zoneId];
    }
    return [[...view.entities.values()].map(({ number, cm, sequence, version, properties, linkDead }) =>
      [number, cm && [cm.x, cm.y, cm.z], sequence, version, properties, linkDead]), view.number];
  });
"""


def load(name: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads((GOLDEN / name).read_text())
    return [vector for vector in made if "hex" in vector]


def near(item: Any) -> Any:
    """Numbers as the wire has them: yaws in steps, the rest as floats of 32 bits."""
    if isinstance(item, dict):
        return {name: near(value) for name, value in item.items()}
    if isinstance(item, list):
        return [near(value) for value in item]
    return pytest.approx(item, abs=1e-9) if isinstance(item, float) else item


def test_reads(run_script: RunScript) -> None:
    vectors = [vector for vector in load("to_server.json") + load("to_client.json") if "items" in vector]
    # A move that came in the long form is a notification to the browser, which nobody sends it.
    vectors = [vector for vector in vectors if vector["name"] != "typed move"]
    names = {vector["name"] for vector in vectors}
    assert names >= {"numbered notification", "largest number", "numbered batch", "view: states", "acknowledgement"}
    read = run_script(READ, [vector["hex"] for vector in vectors])
    for vector, items in zip(vectors, read, strict=True):
        assert items == near(vector["items"]), vector["name"]


def test_refuses(run_script: RunScript) -> None:
    vectors = [vector for vector in load("to_client.json") if "refused" in vector]
    assert "number too large" in {vector["name"] for vector in vectors}
    read = run_script(READ, [vector["hex"] for vector in vectors])
    assert dict(zip((vector["name"] for vector in vectors), read, strict=True)) == {
        vector["name"]: "WireError" for vector in vectors
    }


def test_applies(run_script: RunScript) -> None:
    (vector,) = (vector for vector in load("to_client.json") if vector["name"] == "view: everything")
    ((seen, number),) = run_script(APPLY, [vector["hex"]])
    assert seen == [
        [258, [202, 193, -301], 772, 4, {"at": {"x": None}}, False],
        [0, [0, 0, 0], 0, 2**32 - 1, {"é": [1, "two"]}, True],
        [7, None, 0, 2, {}, False],
        [65_535, [2**31 - 129, -(2**31) + 127, 39_976], 65_535, 1, {"of": None}, False],
    ]
    assert number == 65_534


def test_refuses_what_it_does_not_hold(run_script: RunScript) -> None:
    vectors = [vector for vector in load("to_client.json") if "unheld" in vector]
    assert len(vectors) == 6
    told = run_script(APPLY, [vector["hex"] for vector in vectors])
    assert dict(zip((vector["name"] for vector in vectors), told, strict=True)) == {
        vector["name"]: ["WireError", 0, None, ""] for vector in vectors
    }


def test_writes(run_script: RunScript) -> None:
    """What it writes is read like the golden frame; ids of the browser are numbers."""
    vectors = [
        vector
        for vector in load("to_server.json")
        if "items" in vector and "batch" not in vector and not isinstance(vector["items"][0].get("id"), str)
    ]
    assert {vector["items"][0]["kind"] for vector in vectors} == {"request", "notification", "move"}
    written = run_script(WRITE, [vector["items"][0] for vector in vectors])
    for vector, made in zip(vectors, written, strict=True):
        assert codec.decode(bytes(made)) == codec.decode(bytes.fromhex(vector["hex"])), vector["name"]
