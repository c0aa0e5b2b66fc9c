/**
 * What the viewer sees: applies ViewFrames, in the order PROTOCOL.md prescribes, to a map of entities.
 *
 * @typedef {object} Entity
 * @property {number} number short name inside the zone
 * @property {string} entityId
 * @property {string} entityType
 * @property {string} name
 * @property {number} version of its properties
 * @property {Record<string, any>} properties
 * @property {boolean} linkDead its player has lost the connection and may come back
 * @property {number} x metres; where it was last seen, as are the rest
 * @property {number} y
 * @property {number} z
 * @property {number} yaw radians
 * @property {number} sequence low 16 bits of its own move sequence
 *
 * @typedef {object} Changes
 * @property {boolean} reset everything known before is gone
 * @property {number[]} left
 * @property {Entity[]} entered
 * @property {Entity[]} changed properties, or the connection of its player
 * @property {Entity[]} moved in this tick; what entered has moved too
 */

import { moveRows } from "./move_rows.js";
import { WireError } from "./wire.js";

export class View {
  constructor() {
    /** @type {Map<number, Entity>} */
    this.entities = new Map();
    /** Newest tick applied. */
    this.tick = 0;
    /** Newest of the viewer's own moves that the zone has judged. */
    this.ack = 0;
    /** Of the last reset. */
    this.zoneId = "";
    /** @type {number | bigint} */
    this.epoch = 0;
  }

  /** Forgets everything, as a reset does. */
  clear() {
    this.entities.clear();
  }

  /**
   * @param {import("./messages.js").ViewFrame} frame
   * @returns {Changes}
   * @throws {WireError} for rows or properties that are none; nothing has changed then
   */
  apply(frame) {
    const rows = moveRows(frame.moves); // before anything changes: a frame counts whole or not at all
    const properties = frame.states.map((state) => parseProperties(state.propertiesJson));
    /** @type {Changes} */
    const changes = { reset: false, left: [], entered: [], changed: [], moved: [] };
    this.tick = frame.tick;
    this.ack = frame.ack;
    if (frame.reset) {
      this.clear();
      this.zoneId = frame.reset.zoneId;
      this.epoch = frame.reset.epoch;
      changes.reset = true;
    }
    for (const number of frame.leaves) {
      if (this.entities.delete(number)) changes.left.push(number);
    }
    frame.states.forEach((state, index) => {
      const known = this.entities.get(state.number);
      const { number, entityId, entityType, name, version, linkDead } = state;
      const facts = { number, entityId, entityType, name, version, properties: properties[index], linkDead };
      if (known) {
        changes.changed.push(Object.assign(known, facts));
      } else {
        const entity = { ...facts, x: NaN, y: NaN, z: NaN, yaw: 0, sequence: 0 };
        this.entities.set(number, entity);
        changes.entered.push(entity);
      }
    });
    for (const row of rows) {
      const entity = this.entities.get(row.number);
      if (entity) changes.moved.push(Object.assign(entity, row));
    }
    return changes;
  }
}

/** @param {string} json */
function parseProperties(json) {
  let properties = {};
  try {
    if (json !== "") properties = JSON.parse(json);
  } catch {
    throw new WireError("properties are no JSON");
  }
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) {
    throw new WireError("properties are no object");
  }
  return properties;
}
