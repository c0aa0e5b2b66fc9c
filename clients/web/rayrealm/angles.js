/** Angles in radians, where a full turn is the same as none. */

const TURN = 2 * Math.PI;

/** The same angle in -pi up to, not including, pi. @param {number} angle */
export function wrapAngle(angle) {
  return angle - TURN * Math.floor((angle + Math.PI) / TURN);
}

/** From `a` to `b` the short way round. @param {number} a @param {number} b @param {number} share 0 to 1 */
export function mixAngle(a, b, share) {
  return a + wrapAngle(b - a) * share;
}
