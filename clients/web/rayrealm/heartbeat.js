/**
 * Asks `system.ping` now and then: how long an answer takes, and whether one comes at all.
 */

import { NoAnswer } from "./pending.js";

export class Heartbeat {
  /** Seconds between an answer and the next ping. */
  static EVERY_S = 2;
  /** Seconds an answer may take. */
  static DEADLINE_S = 5;
  /** Pings without an answer, one after another, that make a connection dead. */
  static MOST_MISSED = 2;
  /** Answers the latency figure is the median of. */
  static SAMPLES = 5;

  /** Grows with every start and stop, so that an answer to an older run is ignored. */
  #run = 0;
  #missed = 0;
  /** @type {() => void} */
  #cancel = () => {};
  /** @type {number[]} */
  #samples = [];

  /**
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {() => Promise<unknown>} options.ping
   * @param {() => void} options.silent called once when the connection is dead
   */
  constructor({ clock, ping, silent }) {
    this.clock = clock;
    this.ping = ping;
    this.silent = silent;
  }

  /** Seconds, the median of the last answers; null before the first. */
  get latency() {
    if (this.#samples.length === 0) return null;
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[sorted.length >> 1];
  }

  start() {
    this.stop();
    this.#samples = [];
    this.#missed = 0;
    void this.#beat(this.#run);
  }

  stop() {
    this.#run += 1;
    this.#cancel();
  }

  /** @param {number} run */
  async #beat(run) {
    const sent = this.clock.now();
    try {
      await this.ping();
      if (run !== this.#run) return;
      this.#missed = 0;
      this.#samples.push(this.clock.now() - sent);
      if (this.#samples.length > Heartbeat.SAMPLES) this.#samples.shift();
    } catch (error) {
      if (run !== this.#run) return;
      // An error that the realm sent is an answer too.
      this.#missed = error instanceof NoAnswer ? this.#missed + 1 : 0;
      if (this.#missed >= Heartbeat.MOST_MISSED) {
        this.stop();
        this.silent();
        return;
      }
    }
    this.#cancel = this.clock.after(Heartbeat.EVERY_S, () => void this.#beat(run));
  }
}
