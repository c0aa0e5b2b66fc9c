/**
 * A player in a realm: connection, view, interpolation and prediction put together. A game calls `frame` once per drawn frame.
 *
 * Events, each a CustomEvent with a `detail`:
 * - `world`: World or null, on entering, on another zone, on coming back, on leaving
 * - `chat`: {message_id, channel, from, name, text, sent_at, mentions}, each message once; with `sealed: true` if the realm could not read it
 * - `own`: OwnEntity, the player's own state was said or has changed
 * - `game`: {type, data, tick}, what the game's code tells this player
 * - `notification`: {method, params} of everything else
 * - `correction`: Correction, after it was applied
 * - `trouble`: Error, the world or a channel could not be entered again after the session was lost
 *
 * @typedef {object} World
 * @property {string} zone changes when the player walks over a border, as do its name and bounds
 * @property {string} zoneName for people
 * @property {import("./prediction.js").Bounds} bounds of the zone
 * @property {import("./prediction.js").Bounds} land of all zones that form one land with it
 * @property {string} characterId
 * @property {string} name of the character
 * @property {number} number its entity number
 * @property {number} interestRadius metres
 * @property {number} maxSpeed metres per second
 *
 * @typedef {{zone: string, name: string, bounds: import("./prediction.js").Bounds, population: number}} ZoneInfo
 * @typedef {import("./view.js").Entity & {pose: import("./interpolation.js").Pose}} SeenEntity
 */

import { Backoff } from "./backoff.js";
import { Channels } from "./channels.js";
import { systemClock } from "./clock.js";
import { Interpolation } from "./interpolation.js";
import { RpcError } from "./pending.js";
import { Prediction } from "./prediction.js";
import { repeat } from "./repeat.js";
import { Sealed } from "./sealed.js";
import { Social } from "./social.js";
import { TickClock } from "./tick_clock.js";
import { Topics } from "./topics.js";
import { View } from "./view.js";

/** An entry goes through session, zone and storage; the realm gives each its own deadline, seconds. */
const ENTER_DEADLINE_S = 10;
/** Attempts to enter again after the session was lost; with the backoff, about a minute. */
const MOST_ENTRIES = 8;
/** Errors that may be gone a moment later: rate limited, invalid state, conflict, unavailable, internal. */
const PASSING = new Set([-32001, -32003, -32005, -32006, -32603]);

export class RealmClient extends EventTarget {
  /** The last entry that was asked for: what to ask for again when the session was lost. @type {{character_id: string} | null} */
  #wanted = null;
  /** Grows with every entry and leave, so that an attempt to enter again can see that it is out of date. */
  #generation = 0;
  /** Else a view was on its way while the player left. */
  #takesViews = false;
  /** What was set, and a new session does not have. @type {Map<string, any>} */
  #attributes = new Map();

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {import("./clock.js").Clock} [options.clock]
   * @param {() => number} [options.random]
   */
  constructor({ connection, clock = systemClock, random = Math.random }) {
    super();
    this.connection = connection;
    this.clock = clock;
    this.random = random;
    this.view = new View();
    this.ticks = new TickClock({ tickHz: 20 });
    this.interpolation = new Interpolation();
    this.channels = new Channels(connection);
    this.sealed = new Sealed({ connection });
    this.social = new Social(connection);
    this.topics = new Topics(connection);
    /** @type {World | null} */
    this.world = null;
    /** @type {Prediction | null} */
    this.prediction = null;
    /** @type {ZoneInfo[]} */
    this.knownZones = [];
    this.channels.addEventListener("trouble", (event) => this.#emit("trouble", /** @type {CustomEvent} */ (event).detail));
    this.channels.addEventListener("chat", (event) => this.#emit("chat", /** @type {CustomEvent} */ (event).detail));
    this.sealed.addEventListener("message", (event) => this.#emit("chat", /** @type {CustomEvent} */ (event).detail));
    connection.addEventListener("ready", (event) => this.#onReady(/** @type {CustomEvent} */ (event).detail));
    connection.addEventListener("view", (event) => this.#onView(/** @type {CustomEvent} */ (event).detail));
    connection.addEventListener("notification", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (detail.method === "game.event") this.#emit("game", detail.params);
      else if ([this.channels, this.sealed, this.social, this.topics].some((each) => each.heed(detail.method, detail.params))) return;
      else this.#emit("notification", detail);
    });
  }

  /** @returns {Promise<ZoneInfo[]>} */
  async zones() {
    const { zones } = await this.connection.request("world.zones");
    this.knownZones = zones;
    return zones;
  }

  /**
   * @param {string} characterId
   * @param {string} [zone] absent: where the character was last
   * @returns {Promise<World>}
   */
  async enter(characterId, zone) {
    this.#generation += 1;
    this.#takesViews = true; // the first one may come before the answer
    const result = await this.connection.request("world.enter", { character_id: characterId, zone }, ENTER_DEADLINE_S);
    // Where it is later is for the zone to say, so an entry that is repeated names no zone.
    this.#wanted = { character_id: characterId };
    return this.#adopt(result);
  }

  async leave() {
    this.#generation += 1;
    this.#wanted = null;
    await this.connection.request("world.leave");
    this.#takesViews = false;
    this.#forgetOthers();
    this.world = null;
    this.prediction = null;
    this.#emit("world", null);
  }

  /**
   * Something about the session that outlives the connection, as JSON; a session that takes the place of a lost one gets it again.
   * @param {string} name
   * @param {any} value null removes it
   * @returns {Promise<Record<string, any>>} all that the session has now
   */
  async setAttribute(name, value) {
    const { attributes } = await this.connection.request("session.attribute.set", { name, value });
    if (value === null) this.#attributes.delete(name);
    else this.#attributes.set(name, value);
    return attributes;
  }

  /** @returns {Promise<Record<string, any>>} */
  async attributes() {
    return (await this.connection.request("session.attribute.list")).attributes;
  }

  /** The player's, as the realm knows it; empty before the first connection. */
  get userId() {
    return this.channels.userId;
  }

  /** The player's own state, as its zone has said it: entity id, version, properties. Null before that. */
  get own() {
    return this.view.own;
  }

  /** Which of the zone's ticks the last frame showed, with a fraction: it is a little behind the newest. */
  get shownTick() {
    return this.ticks.shown;
  }

  /** The zones of the land that the player is in, as far as they are known. @returns {ZoneInfo[]} */
  get landZones() {
    if (!this.world) return [];
    const { land } = this.world;
    return this.knownZones.filter(
      ({ bounds: b }) => b.min_x >= land.min_x && b.max_x <= land.max_x && b.min_z >= land.min_z && b.max_z <= land.max_z,
    );
  }

  /**
   * What the player sees, as its zone has it: `{tick, zone, entities}`, itself first.
   * @returns {Promise<Record<string, any>>}
   */
  stateSync() {
    return this.connection.request("state.sync.request");
  }

  /**
   * Changes properties of an entity of one's own; null takes one away.
   * @param {string} entityId
   * @param {number} version that the change is based on
   * @param {Record<string, any>} properties
   * @returns {Promise<number>} the new version, once it is durable
   * @throws {import("./pending.js").RpcError} -32005 if `version` is not the current one; `data.current` is what holds
   */
  async stateChange(entityId, version, properties) {
    return (await this.connection.request("state.sync.delta", { entity_id: entityId, version, properties })).version;
  }

  /**
   * Something for the game's code; what it may be is for the game to say.
   * @param {string} type
   * @param {any} [data] JSON
   * @param {number} [tick] what the player acted on, `shownTick`, for what has to be judged as it was seen
   * @returns {Promise<{result: any, tick: number}>} what the game made of it, at which of the zone's ticks
   */
  async gameMessage(type, data = null, tick) {
    const { result, tick: judged } = await this.connection.request("game.message", { type, data, tick });
    return { result, tick: judged };
  }

  /**
   * One drawn frame: walks, sends a move if one is due, and says where everyone is now.
   * @param {number} now seconds, of the clock
   * @param {import("./prediction.js").Steering} steering
   * @returns {{me: Prediction["shown"] | null, others: SeenEntity[]}}
   */
  frame(now, steering) {
    const { prediction, connection } = this;
    if (prediction && this.world && connection.ready) {
      const move = prediction.step(now, steering);
      if (move) {
        const { x, y, z, yaw, sequence } = move;
        connection.sendMove({ position: { x, y, z }, rotation: { yaw }, sequence });
      }
    }
    const time = this.ticks.renderTime(now);
    /** @type {SeenEntity[]} */
    const others = [];
    for (const entity of this.view.entities.values()) {
      const pose = this.interpolation.sample(entity.entityId, time, this.ticks.newest);
      if (pose) others.push({ ...entity, pose });
    }
    return { me: prediction?.shown ?? null, others };
  }

  /** @param {Record<string, any>} session params of `session.ready` */
  #onReady(session) {
    const generation = this.#generation;
    this.#takesViews = Boolean(session.world) || this.#wanted !== null;
    if (!session.resumed) void this.#setAgain();
    if (session.world) {
      this.#wanted = { character_id: session.world.character_id };
      this.#adopt(session.world);
      if (!session.resumed) void this.channels.rejoin();
    } else if (this.#wanted) {
      void this.#enterAgain(generation);
    }
  }

  async #setAgain() {
    for (const [name, value] of this.#attributes) {
      try {
        await repeat(this.connection, "session.attribute.set", { name, value });
      } catch (error) {
        this.#emit("trouble", error);
      }
    }
  }

  /** The realm gave a new session: its character may be held by the old one for a while. @param {number} generation */
  async #enterAgain(generation) {
    const backoff = new Backoff({ firstS: 1, mostS: 10, random: this.random });
    for (let attempt = 1; ; attempt += 1) {
      const socketSession = this.connection.sessionId;
      try {
        const result = await this.connection.request("world.enter", { ...this.#wanted }, ENTER_DEADLINE_S);
        if (generation === this.#generation) this.#adopt(result);
        void this.channels.rejoin();
        return;
      } catch (error) {
        // Without a connection the next `session.ready` comes back here.
        if (!this.connection.ready || generation !== this.#generation) return;
        const mayPass = !(error instanceof RpcError) || PASSING.has(error.code);
        if (!mayPass || attempt >= MOST_ENTRIES) {
          this.#emit("trouble", error);
          return;
        }
        const asked = error instanceof RpcError ? Number(error.data.retryAfter ?? 0) : 0;
        const wait = Math.max(asked, 0.2 + backoff.next());
        await /** @type {Promise<void>} */ (new Promise((resolve) => void this.clock.after(wait, resolve)));
        if (generation !== this.#generation || socketSession !== this.connection.sessionId) return;
      }
    }
  }

  /**
   * @param {Record<string, any>} result of `world.enter`
   * @returns {World}
   */
  #adopt(result) {
    if (result.tick_hz !== this.ticks.tickHz) this.ticks = new TickClock({ tickHz: result.tick_hz });
    const { position, yaw, bounds, sequence } = result;
    const land = result.land ?? bounds;
    if (this.prediction && this.world?.characterId === result.character_id) {
      this.prediction.bounds = land;
      this.prediction.rebase(position, yaw, sequence);
    } else {
      this.prediction = new Prediction({ position, yaw, bounds: land, maxSpeed: result.max_speed, sequence });
    }
    this.#takesViews = true;
    this.world = {
      zone: result.zone,
      zoneName: this.#zoneName(result.zone),
      bounds,
      land,
      characterId: result.character_id,
      name: result.name,
      number: result.number,
      interestRadius: result.interest_radius,
      maxSpeed: result.max_speed,
    };
    this.#emit("world", this.world);
    if (!this.knownZones.some((zone) => zone.zone === result.zone)) void this.#nameZone(result.zone);
    return this.world;
  }

  /** @param {import("./messages.js").ViewFrame} frame */
  #onView(frame) {
    if (!this.#takesViews) return;
    let changes;
    try {
      changes = this.view.apply(frame);
    } catch (error) {
      this.connection.fault(/** @type {Error} */ (error));
      return;
    }
    if (changes.zoneChanged) this.ticks.carryOver(frame.tick, this.clock.now());
    if (frame.reset) this.#follow(frame.reset);
    this.ticks.observe(frame.tick, this.clock.now());
    for (const { entityId } of changes.left) this.interpolation.forget(entityId);
    const time = this.ticks.timeOf(frame.tick);
    for (const { entityId, x, y, z, yaw } of changes.moved) this.interpolation.add(entityId, { time, x, y, z, yaw });
    if (changes.own) this.#emit("own", this.view.own);
    if (frame.correction && this.prediction) {
      this.prediction.correct(frame.correction);
      this.#emit("correction", frame.correction);
    }
    this.prediction?.acknowledge(frame.ack);
  }

  /** The views are of another zone: the player walked over a border. @param {import("./messages.js").ViewReset} reset */
  #follow({ zoneId, number }) {
    if (!this.world) return;
    const crossed = this.world.zone !== zoneId;
    this.world = { ...this.world, zone: zoneId, number };
    if (!crossed) return;
    const info = this.knownZones.find((each) => each.zone === zoneId);
    if (info) {
      this.world = { ...this.world, zoneName: info.name, bounds: info.bounds };
      this.#emit("world", this.world);
    }
    void this.#nameZone(zoneId); // zones may have been split or merged since they were asked for
  }

  /** Asks for a zone's name and bounds, and takes them over if the player is there. @param {string} zone */
  async #nameZone(zone) {
    try {
      await this.zones();
    } catch (error) {
      this.#emit("trouble", error);
      return;
    }
    const info = this.knownZones.find((each) => each.zone === zone);
    if (!info || this.world?.zone !== zone) return;
    this.world = { ...this.world, zoneName: info.name, bounds: info.bounds };
    this.#emit("world", this.world);
  }

  /** @param {string} zone */
  #zoneName(zone) {
    return this.knownZones.find((each) => each.zone === zone)?.name ?? zone;
  }

  #forgetOthers() {
    this.view.clear();
    this.interpolation.clear();
    this.ticks.clear();
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
