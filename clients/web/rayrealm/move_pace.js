/**
 * When to send a move: regularly while something changes, at once when the course changes, never too often.
 */
export class MovePace {
  #lastAt = -Infinity;
  #dueAt = -Infinity;

  /**
   * @param {object} [options]
   * @param {number} [options.regularHz] moves a second while walking
   * @param {number} [options.mostHz] moves a second when the course changes all the time
   */
  constructor({ regularHz = 10, mostHz = 15 } = {}) {
    this.everyS = 1 / regularHz;
    this.leastGapS = 1 / mostHz;
  }

  /**
   * @param {number} now seconds
   * @param {boolean} urgent the course has changed since the last move
   */
  isDue(now, urgent) {
    return urgent ? now - this.#lastAt >= this.leastGapS : now >= this.#dueAt;
  }

  /** @param {number} now seconds */
  sent(now) {
    this.#lastAt = now;
    // From when it was due, not from when a frame came round to it, else 10 a second become 8.6 at 60 frames a second.
    this.#dueAt = Math.max(this.#dueAt + this.everyS, now + this.leastGapS);
  }
}
