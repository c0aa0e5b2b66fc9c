/**
 * How the player is, and how others are (PROTOCOL.md, "Presence").
 *
 * Events: `presence`, a CustomEvent whose detail is a Presence that is newer than what was known; `trouble`, with an error.
 *
 * @typedef {object} Presence
 * @property {string} user_id
 * @property {string} status online, away, busy or offline; invisible of oneself
 * @property {string | null} [zone]
 * @property {string | null} [character_id]
 * @property {string} [name] of the character
 * @property {string} [text]
 * @property {number} [version] grows with every change of the user
 * @property {number} [last_online] of friends who are offline, Unix seconds
 */

import { Backoff } from "./backoff.js";
import { RpcError } from "./pending.js";

/** Attempts before it is given up; with the backoff, about half a minute. */
const MOST_ATTEMPTS = 6;
/** The error of more subscriptions than a session may have: trying again is of no use. */
const TOO_MANY = -32004;

export class Presences extends EventTarget {
  /** The newest of each who is followed. @type {Map<string, Presence>} */
  known = new Map();
  /** What the player chose, and a new session has to be told. @type {{status?: string, text?: string}} */
  chosen = {};
  /** @type {Set<string>} */
  #wanted = new Set();
  /** @type {Set<string>} */
  #watched = new Set();
  #busy = false;

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
  }

  /**
   * @param {{status?: string, text?: string}} changes status: online, away, busy or invisible
   * @returns {Promise<Record<string, any>>} all of it, as the realm has it
   */
  async update(changes) {
    const result = await this.connection.request("presence.update", changes);
    Object.assign(this.chosen, changes);
    return result;
  }

  /**
   * Who may see the zone, and the character with its name. What is left out stays; the realm keeps it.
   * @param {{zone?: "all" | "friends" | "nobody", character?: "all" | "friends" | "nobody"}} changes
   * @returns {Promise<Record<string, any>>} {zone, character}
   */
  privacy(changes) {
    return this.connection.request("presence.privacy", changes);
  }

  /** How these are at this moment, without following them; at most 500. @param {Iterable<string>} userIds @returns {Promise<Presence[]>} */
  async get(userIds) {
    return (await this.connection.request("presence.get", { user_ids: [...userIds] })).presences;
  }

  /** Follows these, and nobody else; at most 200. @param {Iterable<string>} userIds */
  follow(userIds) {
    this.#wanted = new Set(userIds);
    for (const userId of this.known.keys()) if (!this.#wanted.has(userId)) this.known.delete(userId);
    void this.#adjust();
  }

  /** A new session: it follows nobody, and knows nothing of what was chosen. */
  startOver() {
    this.#watched.clear();
    if (Object.keys(this.chosen).length > 0) {
      this.connection.request("presence.update", this.chosen).catch((error) => this.#emit("trouble", error));
    }
    void this.#adjust();
  }

  /** A connection of the same session: what could not be asked before. */
  goOn() {
    void this.#adjust();
  }

  /** Changes may have been missed: ask how everybody is. */
  askAnew() {
    this.#watched.clear();
    void this.#adjust();
  }

  /** From a notification or an answer, which may overtake each other. @param {Presence} presence */
  note(presence) {
    const known = this.known.get(presence.user_id);
    if (known && (presence.version ?? 0) < (known.version ?? 0)) return;
    this.known.set(presence.user_id, presence);
    this.#emit("presence", presence);
  }

  /** One request at a time, until what is followed is what is wanted. */
  async #adjust() {
    const { connection } = this;
    if (this.#busy || !connection.ready) return;
    this.#busy = true;
    await null; // a new session and a gap are told one after the other
    const backoff = new Backoff({ firstS: 0.5, mostS: 10, random: connection.random });
    for (let attempts = 0; connection.ready && attempts < MOST_ATTEMPTS; ) {
      try {
        if (!(await this.#step())) break;
        attempts = 0;
      } catch (error) {
        if (!connection.ready) break; // the next connection goes on
        attempts = error instanceof RpcError && error.code === TOO_MANY ? MOST_ATTEMPTS : attempts + 1;
        if (attempts === MOST_ATTEMPTS) this.#emit("trouble", error);
        const wait = 0.2 + backoff.next();
        await /** @type {Promise<void>} */ (new Promise((resolve) => void connection.clock.after(wait, resolve)));
      }
    }
    this.#busy = false;
  }

  /** @returns {Promise<boolean>} whether there was anything to do */
  async #step() {
    const more = [...this.#wanted].filter((userId) => !this.#watched.has(userId));
    const less = [...this.#watched].filter((userId) => !this.#wanted.has(userId));
    if (less.length > 0) {
      await this.connection.request("presence.unsubscribe", { user_ids: less });
      for (const userId of less) this.#watched.delete(userId);
    } else if (more.length > 0) {
      for (const userId of more) this.#watched.add(userId); // before: a gap meanwhile asks again
      try {
        const { presences } = await this.connection.request("presence.subscribe", { user_ids: more });
        for (const presence of presences) if (this.#wanted.has(presence.user_id)) this.note(presence);
      } catch (error) {
        for (const userId of more) this.#watched.delete(userId);
        throw error;
      }
    }
    return less.length + more.length > 0;
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
