/**
 * Where the others are at a moment between ticks: a short history per entity, and what lies between two entries of it. Entities go by
 * their ids: numbers are a zone's own, and whoever crosses a border gets to see the same ones under others.
 *
 * @typedef {{time: number, x: number, y: number, z: number, yaw: number}} Snapshot zone time in seconds, metres, radians
 * @typedef {{x: number, y: number, z: number, yaw: number, speed: number}} Pose speed in metres per second
 */

import { mixAngle } from "./angles.js";

/** Entries kept per entity. */
const HISTORY = 32;
/** A longer silence between two entries means that the entity stood still first, seconds. */
const STOOD_S = 0.25;
/** How long a step takes that ends such a silence, seconds: movers send 10 moves a second. */
const STEP_S = 0.1;
/** The zone has told of ticks this much newer without the entity: it stands, nothing is guessed, seconds. */
const STANDS_S = 0.13;
/** Faster than this is no walk but a jump, metres per second. */
const JUMP_SPEED = 60;
/** How far ahead of the last entry to guess, seconds. */
const GUESS_S = 0.1;
/** How long to glide back when the guess was not confirmed, seconds. */
const RETURN_S = 0.25;

export class Interpolation {
  /** @type {Map<string, Snapshot[]>} */
  #tracks = new Map();

  clear() {
    this.#tracks.clear();
  }

  /** @param {string} entityId */
  forget(entityId) {
    this.#tracks.delete(entityId);
  }

  /**
   * @param {string} entityId
   * @param {Snapshot} snapshot newer than the ones before
   */
  add(entityId, snapshot) {
    const track = this.#tracks.get(entityId);
    if (!track) {
      this.#tracks.set(entityId, [snapshot]);
      return;
    }
    const last = track[track.length - 1];
    if (snapshot.time <= last.time) return;
    if (snapshot.time - last.time > STOOD_S) track.push({ ...last, time: snapshot.time - STEP_S });
    track.push(snapshot);
    if (track.length > HISTORY) track.splice(0, track.length - HISTORY);
  }

  /**
   * @param {string} entityId
   * @param {number} time zone time, seconds
   * @param {number} newestTime of the newest tick that arrived: when it is clearly newer than the entity's last entry, the entity
   *   stands still and nothing is guessed
   * @returns {Pose | null} null for an entity that is not known
   */
  sample(entityId, time, newestTime) {
    const track = this.#tracks.get(entityId);
    if (!track) return null;
    const last = track[track.length - 1];
    if (!(time < last.time)) return ahead(track, time, newestTime);
    let after = track.length - 1;
    while (after > 0 && track[after - 1].time > time) after -= 1;
    if (after === 0) return still(track[0]);
    const a = track[after - 1];
    const b = track[after];
    const speed = speedBetween(a, b);
    if (speed > JUMP_SPEED) return still(a);
    const share = (time - a.time) / (b.time - a.time);
    return {
      x: a.x + (b.x - a.x) * share,
      y: a.y + (b.y - a.y) * share,
      z: a.z + (b.z - a.z) * share,
      yaw: mixAngle(a.yaw, b.yaw, share),
      speed,
    };
  }
}

/**
 * Past the last entry: goes on for a moment, slowing down, then back to where the entity was last seen.
 * @param {Snapshot[]} track
 * @param {number} time
 * @param {number} newestTime
 * @returns {Pose}
 */
function ahead(track, time, newestTime) {
  const last = track[track.length - 1];
  const before = track[track.length - 2];
  if (!before || newestTime - last.time > STANDS_S || last.time - before.time > STOOD_S) return still(last);
  const speed = speedBetween(before, last);
  if (speed > JUMP_SPEED) return still(last);
  const late = time - last.time;
  const guess = Math.min(late, GUESS_S);
  const slowing = guess - (guess * guess) / (2 * GUESS_S); // seconds of travel at full speed
  const back = Math.min(1, Math.max(0, (late - GUESS_S) / RETURN_S));
  const share = (slowing * (1 - back)) / (last.time - before.time);
  return {
    x: last.x + (last.x - before.x) * share,
    y: last.y + (last.y - before.y) * share,
    z: last.z + (last.z - before.z) * share,
    yaw: last.yaw,
    speed: late < GUESS_S ? speed : 0,
  };
}

/** @param {Snapshot} snapshot @returns {Pose} */
function still({ x, y, z, yaw }) {
  return { x, y, z, yaw, speed: 0 };
}

/** @param {Snapshot} a @param {Snapshot} b */
function speedBetween(a, b) {
  return Math.hypot(b.x - a.x, b.y - a.y, b.z - a.z) / (b.time - a.time);
}
