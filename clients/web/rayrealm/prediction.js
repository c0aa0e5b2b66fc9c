/**
 * One's own movement: shown at once, sent to the zone, put right when the zone disagrees (row 7.1).
 *
 * Moves stay in `pending` until the zone has judged them. A correction says where the player is after the newest move that was judged; the
 * moves after that one are walked again from there, and what is drawn glides to where they lead.
 *
 * @typedef {{x: number, z: number}} Steering direction on the ground; its length, at most 1, is the share of the speed
 * @typedef {{min_x: number, min_z: number, max_x: number, max_z: number}} Bounds metres
 * @typedef {{sequence: number, x: number, y: number, z: number, yaw: number, sentAt: number}} PendingMove
 */

import { mixAngle, wrapAngle } from "./angles.js";
import { MovePace } from "./move_pace.js";

/** Metres per second. */
export const WALKING_SPEED = 5;
/** Share of the zone's `max_speed` that is never exceeded: clocks differ, and rounding adds up. */
export const SPEED_SHARE = 0.9;
/** Distance kept from the zone's edge, metres: half a body. */
export const EDGE = 0.4;

/** Longest step in one go, seconds: a tab that slept does not leap. */
const MOST_STEP_S = 0.1;
/** A turn this large is a new course, radians. */
const NEW_COURSE = 0.2;
/** Moves kept; at 15 a second the zone has been silent for half a minute when they run out. */
const MOST_PENDING = 512;
/** A move that is not judged after this long is sent again, seconds: the zone may have died with it. */
const REPEAT_S = 1;
/** Time in which the drawn error falls to a third, seconds. */
const SMOOTHING_S = 0.09;
/** Errors beyond this are not smoothed but taken over, metres. */
const TELEPORT = 8;
/** Radians per second that the drawn figure turns. */
const TURN_SPEED = 14;

export class Prediction {
  /**
   * @param {object} options
   * @param {import("./messages.js").Vector3} options.position
   * @param {number} options.yaw
   * @param {Bounds} options.bounds of the land
   * @param {number} options.maxSpeed of the zone, metres per second
   * @param {number} options.sequence newest sequence that the zone has judged
   * @param {MovePace} [options.pace]
   */
  constructor({ position, yaw, bounds, maxSpeed, sequence, pace = new MovePace() }) {
    this.position = { ...position };
    this.yaw = yaw;
    this.bounds = bounds;
    this.speed = Math.min(WALKING_SPEED, maxSpeed * SPEED_SHARE);
    this.sequence = sequence;
    this.pace = pace;
    /** @type {PendingMove[]} oldest first */
    this.pending = [];
    /** Where the newest judged move led, as it was sent or corrected. */
    this.judged = { ...position };
    this.moving = false;
    /** What is drawn minus what is predicted; fades. */
    this.error = { x: 0, y: 0, z: 0 };
    this.drawnYaw = yaw;
    this.steppedAt = NaN;
    /** What the zone was told last. */
    this.told = { ...position, yaw, moving: false };
  }

  /** Where to draw the player. @returns {{x: number, y: number, z: number, yaw: number, moving: boolean}} */
  get shown() {
    const { position, error } = this;
    return { x: position.x + error.x, y: position.y + error.y, z: position.z + error.z, yaw: this.drawnYaw, moving: this.moving };
  }

  /** Whether the zone has been told all and has judged it. */
  get settled() {
    const { position, told } = this;
    return this.pending.length === 0 && !this.moving && !told.moving && position.x === told.x && position.z === told.z;
  }

  /**
   * Walks on.
   * @param {number} now seconds
   * @param {Steering} steering
   * @returns {PendingMove | null} a move to send now; it counts as sent
   */
  step(now, steering) {
    const elapsed = Number.isNaN(this.steppedAt) ? 0 : Math.min(MOST_STEP_S, Math.max(0, now - this.steppedAt));
    this.steppedAt = now;
    this.#walk(elapsed, steering);
    this.#settle(elapsed);
    return this.#nextMove(now);
  }

  /** The zone has judged all moves up to this one. @param {number} ack */
  acknowledge(ack) {
    this.sequence = Math.max(this.sequence, ack);
    while (this.pending.length > 0 && this.pending[0].sequence <= ack) {
      const { x, y, z } = /** @type {PendingMove} */ (this.pending.shift());
      this.judged = { x, y, z };
    }
  }

  /**
   * The zone refused a move.
   * @param {import("./messages.js").Correction} correction
   */
  correct({ sequence, position, yaw }) {
    if (!position) return;
    this.acknowledge(sequence);
    const from = this.judged;
    const shift = { x: position.x - from.x, y: position.y - from.y, z: position.z - from.z };
    this.judged = { ...position };
    for (const move of this.pending) {
      move.x += shift.x;
      move.y += shift.y;
      move.z += shift.z;
    }
    // A later move that was under way may have been taken as it was sent. So the zone is told anew, even by a player who stands.
    this.told.x = NaN;
    const { x, y, z } = this.position;
    this.#moveTo({
      x: this.#insideX(x + shift.x, position.x),
      y: y + shift.y,
      z: this.#insideZ(z + shift.z, position.z),
    });
    if (!this.moving) this.yaw = yaw;
  }

  /**
   * The zone says where the player is, whatever was sent: after an entry or a resumed session.
   * @param {import("./messages.js").Vector3} position
   * @param {number} yaw
   * @param {number} sequence newest that the zone has judged
   */
  rebase(position, yaw, sequence) {
    this.pending = [];
    this.judged = { ...position };
    this.sequence = Math.max(this.sequence, sequence);
    this.#moveTo(position);
    this.yaw = yaw;
    this.told = { ...position, yaw, moving: false };
  }

  /** @param {import("./messages.js").Vector3} target */
  #moveTo(target) {
    const { position, error } = this;
    error.x += position.x - target.x;
    error.y += position.y - target.y;
    error.z += position.z - target.z;
    if (Math.hypot(error.x, error.y, error.z) > TELEPORT) this.error = { x: 0, y: 0, z: 0 };
    this.position = { x: target.x, y: target.y, z: target.z };
  }

  /** @param {number} elapsed @param {Steering} steering */
  #walk(elapsed, steering) {
    const length = Math.hypot(steering.x, steering.z);
    this.moving = length > 0.01;
    if (!this.moving) return;
    const distance = (this.speed * elapsed) / Math.max(1, length);
    this.yaw = wrapAngle(Math.atan2(steering.x, steering.z));
    const { x, z } = this.position;
    this.position.x = this.#insideX(x + steering.x * distance, x);
    this.position.z = this.#insideZ(z + steering.z * distance, z);
  }

  /** Lets the drawn error and the drawn turn fade. @param {number} elapsed */
  #settle(elapsed) {
    const left = Math.exp(-elapsed / SMOOTHING_S);
    this.error.x *= left;
    this.error.y *= left;
    this.error.z *= left;
    const turn = Math.abs(wrapAngle(this.yaw - this.drawnYaw));
    const share = turn === 0 ? 1 : Math.min(1, (TURN_SPEED * elapsed) / turn);
    this.drawnYaw = wrapAngle(mixAngle(this.drawnYaw, this.yaw, share));
  }

  /** @param {number} now @returns {PendingMove | null} */
  #nextMove(now) {
    const { position, yaw, moving, told } = this;
    const newCourse = moving !== told.moving || Math.abs(wrapAngle(yaw - told.yaw)) > NEW_COURSE;
    const changed = newCourse || position.x !== told.x || position.z !== told.z || yaw !== told.yaw;
    const newest = this.pending.at(-1);
    const overdue = newest !== undefined && now - newest.sentAt > REPEAT_S;
    if (!(changed && this.pace.isDue(now, newCourse)) && !overdue) return null;
    this.pace.sent(now);
    this.sequence += 1;
    this.told = { ...position, yaw, moving };
    const move = { sequence: this.sequence, ...position, yaw, sentAt: now };
    this.pending.push(move);
    if (this.pending.length > MOST_PENDING) this.pending.shift();
    return { ...move };
  }

  /** Keeps off the edge, but does not push back who stands beyond it already. @param {number} x @param {number} from */
  #insideX(x, from) {
    const low = Math.min(this.bounds.min_x + EDGE, from);
    const high = Math.max(this.bounds.max_x - EDGE, from);
    return Math.min(high, Math.max(low, x));
  }

  /** @param {number} z @param {number} from */
  #insideZ(z, from) {
    const low = Math.min(this.bounds.min_z + EDGE, from);
    const high = Math.max(this.bounds.max_z - EDGE, from);
    return Math.min(high, Math.max(low, z));
  }
}
