/**
 * What was said in one channel, as far as this page knows it.
 *
 * @typedef {{message: Record<string, any> | null, text: string}} Line a message, or (null) words of the page itself
 */

/** Lines kept; the oldest go first. */
const MOST_LINES = 300;

export class Conversation {
  /** @type {Line[]} */
  lines = [];
  unread = 0;
  /** Whether somebody spoke of the player since it was last read. */
  mentioned = false;
  /** For what was said before the first line; null: nothing was. Undefined: not asked yet. @type {string | null | undefined} */
  cursor = undefined;
  loading = false;
  /** Direct messages that the realm keeps until it is told. @type {string[]} */
  waiting = [];
  /** The same of sealed ones. @type {string[]} */
  sealedWaiting = [];
  /** @type {Set<string>} */
  #ids = new Set();

  /**
   * @param {string} key as `zone`, `global`, `party`, `direct:<user id>`
   * @param {string} title
   */
  constructor(key, title) {
    this.key = key;
    this.title = title;
  }

  get isDirect() {
    return this.key.startsWith("direct:");
  }

  /** The user at the other end of a direct conversation, else empty. */
  get other() {
    return this.isDirect ? this.key.slice("direct:".length) : "";
  }

  /** Whether the player may close it. */
  get isOwn() {
    return !["zone", "global", "party"].includes(this.key);
  }

  /** @param {Record<string, any>} message @returns {boolean} whether it is new */
  add(message) {
    if (this.#ids.has(message.message_id)) return false;
    this.#ids.add(message.message_id);
    this.#push({ message, text: String(message.text) });
    return true;
  }

  /** Words that nobody said. @param {string} text */
  tell(text) {
    this.#push({ message: null, text });
  }

  /** What was said before. @param {Record<string, any>[]} messages oldest first @param {string | null} cursor */
  addOlder(messages, cursor) {
    const older = messages.filter((message) => !this.#ids.has(message.message_id));
    for (const message of older) this.#ids.add(message.message_id);
    this.lines.unshift(...older.map((message) => ({ message, text: String(message.text) })));
    this.cursor = this.lines.length >= MOST_LINES ? null : cursor;
  }

  /** @param {string} messageId */
  remove(messageId) {
    this.lines = this.lines.filter((line) => line.message?.message_id !== messageId);
  }

  clear() {
    this.lines = [];
    this.unread = 0;
    this.mentioned = false;
    this.cursor = undefined;
    this.waiting = [];
    this.sealedWaiting = [];
    this.#ids.clear();
  }

  /** @param {Line} line */
  #push(line) {
    this.lines.push(line);
    if (this.lines.length > MOST_LINES) {
      const gone = this.lines.shift()?.message;
      if (gone) this.#ids.delete(gone.message_id);
    }
  }
}

/**
 * In which conversation a message is shown.
 * @param {Record<string, any>} message
 * @param {string} me the player's user id
 */
export function keyOf({ channel, from }, me) {
  if (channel.startsWith("direct:")) return from && from !== me ? `direct:${from}` : channel;
  return isNearby(channel) ? "zone" : channel;
}

/** Said where the player is. @param {string} channel */
export function isNearby(channel) {
  return channel === "zone" || channel === "say" || channel === "shout" || channel.startsWith("zone:");
}
