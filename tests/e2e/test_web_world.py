"""The browser library's client: views, borders, the own state and the game's messages; on a stage of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.web_stage import PRELUDE

MORE = """
  const bounds = (minX) => ({ min_x: minX, min_z: 0, max_x: minX + 200, max_z: 200 });
  const LAND = { min_x: 0, min_z: 0, max_x: 400, max_z: 200 };
  const WORLD = {
    zone: "zon_a", bounds: bounds(0), land: LAND, entity_id: "ent_me", number: 3, position: { x: 190, y: 0, z: 100 }, yaw: 0,
    tick_hz: 20, interest_radius: 50, max_speed: 8, character_id: "chr_1", name: "Me", sequence: 5,
  };
  const ZONES = [
    { zone: "zon_a", name: "Meadow", bounds: bounds(0), population: 2 },
    { zone: "zon_b", name: "Harbour", bounds: bounds(200), population: 1 },
    { zone: "zon_far", name: "Far", bounds: bounds(1_000), population: 0 },
  ];
  const place = (number, x, z, sequence = 1) => {
    const view = new DataView(new ArrayBuffer(18));
    view.setUint16(0, number, true); view.setUint16(2, sequence, true);
    view.setInt32(4, x, true); view.setInt32(12, z, true);
    return [...new Uint8Array(view.buffer)];
  };
  const move = (number, dx, dz, sequence = 2) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint16(0, number, true); view.setUint8(2, sequence); view.setInt8(3, dx); view.setInt8(5, dz);
    return [...new Uint8Array(view.buffer)];
  };
  const state = (number, entityId, properties = {}, more = {}) =>
    ({ number, entityId, entityType: "player", name: entityId, version: 1, propertiesJson: JSON.stringify(properties), ...more });
  const change = (number, version, properties) => ({ number, version, change: true, propertiesJson: JSON.stringify(properties) });
  const rows = (...many) => new Uint8Array(many.flat());
  const enter = async () => {
    const { RealmClient } = await load("client");
    const stage = await dial();
    const client = new RealmClient({ connection: stage.connection, clock: stage.clock, random: () => 0.5 });
    const faults = [];
    stage.connection.addEventListener("fault", ({ detail }) => faults.push(detail.message));
    stage.connection.connect();
    await settle();
    const [socket] = stage.sockets;
    socket.ready();
    const see = (view) => socket.tell({ view });
    const told = (type) => {
      const heard = [];
      client.addEventListener(type, ({ detail }) => heard.push(detail));
      return heard;
    };
    const answerTo = async (method, result) => {
      await settle();
      const asked = socket.sent.filter((message) => message.request?.method === method).at(-1);
      socket.tell({ jsonrpc: "2.0", idNumber: asked.idNumber, response: { result: stage.packStruct(result) } });
      await settle();
    };
    const zones = client.zones();
    await answerTo("world.zones", { zones: ZONES });
    await zones;
    const entering = client.enter("chr_1");
    see({ tick: 100, ack: 5, reset: { zoneId: "zon_a", epoch: 7, number: 3 }, places: rows(place(9, 19_500, 10_000)),
      states: [state(3, "ent_me", { bag: 1 }), state(9, "ent_9")] }); // before the answer
    await answerTo("world.enter", WORLD);
    await entering;
    return { ...stage, client, socket, see, told, faults, answerTo };
  };
"""


@pytest.fixture
def run(run_script: RunScript) -> RunScript:
    return lambda script, argument=None: run_script(PRELUDE + MORE + script, argument)


def test_the_land_is_where_one_walks(run: RunScript) -> None:
    found = run("""
      const { client } = await enter();
      const { world, prediction, landZones } = client;
      return [world.land, world.bounds.max_x, prediction.bounds.max_x, landZones.map(({ zone }) => zone)];
    """)
    land = {"min_x": 0, "min_z": 0, "max_x": 400, "max_z": 200}
    assert found == [land, 200, 400, ["zon_a", "zon_b"]]


def test_a_realm_that_says_no_land_has_bounds(run: RunScript) -> None:
    assert run("""
      const { client, socket, answerTo } = await enter();
      const leaving = client.leave();
      await answerTo("world.leave", {});
      await leaving;
      const entering = client.enter("chr_1");
      const { land, ...world } = WORLD;
      await answerTo("world.enter", world);
      return [(await entering).land.max_x, client.prediction.bounds.max_x];
    """) == [200, 200]


def test_the_own_state_is_no_other(run: RunScript) -> None:
    found: Any = run("""
      const { client, see, told } = await enter();
      const own = told("own");
      see({ tick: 101, ack: 5, states: [change(3, 2, { bag: null, hp: 5 })] });
      const { others } = client.frame(101, { x: 0, z: 0 });
      return [client.own, own.length, [...client.view.entities.keys()], others.map((other) => other.name)];
    """)
    own = {"number": 3, "entityId": "ent_me", "entityType": "player", "name": "ent_me", "version": 2}
    assert found == [own | {"properties": {"hp": 5}, "linkDead": False}, 1, [9], ["ent_9"]]


def test_over_a_border_nothing_jumps_but_the_name(run: RunScript) -> None:
    """Somebody walks on at 4 m/s while the views begin to come from another zone, with other numbers and other ticks."""
    found: Any = run("""
      const { client, clock, see, told, socket, faults, answerTo } = await enter();
      const worlds = told("world");
      const speeds = [];
      let x = 19_500;
      let before = null;
      const draw = () => {
        const [other] = client.frame(clock.time, { x: 0, z: 0 }).others;
        if (before !== null) speeds.push((other.pose.x - before) * 60);
        before = other.pose.x;
      };
      const play = (count, first, number) => {
        for (let index = 0; index < count; index += 1) {
          const stepped = (first + index) % 2 === 0; // also the tick in between
          if (stepped) x += 40;
          see({ tick: first + index, ack: 5, moves: stepped ? rows(move(number, 40, 0)) : new Uint8Array() });
          for (let frame = 0; frame < 3; frame += 1) { draw(); clock.time += 1 / 60; }
        }
      };
      play(19, 101, 9);
      const predicted = client.prediction;
      const shown = { ...predicted.shown };
      x += 40;
      see({ tick: 900_000, ack: 5, reset: { zoneId: "zon_b", epoch: 2, number: 40 }, places: rows(place(41, x, 10_000)),
        states: [state(40, "ent_me", { bag: 1 }), state(41, "ent_9"), state(42, "ent_new")], leaves: [] });
      for (let frame = 0; frame < 3; frame += 1) { draw(); clock.time += 1 / 60; }
      const calm = speeds.length;
      play(20, 900_001, 41);
      const { world } = client;
      await answerTo("world.zones", { zones: [...ZONES.slice(0, 1), { ...ZONES[1], name: "Harbour East" }] });
      return {
        faults, zones: worlds.map(({ zone, zoneName }) => [zone, zoneName]), number: world.number, bounds: world.bounds.min_x,
        land: world.land.max_x, same: client.prediction === predicted, sequence: client.prediction.sequence,
        moved: client.prediction.shown.x - shown.x, before: speeds.slice(20, calm - 6), after: speeds.slice(calm - 6),
        own: client.own.number,
      };
    """)
    assert found["faults"] == []
    assert found["zones"] == [["zon_b", "Harbour"], ["zon_b", "Harbour East"]]
    assert (found["number"], found["own"], found["bounds"], found["land"]) == (40, 40, 200, 400)
    assert (found["same"], found["sequence"], found["moved"]) == (True, 5, 0)
    for speeds in (found["before"], found["after"]):
        assert min(speeds) > 1.0, "nobody stands still or goes back"
        assert max(speeds) < 7.0, "nobody jumps"


def test_the_tick_that_is_shown_is_a_little_behind(run: RunScript) -> None:
    """Of the zone that the player is in, though its ticks are others than those before."""
    behind = run("""
      const { client, clock, see } = await enter();
      const found = [Number.isNaN(client.shownTick)];
      const play = (first, count) => {
        for (let tick = first; tick < first + count; tick += 1) {
          see({ tick, ack: 5 });
          client.frame(clock.time, { x: 0, z: 0 });
          clock.time += 0.05;
        }
        found.push(first + count - 1 - client.shownTick);
      };
      play(101, 40);
      see({ tick: 900_000, ack: 5, reset: { zoneId: "zon_b", epoch: 2, number: 40 }, states: [state(40, "ent_me")] });
      play(900_001, 40);
      return found;
    """)
    assert behind == [True, pytest.approx(3.0, abs=0.5), pytest.approx(3.0, abs=0.6)]


def test_a_zone_that_begins_anew_does_not_shake_the_picture(run: RunScript) -> None:
    """The same zone, another incarnation, ticks from the start: whoever is still there goes on from where it was."""
    found = run("""
      const { client, clock, see, faults } = await enter();
      for (let tick = 101; tick < 120; tick += 1) { see({ tick, ack: 5, moves: rows(move(9, 20, 0)) }); clock.time += 0.05; }
      const at = () => client.frame(clock.time, { x: 0, z: 0 }).others.map((other) => [other.number, other.pose.x]);
      const [[, before]] = at();
      see({ tick: 1, ack: 5, reset: { zoneId: "zon_a", epoch: 8, number: 4 }, places: rows(place(5, 19_900, 10_000)),
        states: [state(4, "ent_me"), state(5, "ent_9")] });
      const [[number, after]] = at();
      for (let tick = 2; tick < 20; tick += 1) { see({ tick, ack: 5 }); clock.time += 0.05; at(); }
      return [faults, Math.abs(after - before) < 0.5, number, at()[0][1], client.world.number];
    """)
    assert found == [[], True, 5, 199, 4]


def test_what_it_does_not_hold_is_a_fault_and_a_new_socket(run: RunScript) -> None:
    found = run("""
      const { client, clock, connection, sockets, see, faults } = await enter();
      see({ tick: 101, ack: 5, moves: rows(move(8, 1, 1)) });
      await clock.advance(1);
      return [faults, sockets.length, connection.ready];
    """)
    assert found == [["a move of 8, which has no place"], 2, False]


def test_views_on_their_way_while_the_player_left_are_passed_over(run: RunScript) -> None:
    found = run("""
      const { client, see, faults, answerTo } = await enter();
      const leaving = client.leave();
      await answerTo("world.leave", {});
      await leaving;
      see({ tick: 101, ack: 5, moves: rows(move(9, 1, 1)) });
      return [faults, client.view.entities.size, client.world];
    """)
    assert found == [[], 0, None]


def test_a_view_in_a_compressed_batch(run: RunScript) -> None:
    found = run("""
      const { client, socket, clock, faults } = await enter();
      const { BatchMessageMessage } = await load("messages");
      const states = Array.from({ length: 3_000 }, (_, index) => state(100 + index, `ent_${100 + index}`));
      const places = rows(...states.map(({ number }) => place(number, number, 0)));
      const plain = BatchMessageMessage.encode({ messages: [{ view: { tick: 101, ack: 5, states, places } }] });
      const packed = new Blob([plain]).stream().pipeThrough(new CompressionStream("deflate"));
      const payload = new Uint8Array(await new Response(packed).arrayBuffer());
      socket.tell({ batch: { compressed: true, originalSize: plain.length, payload } });
      socket.tell({ view: { tick: 102, ack: 5, moves: rows(move(100, 1, 0)) } }); // waits behind the batch
      for (let wait = 0; wait < 200 && client.view.tick < 102; wait += 1) await new Promise((done) => setTimeout(done, 10));
      return [faults, client.view.entities.size, client.view.entities.get(100).x, payload.length < plain.length];
    """)
    assert found == [[], 3_001, 1.01, True]


def test_asking_the_zone_and_the_game(run: RunScript) -> None:
    found: Any = run("""
      const { client, socket, told, answerTo } = await enter();
      const events = told("game");
      const others = told("notification");
      const changing = client.stateChange("ent_me", 2, { bag: null, hp: 5 });
      await answerTo("state.sync.delta", { version: 3 });
      const playing = client.gameMessage("dig", { deep: true }, 77);
      await answerTo("game.message", { result: ["stone"], tick: 80 });
      const plain = client.gameMessage("rest");
      await answerTo("game.message", { result: null, tick: 81 });
      const syncing = client.stateSync();
      await answerTo("state.sync.request", { tick: 5, zone: "zon_a", entities: [] });
      socket.note("game.event", { type: "bell", data: { rings: 3 } });
      return [await changing, await playing, await plain, await syncing, events, others.length,
        socket.said("state.sync.delta"), socket.said("game.message")];
    """)
    assert found[:4] == [
        3,
        {"result": ["stone"], "tick": 80},
        {"result": None, "tick": 81},
        {"tick": 5, "zone": "zon_a", "entities": []},
    ]
    assert found[4:6] == [[{"type": "bell", "data": {"rings": 3}}], 0]
    assert found[6] == [{"entity_id": "ent_me", "version": 2, "properties": {"bag": None, "hp": 5}}]
    assert found[7] == [{"type": "dig", "data": {"deep": True}, "tick": 77}, {"type": "rest", "data": None}]
