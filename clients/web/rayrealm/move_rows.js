/**
 * The rows of `ViewFrame.moves` (PROTOCOL.md, "Views"): 18 bytes each, little-endian, no padding.
 */

import { WireError } from "./wire.js";

export const ROW_BYTES = 18;

/**
 * @typedef {object} MoveRow
 * @property {number} number the entity
 * @property {number} sequence low 16 bits of the mover's own sequence
 * @property {number} x metres
 * @property {number} y
 * @property {number} z
 * @property {number} yaw radians, 0 to 2 pi
 */

const RADIANS_PER_STEP = (2 * Math.PI) / 65_536;

/**
 * @param {Uint8Array} bytes
 * @returns {MoveRow[]}
 * @throws {WireError} when the length is no whole number of rows
 */
export function moveRows(bytes) {
  if (bytes.length % ROW_BYTES !== 0) throw new WireError(`${bytes.length} bytes are no rows of ${ROW_BYTES}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows = [];
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    rows.push({
      number: view.getUint16(at, true),
      sequence: view.getUint16(at + 2, true),
      x: view.getFloat32(at + 4, true),
      y: view.getFloat32(at + 8, true),
      z: view.getFloat32(at + 12, true),
      yaw: view.getUint16(at + 16, true) * RADIANS_PER_STEP,
    });
  }
  return rows;
}
