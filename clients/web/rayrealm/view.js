/**
 * What the viewer sees: applies ViewFrames, in the order PROTOCOL.md prescribes, to a map of entities. A frame counts whole or not at all.
 *
 * @typedef {object} OwnEntity the viewer's own, as its zone states it; where it is, is for the prediction to say
 * @property {number} number short name inside the zone
 * @property {string} entityId
 * @property {string} entityType
 * @property {string} name
 * @property {number} version of its properties
 * @property {Record<string, any>} properties
 * @property {boolean} linkDead its player has lost the connection and may come back
 *
 * @typedef {object} Standing
 * @property {{x: number, y: number, z: number} | null} cm whole centimetres; null before it was placed
 * @property {number} x metres; where it was last seen, as are the rest; NaN before it was placed
 * @property {number} y
 * @property {number} z
 * @property {number} yaw radians
 * @property {number} sequence low 16 bits of its own move sequence
 *
 * @typedef {OwnEntity & Standing} Entity
 *
 * @typedef {object} Changes who is in view before a reset and after it has neither left nor entered
 * @property {boolean} reset the zone said anew what there is: another zone, or the same once more
 * @property {boolean} zoneChanged the reset is of another zone, or of another incarnation of it
 * @property {boolean} own the viewer's own state was said or has changed
 * @property {Entity[]} left
 * @property {Entity[]} entered
 * @property {Entity[]} changed properties, or the connection of its player
 * @property {Set<Entity>} moved in this tick; what entered has moved too
 *
 * @typedef {Omit<import("./messages.js").EntityState, "propertiesJson"> & {properties: Record<string, any>}} ReadState
 */

import { CM, moveRows, newerSequence, placeRows } from "./move_rows.js";
import { WireError } from "./wire.js";

export class View {
  constructor() {
    /** By number, without the viewer's own. @type {Map<number, Entity>} */
    this.entities = new Map();
    /** Null before the zone has said it. @type {OwnEntity | null} */
    this.own = null;
    /** The viewer's own number; null before the first reset. @type {number | null} */
    this.number = null;
    /** Newest tick applied. */
    this.tick = 0;
    /** Newest of the viewer's own moves that the zone has judged. */
    this.ack = 0;
    /** Of the last reset. */
    this.zoneId = "";
    /** @type {number | bigint} */
    this.epoch = 0;
    this.ownIsWhole = false;
  }

  /** Forgets everything: out of the world. */
  clear() {
    this.entities.clear();
    this.own = this.number = null;
    this.zoneId = "";
    this.epoch = 0;
    this.ownIsWhole = false;
  }

  /**
   * @param {import("./messages.js").ViewFrame} frame
   * @returns {Changes}
   * @throws {WireError} for rows or properties that are none, and for what is about somebody whom the viewer does not hold; nothing
   *   has changed then
   */
  apply(frame) {
    const places = placeRows(frame.places);
    const moves = moveRows(frame.moves);
    const states = frame.states.map(readState);
    this.#check(frame, states, places, moves);
    const changes = this.#applySeldom(frame, states);
    this.tick = frame.tick;
    this.ack = frame.ack;
    for (const { number, sequence, x, y, z, yaw } of places) {
      const entity = /** @type {Entity} */ (this.entities.get(number));
      stand(entity, { x, y, z }, yaw, sequence);
      changes.moved.add(entity);
    }
    for (const { number, sequence, dx, dy, dz, yaw } of moves) {
      const entity = /** @type {Entity} */ (this.entities.get(number));
      const { x, y, z } = /** @type {NonNullable<Entity["cm"]>} */ (entity.cm);
      stand(entity, { x: x + dx, y: y + dy, z: z + dz }, yaw, newerSequence(entity.sequence, sequence));
      changes.moved.add(entity);
    }
    return changes;
  }

  /**
   * @param {import("./messages.js").ViewFrame} frame
   * @param {ReadState[]} states
   * @param {import("./move_rows.js").PlaceRow[]} places
   * @param {import("./move_rows.js").MoveRow[]} moves
   */
  #check({ reset, leaves }, states, places, moves) {
    const own = reset ? reset.number : this.number;
    let ownIsWhole = this.ownIsWhole && !reset;
    const gone = new Set(leaves);
    /** Whom the states name anew, and whether the viewer knows where. @type {Map<number, boolean>} */
    const fresh = new Map();
    const held = (/** @type {number} */ number) => (reset || gone.has(number) ? undefined : this.entities.get(number));
    for (const { number, entityId, change } of states) {
      const before = held(number);
      if (number === own) {
        if (change && !ownIsWhole) throw new WireError("a change of the own state, which was never whole");
        ownIsWhole = true;
      } else if (change) {
        if (!before && !fresh.has(number)) throw new WireError(`a change of ${number}, which is not in view`);
      } else if (!before || before.entityId !== entityId) {
        fresh.set(number, false);
      }
    }
    for (const { number } of places) {
      if (!fresh.has(number) && !held(number)) throw new WireError(`a place of ${number}, which is not in view`);
      fresh.set(number, true);
    }
    for (const { number } of moves) {
      if (!(fresh.get(number) ?? held(number)?.cm)) throw new WireError(`a move of ${number}, which has no place`);
    }
  }

  /**
   * @param {import("./messages.js").ViewFrame} frame
   * @param {ReadState[]} states
   * @returns {Changes}
   */
  #applySeldom({ reset, leaves }, states) {
    /** @type {Changes} */
    const changes = { reset: false, zoneChanged: false, own: false, left: [], entered: [], changed: [], moved: new Set() };
    /** Before a reset, by id: those that are stated again go on as the same. @type {Map<string, Entity>} */
    const known = new Map();
    if (reset) {
      for (const entity of this.entities.values()) known.set(entity.entityId, entity);
      this.entities.clear();
      changes.reset = true;
      changes.zoneChanged = this.zoneId !== reset.zoneId || this.epoch !== reset.epoch;
      this.zoneId = reset.zoneId;
      this.epoch = reset.epoch;
      this.number = reset.number;
      this.ownIsWhole = false;
      if (this.own) this.own.number = reset.number;
    }
    for (const number of leaves) {
      const entity = this.entities.get(number);
      if (!entity) continue;
      this.entities.delete(number);
      changes.left.push(entity);
    }
    for (const state of states) {
      if (state.number === this.number) this.#stateOwn(state, changes);
      else this.#state(state, known, changes);
    }
    changes.left.push(...known.values());
    return changes;
  }

  /** @param {ReadState} state @param {Changes} changes */
  #stateOwn(state, changes) {
    if (state.change && this.own) change(this.own, state);
    else this.own = { ...facts(state), properties: state.properties };
    this.ownIsWhole = true;
    changes.own = true;
  }

  /** @param {ReadState} state @param {Map<string, Entity>} known @param {Changes} changes */
  #state(state, known, changes) {
    const { number, entityId } = state;
    const entity = this.entities.get(number);
    if (entity && state.change) {
      changes.changed.push(change(entity, state));
      return;
    }
    const whole = { ...facts(state), properties: state.properties };
    if (entity && entity.entityId === entityId) {
      changes.changed.push(Object.assign(entity, whole));
      return;
    }
    if (entity) changes.left.push(entity); // the number means someone else now
    const before = known.get(entityId);
    known.delete(entityId);
    if (before) {
      this.entities.set(number, Object.assign(before, whole, { cm: null }));
      changes.changed.push(before);
    } else {
      const entered = { ...whole, cm: null, x: NaN, y: NaN, z: NaN, yaw: 0, sequence: 0 };
      this.entities.set(number, entered);
      changes.entered.push(entered);
    }
  }
}

/**
 * @param {import("./messages.js").EntityState} state
 * @returns {ReadState}
 * @throws {WireError} for properties that are none
 */
export function readState({ propertiesJson, ...state }) {
  let properties = {};
  try {
    if (propertiesJson !== "") properties = JSON.parse(propertiesJson);
  } catch {
    throw new WireError("properties are no JSON");
  }
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) {
    throw new WireError("properties are no object");
  }
  return { ...state, properties };
}

/** @param {ReadState} state */
function facts({ number, entityId, entityType, name, version, linkDead }) {
  return { number, entityId, entityType, name, version, linkDead };
}

/**
 * What changed since the last state of it; null takes a property away.
 * @template {OwnEntity} Changed
 * @param {Changed} entity
 * @param {ReadState} state
 * @returns {Changed}
 */
function change(entity, { version, linkDead, properties }) {
  const merged = { ...entity.properties };
  for (const [name, value] of Object.entries(properties)) {
    if (value === null) delete merged[name];
    else Object.defineProperty(merged, name, { value, writable: true, enumerable: true, configurable: true }); // also `__proto__`
  }
  return Object.assign(entity, { version, linkDead, properties: merged });
}

/** @param {Entity} entity @param {{x: number, y: number, z: number}} cm @param {number} yaw @param {number} sequence */
function stand(entity, cm, yaw, sequence) {
  Object.assign(entity, { cm, x: cm.x / CM, y: cm.y / CM, z: cm.z / CM, yaw, sequence });
}
