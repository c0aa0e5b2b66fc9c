/** Asks for something as a whole, again whenever it may have changed: one request at a time, and never an old answer last. */

import { Backoff } from "./backoff.js";

/** Attempts before it is given up; with the backoff, about half a minute. */
const MOST_ATTEMPTS = 6;
/** Of an answer that comes in pages; the rest is left. */
const MOST_PAGES = 10;
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
   * @param {() => Record<string, any> | undefined} [options.params]
   * @param {(result: Record<string, any>) => void} options.take
   * @param {(error: unknown) => void} options.trouble
   * @param {(result: Record<string, any>) => Record<string, any> | null} [options.next] the params that ask for the page after it; null: that was all
   */
  constructor({ connection, method, params = () => undefined, take, trouble, next = () => null }) {
    this.connection = connection;
    this.method = method;
    this.params = params;
    this.take = take;
    this.trouble = trouble;
    this.next = next;
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
        await this.#pages();
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

  async #pages() {
    const { connection, method } = this;
    /** @type {Record<string, any> | null | undefined} */
    let params = this.params();
    for (let page = 0; page < MOST_PAGES && params !== null; page += 1) {
      const asked = params;
      const answer = (turns.get(connection) ?? Promise.resolve()).then(() => connection.request(method, asked));
      turns.set(connection, answer.catch(nothing)); // the next one only waits
      const result = await answer;
      this.take(result);
      params = this.next(result);
    }
  }
}
