/**
 * Requests that wait for their responses: ids, deadlines, a bound.
 */

import { unpackAny } from "./messages.js";

/** The realm answered with a JSON-RPC error; PROTOCOL.md lists the codes. */
export class RpcError extends Error {
  /**
   * @param {number} code
   * @param {string} message
   * @param {Record<string, any>} data
   */
  constructor(code, message, data) {
    super(message || `error ${code}`);
    this.name = "RpcError";
    this.code = code;
    this.data = data;
  }
}

/** No answer: not in time, or the socket is gone. Whether the realm has acted is not known. */
export class NoAnswer extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "NoAnswer";
  }
}

/** The connection ended under way, or there is none. */
export class ConnectionGone extends NoAnswer {}

/** @typedef {{resolve: (result: Record<string, any>) => void, reject: (error: Error) => void, cancel: () => void}} Waiting */

export class PendingRequests {
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #lastId = 0;
  /** @type {(() => void)[]} */
  #whenIdle = [];

  /**
   * @param {import("./clock.js").Clock} clock
   * @param {number} [limit] at once
   */
  constructor(clock, limit = 32) {
    this.clock = clock;
    this.limit = limit;
  }

  /**
   * Makes an id, and a promise for its result.
   * @param {string} method for the message of an error
   * @param {number} deadlineS seconds
   * @returns {{id: number, result: Promise<Record<string, any>>}}
   */
  open(method, deadlineS) {
    if (this.#waiting.size >= this.limit) throw new NoAnswer(`${method}: ${this.limit} requests are waiting already`);
    this.#lastId += 1;
    const id = this.#lastId;
    /** @type {Promise<Record<string, any>>} */
    const result = new Promise((resolve, reject) => {
      const cancel = this.clock.after(deadlineS, () => {
        this.#waiting.delete(id);
        this.#tellIdle();
        reject(new NoAnswer(`${method}: no answer within ${deadlineS} s`));
      });
      this.#waiting.set(id, { resolve, reject, cancel });
    });
    return { id, result };
  }

  /**
   * @param {import("./messages.js").WebSocketMessage} message one with a response
   * @returns {boolean} whether somebody was waiting for it
   */
  settle(message) {
    const id = Number(message.idNumber ?? NaN);
    const waiting = this.#waiting.get(id);
    if (!waiting || !message.response) return false;
    this.#waiting.delete(id);
    waiting.cancel();
    const { result, error } = message.response;
    try {
      if (error) waiting.reject(new RpcError(error.code, error.message, unpackAny(error.data)));
      else waiting.resolve(unpackAny(result));
    } catch (wrong) {
      waiting.reject(/** @type {Error} */ (wrong));
    }
    this.#tellIdle();
    return true;
  }

  /** @param {string} why everything that waits is told this */
  abandon(why) {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiting of all) {
      waiting.cancel();
      waiting.reject(new ConnectionGone(why));
    }
    this.#tellIdle();
  }

  /** Calls `action` when nothing waits for an answer any more; once. @param {() => void} action */
  whenIdle(action) {
    this.#whenIdle.push(action);
    this.#tellIdle();
  }

  #tellIdle() {
    if (this.#waiting.size > 0) return;
    for (const action of this.#whenIdle.splice(0)) action();
  }
}
