/**
 * The rows of a ViewFrame (PROTOCOL.md, "Views"): little-endian, no padding. Places are whole centimetres, so that differences add up
 * exactly.
 */

import { WireError } from "./wire.js";

export const PLACE_BYTES = 18;
export const MOVE_BYTES = 8;
/** Centimetres in a metre. */
export const CM = 100;

/**
 * @typedef {object} PlaceRow where an entity is
 * @property {number} number the entity
 * @property {number} sequence low 16 bits of the mover's own sequence
 * @property {number} x centimetres
 * @property {number} y
 * @property {number} z
 * @property {number} yaw radians, 0 to 2 pi
 *
 * @typedef {object} MoveRow by how much it moved
 * @property {number} number the entity
 * @property {number} sequence low 8 bits of the mover's own sequence
 * @property {number} dx centimetres
 * @property {number} dy
 * @property {number} dz
 * @property {number} yaw radians, 0 to 2 pi
 */

const RADIANS_PER_STEP = (2 * Math.PI) / 65_536;

/**
 * @param {Uint8Array} bytes
 * @returns {PlaceRow[]}
 * @throws {WireError} when the length is no whole number of rows
 */
export function placeRows(bytes) {
  return rows(bytes, PLACE_BYTES, (view, at) => ({
    number: view.getUint16(at, true),
    sequence: view.getUint16(at + 2, true),
    x: view.getInt32(at + 4, true),
    y: view.getInt32(at + 8, true),
    z: view.getInt32(at + 12, true),
    yaw: view.getUint16(at + 16, true) * RADIANS_PER_STEP,
  }));
}

/**
 * @param {Uint8Array} bytes
 * @returns {MoveRow[]}
 * @throws {WireError} when the length is no whole number of rows
 */
export function moveRows(bytes) {
  return rows(bytes, MOVE_BYTES, (view, at) => ({
    number: view.getUint16(at, true),
    sequence: view.getUint8(at + 2),
    dx: view.getInt8(at + 3),
    dy: view.getInt8(at + 4),
    dz: view.getInt8(at + 5),
    yaw: view.getUint16(at + 6, true) * RADIANS_PER_STEP,
  }));
}

/**
 * The next 16-bit sequence from `held` on that ends in the 8 bits of a move.
 * @param {number} held
 * @param {number} low
 */
export function newerSequence(held, low) {
  return (held + ((low - held) & 0xff)) & 0xffff;
}

/**
 * @template Row
 * @param {Uint8Array} bytes
 * @param {number} size
 * @param {(view: DataView, at: number) => Row} read
 * @returns {Row[]}
 */
function rows(bytes, size, read) {
  if (bytes.length % size !== 0) throw new WireError(`${bytes.length} bytes are no rows of ${size}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = [];
  for (let at = 0; at < bytes.length; at += size) found.push(read(view, at));
  return found;
}
