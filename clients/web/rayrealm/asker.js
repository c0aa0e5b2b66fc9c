/** Asks for something as a whole, again whenever it may have changed: one request at a time, and never an old answer last. */

import { Backoff } from "./backoff.js";

/** Attempts before it is given up; with the backoff, about half a minute. */
const MOST_ATTEMPTS = 6;
/** Askers of one connection take turns: a realm grants few requests at once. @type {WeakMap<object, Promise<unknown>>} */
const turns = new WeakMap();
const nothing = () => {};

export class Asker {
  #asking = false;
  #again = false;

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {string} options.method
   * @param {(result: Record<string, any>) => void} options.take
   * @param {(error: unknown) => void} options.trouble
   */
  constructor({ connection, method, take, trouble }) {
    this.connection = connection;
    this.method = method;
    this.take = take;
    this.trouble = trouble;
  }

  ask() {
    this.#again = true;
    if (!this.#asking) void this.#run();
  }

  async #run() {
    const { connection } = this;
    const backoff = new Backoff({ firstS: 0.5, mostS: 10, random: connection.random });
    let attempts = 0;
    this.#asking = true;
    await null; // whoever else asks right now is answered, too
    while (this.#again && connection.ready) {
      this.#again = false;
      try {
        const answer = (turns.get(connection) ?? Promise.resolve()).then(() => connection.request(this.method));
        turns.set(connection, answer.catch(nothing)); // the next one only waits
        this.take(await answer);
        attempts = 0;
      } catch (error) {
        if (!connection.ready) break; // the next connection asks
        attempts += 1;
        if (attempts >= MOST_ATTEMPTS) {
          this.trouble(error);
          break;
        }
        this.#again = true;
        const wait = 0.2 + backoff.next();
        await /** @type {Promise<void>} */ (new Promise((resolve) => void connection.clock.after(wait, resolve)));
      }
    }
    this.#asking = false;
  }
}
