/**
 * Chat channels: joined again after a reconnect, each message told once.
 *
 * Events: `chat`, a CustomEvent whose detail is the params of `chat.message`.
 */

import { repeat } from "./repeat.js";

const nothing = () => {};

/** What nobody else makes. */
function newId() {
  // Not randomUUID, which a page that came over plain HTTP does not have.
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Message ids remembered, to tell a message once that comes both as an answer and as a notification. */
const REMEMBERED = 256;

export class Channels extends EventTarget {
  /** @type {Set<string>} */
  #wanted = new Set();
  /** @type {string[]} */
  #told = [];
  /** One message at a time, so that one that has to be repeated is not overtaken. @type {Promise<void>} */
  #turn = Promise.resolve();

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
  }

  /** @param {string} channel as `global` or `zone:zon_meadow` */
  async join(channel) {
    this.#wanted.add(channel);
    await this.connection.request("chat.channel.join", { channel });
  }

  /** @param {string} channel */
  async leave(channel) {
    if (this.#wanted.delete(channel)) await this.connection.request("chat.channel.leave", { channel });
  }

  /** Joins what was joined before; an error is told as an event `trouble`. */
  async rejoin() {
    for (const channel of this.#wanted) {
      try {
        await this.connection.request("chat.channel.join", { channel });
      } catch (error) {
        this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
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
    this.receive({ message_id: messageId, channel, from: "", name, text, sent_at: Date.now() / 1000 });
  }

  /** @param {Record<string, any>} message params of `chat.message` */
  receive(message) {
    if (this.#told.includes(message.message_id)) return;
    this.#told.push(message.message_id);
    if (this.#told.length > REMEMBERED) this.#told.shift();
    this.dispatchEvent(new CustomEvent("chat", { detail: message }));
  }
}
