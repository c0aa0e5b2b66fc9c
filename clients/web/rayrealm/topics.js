/**
 * Server topics: what the game and the operator tell everybody who listens (PROTOCOL.md, `system.subscribe`).
 *
 * Events: `topic`, a CustomEvent whose detail is {topic, data}; `message`, {text, from}, from the operator to this player; `trouble`, an error.
 */

import { Asker } from "./asker.js";

export class Topics extends EventTarget {
  /** @type {Set<string>} */
  #wanted = new Set();

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
    const again = new Asker({
      connection,
      method: "system.subscribe",
      params: () => ({ topics: [...this.#wanted] }),
      take: () => {},
      trouble: (error) => this.#emit("trouble", error),
    });
    connection.addEventListener("ready", (event) => {
      const { resumed } = /** @type {CustomEvent} */ (event).detail;
      if (!resumed && this.#wanted.size > 0) again.ask(); // a new session listens to nothing
    });
  }

  /**
   * Listens, on later sessions too, unless the realm refuses.
   * @param {...string} topics
   * @throws {import("./pending.js").RpcError} -32000 for what the player may not hear, -32004 for too many
   */
  async subscribe(...topics) {
    await this.connection.request("system.subscribe", { topics });
    for (const topic of topics) this.#wanted.add(topic);
  }

  /** @param {...string} topics */
  async unsubscribe(...topics) {
    for (const topic of topics) this.#wanted.delete(topic);
    await this.connection.request("system.unsubscribe", { topics });
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params of a notification
   * @returns {boolean} whether it was for here
   */
  heed(method, params) {
    if (method === "system.topic") this.#emit("topic", params);
    else if (method === "system.message") this.#emit("message", params);
    else return false;
    return true;
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
