/**
 * Friends, requests and blocks (PROTOCOL.md, "Friends").
 *
 * Events: `lists`, the lists were asked for anew; `changed`, a CustomEvent whose detail is {kind, user_id, name, at}; `trouble`.
 *
 * @typedef {{user_id: string, name: string, at: number}} Known somebody, and since when, Unix seconds
 * @typedef {Known & {presence: import("./presences.js").Presence}} Friend
 * @typedef {{friends: Friend[], incoming: Known[], outgoing: Known[], blocked: Known[]}} FriendLists
 */

import { Asker } from "./asker.js";

export class Friends extends EventTarget {
  /** @type {FriendLists} */
  lists = { friends: [], incoming: [], outgoing: [], blocked: [] };

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
    this.asker = new Asker({
      connection,
      method: "friends.list",
      take: (lists) => {
        this.lists = /** @type {FriendLists} */ (lists);
        this.#emit("lists", this.lists);
      },
      trouble: (error) => this.#emit("trouble", error),
    });
  }

  /** Asks for the lists; what is asked meanwhile is asked once more after that. */
  refresh() {
    this.asker.ask();
  }

  /** @param {{user_id: string} | {name: string}} whom @returns {Promise<Record<string, any>>} {user_id, result} */
  request(whom) {
    return this.#do("request", whom);
  }

  /** @param {string} userId */
  accept(userId) {
    return this.#do("accept", { user_id: userId });
  }

  /** @param {string} userId */
  decline(userId) {
    return this.#do("decline", { user_id: userId });
  }

  /** Takes back a request of one's own. @param {string} userId */
  cancel(userId) {
    return this.#do("cancel", { user_id: userId });
  }

  /** @param {string} userId */
  remove(userId) {
    return this.#do("remove", { user_id: userId });
  }

  /** @param {{user_id: string} | {name: string}} whom */
  block(whom) {
    return this.#do("block", whom);
  }

  /** @param {string} userId */
  unblock(userId) {
    return this.#do("unblock", { user_id: userId });
  }

  /** @param {Record<string, any>} change params of `friends.changed` */
  receive(change) {
    this.#emit("changed", change);
    this.refresh();
  }

  /** @param {string} what @param {Record<string, any>} params */
  async #do(what, params) {
    try {
      return await this.connection.request(`friends.${what}`, params);
    } finally {
      this.refresh(); // a refusal tells that the lists are old, and no answer that it may have been done
    }
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
