/**
 * Chat: channels that are joined again after a reconnect, history, direct messages that waited; each message told once.
 *
 * Channels: `zone` (the one the player is in), `global`, `party`, `say` and `shout` (those within hearing), `direct:<user id>`, and others by
 * name. `party`, `say`, `shout` and direct ones are not joined.
 *
 * Events, each a CustomEvent: `chat`, whose detail is the params of `chat.message`; `deleted`, {channel, message_id}; `invited`, {channel, from,
 * name}; `trouble`, an error.
 */

import { Asker } from "./asker.js";
import { repeat } from "./repeat.js";

const nothing = () => {};

/** What nobody else makes. */
function newId() {
  // Not randomUUID, which a page that came over plain HTTP does not have.
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Message ids remembered, to tell a message once that comes as an answer, as a notification and in the inbox. */
const REMEMBERED = 1024;

export class Channels extends EventTarget {
  /** @type {Set<string>} */
  #wanted = new Set();
  /** @type {Set<string>} */
  #told = new Set();
  /** One message at a time, so that one that has to be repeated is not overtaken. @type {Promise<void>} */
  #turn = Promise.resolve();
  /** The player's own, for messages that are told before the realm tells them. */
  userId = "";

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
    this.inbox = new Asker({
      connection,
      method: "chat.inbox",
      take: ({ messages }) => {
        for (const message of messages) this.receive({ ...message, waited: true });
      },
      trouble: (error) => this.#emit("trouble", error),
      next: ({ more, cursor = null }) => (more && cursor !== null ? { cursor } : null),
    });
    connection.addEventListener("ready", (event) => {
      const begun = this.userId !== "";
      this.userId = /** @type {CustomEvent} */ (event).detail.user_id;
      if (!begun) this.inbox.ask(); // later only after a gap
    });
    connection.addEventListener("gap", () => this.inbox.ask());
  }

  /** @param {string} channel as `zone`, `global` or a name */
  async join(channel) {
    this.#wanted.add(channel);
    await repeat(this.connection, "chat.channel.join", { channel });
  }

  /** @param {string} channel */
  async leave(channel) {
    if (this.#wanted.delete(channel)) await this.connection.request("chat.channel.leave", { channel });
  }

  /** Joins what was joined before; an error is told as an event `trouble`. */
  async rejoin() {
    for (const channel of this.#wanted) {
      try {
        await repeat(this.connection, "chat.channel.join", { channel });
      } catch (error) {
        this.#emit("trouble", error);
      }
    }
  }

  /**
   * Says something once, and in turn: if the connection is lost before the answer, it is said again on the next one, and the realm knows it for the same.
   * @param {string} channel
   * @param {string} text 1 to 500 characters
   * @param {string} name the sender's, for one's own screen
   */
  async say(channel, text, name) {
    const said = { channel, text, client_id: newId() };
    const answer = this.#turn.then(() => repeat(this.connection, "chat.message", said));
    this.#turn = answer.then(nothing, nothing); // who said it is told; the next one only waits
    const { message_id: messageId } = await answer;
    this.receive({ message_id: messageId, channel, from: this.userId, name, text, sent_at: Date.now() / 1000, mentions: [] });
  }

  /**
   * What was said before `cursor`, or most recently.
   * @param {string} channel
   * @param {string | null} [cursor]
   * @param {number} [limit]
   * @returns {Promise<{messages: Record<string, any>[], cursor: string | null}>} oldest first; no cursor: there are none before
   */
  async history(channel, cursor = null, limit = 30) {
    const asked = cursor === null ? { channel, limit } : { channel, limit, cursor };
    const { messages, cursor: before = null } = await this.connection.request("chat.history", asked);
    return { messages, cursor: before };
  }

  /**
   * Who is in a channel that has a list, a page at a time.
   * @param {string} channel
   * @param {string | null} [cursor] of the page before
   * @returns {Promise<{members: {user_id: string, name: string}[], cursor: string | null}>} no cursor: these were the last
   */
  async members(channel, cursor = null) {
    const asked = cursor === null ? { channel } : { channel, cursor };
    const { members, cursor: next = null } = await this.connection.request("chat.channel.members", asked);
    return { members, cursor: next };
  }

  /**
   * A channel of one's own, which nobody has used lately.
   * @param {string} channel
   * @param {{private?: boolean, slow_s?: number}} [settings] private: only who is invited may join; slow_s: seconds between two messages of one user
   * @returns {Promise<Record<string, any>>} {channel, owner, private, slow_s, created_at}
   * @throws {import("./pending.js").RpcError} -32005 `channel_taken`, `too_many_channels`
   */
  create(channel, settings = {}) {
    return this.connection.request("chat.channel.create", { channel, ...settings });
  }

  /**
   * For its owner, and moderators; what is left out stays. Who is in a channel that becomes private is invited.
   * @param {string} channel
   * @param {{private?: boolean, slow_s?: number}} settings
   * @returns {Promise<Record<string, any>>} {channel, owner, private, slow_s, created_at}
   */
  change(channel, settings) {
    return this.connection.request("chat.channel.change", { channel, ...settings });
  }

  /** Into a private channel of one's own. @param {string} channel @param {{user_id: string} | {name: string}} whom */
  async invite(channel, whom) {
    await this.connection.request("chat.channel.invite", { channel, ...whom });
  }

  /** Takes a message back, for moderators and the channel's owner. @param {string} channel @param {string} messageId */
  async delete(channel, messageId) {
    await this.connection.request("chat.delete", { channel, message_id: messageId });
  }

  /**
   * For moderators and the channel's owner.
   * @param {string} channel
   * @param {string} userId
   * @param {number} seconds from now on; 0 ends it
   * @returns {Promise<number>} until when, Unix seconds; 0: not at all
   */
  async mute(channel, userId, seconds) {
    return (await this.connection.request("chat.mute", { channel, user_id: userId, seconds })).until;
  }

  /** Direct messages that need not wait any longer. @param {string[]} messageIds */
  async markRead(messageIds) {
    await repeat(this.connection, "chat.read", { message_ids: messageIds });
  }

  /** @param {Record<string, any>} message params of `chat.message` */
  receive(message) {
    if (this.#told.has(message.message_id)) return;
    this.#told.add(message.message_id);
    if (this.#told.size > REMEMBERED) this.#told.delete(/** @type {string} */ (this.#told.values().next().value)); // the oldest
    this.#emit("chat", message);
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params of a notification
   * @returns {boolean} whether it was one of the chat
   */
  heed(method, params) {
    if (method === "chat.message") this.receive(params);
    else if (method === "chat.deleted") this.#emit("deleted", params);
    else if (method === "chat.invited") this.#emit("invited", params);
    else return false;
    return true;
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
