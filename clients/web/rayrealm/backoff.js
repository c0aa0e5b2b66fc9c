/** How long to wait before the next attempt: full jitter over a limit that doubles. */
export class Backoff {
  /**
   * @param {object} [options]
   * @param {number} [options.firstS] the first limit, seconds
   * @param {number} [options.mostS] the last limit, seconds
   * @param {() => number} [options.random] 0 up to, not including, 1
   */
  constructor({ firstS = 0.5, mostS = 20, random = Math.random } = {}) {
    this.firstS = firstS;
    this.mostS = mostS;
    this.random = random;
    /** Attempts since things last went well. */
    this.attempts = 0;
  }

  /** Seconds to wait now; the limit doubles for the next time. */
  next() {
    const limit = Math.min(this.mostS, this.firstS * 2 ** Math.min(this.attempts, 30));
    this.attempts += 1;
    return this.random() * limit;
  }

  reset() {
    this.attempts = 0;
  }
}
