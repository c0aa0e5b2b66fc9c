/**
 * Sealed messages as they come: opened together, in their order, each once; what can never be opened leaves the inbox, and what cannot be opened now
 * is asked for again.
 *
 * @typedef {{id: string, from: string, to: string, name: string, jwe: string, turn: number}} Item `turn`: what the realm had been asked when it came
 * @typedef {{message_id: string, from: string, to: string, name: string, text: string, at: number}} Said
 */

import { Asker } from "./asker.js";
import { Backoff } from "./backoff.js";
import { BadSeal } from "./key_records.js";
import { RpcError } from "./pending.js";
import { read, unseal } from "./sealing.js";

const REMEMBERED = 1024;
const MOST_WAITING = 256;
/** Messages that are opened together: their senders are asked about in one request. */
const AT_ONCE = 50;
/** Of one `sealed.read`. */
const MOST_TAKEN_OUT = 200;
/** Times in a row that the inbox is asked again for what could not be opened now. */
const LATER = 6;
const RATE_LIMITED = -32001;
/** Reasons that newer keys of the sender may change. */
const OF_KEYS = new Set(["no_keys", "bad_signature", "identity_changed"]);
/** Reasons that nothing will change: such messages leave the inbox, where others wait for their place. */
const FINAL = new Set(["cannot_open", "bad_signature", "wrong_sender", "wrong_receiver", "wrong_time", "malformed", "replayed"]);

export class Opening {
  /** The realm's id of a message -> its key, and when it was said. @type {Map<string, {key: string, at: number}>} */
  #told = new Map();
  /** The realm's id -> why. @type {Map<string, string>} */
  #passedOver = new Map();
  /** The realm's ids of what is to leave the inbox. @type {Set<string>} */
  #unwanted = new Set();
  /** In the order in which they came. @type {Item[]} */
  #waiting = [];
  #working = false;
  /** Something waits in the inbox that was not opened when it came: seconds until it is asked for. @type {number | null} */
  #laterS = null;
  /** @type {(() => void) | null} */
  #timer = null;
  #backoff;
  /** When the inbox was asked, as a turn of `people`. */
  #inboxTurn = 0;

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {import("./sealed_people.js").People} options.people
   * @param {() => import("./keyring.js").Keyring} options.own
   * @param {() => boolean} options.isReady whether anything can be opened here
   * @param {() => number} options.now Unix seconds
   * @param {(said: Said) => Promise<void>} options.take
   * @param {(unopened: {message_id: string, from: string, reason: string}) => void} options.passOver
   * @param {(error: unknown) => void} options.trouble
   */
  constructor({ connection, people, own, isReady, now, take, passOver, trouble }) {
    this.connection = connection;
    this.people = people;
    this.own = own;
    this.isReady = isReady;
    this.now = now;
    this.tell = take;
    this.passOver = passOver;
    this.trouble = trouble;
    this.#backoff = new Backoff({ random: connection.random });
    const mine = () => ({ device: this.own().keys.device.device });
    this.inbox = new Asker({
      connection,
      method: "sealed.inbox",
      params: () => {
        this.#inboxTurn = this.people.turn;
        return mine();
      },
      take: ({ messages }) => messages.forEach((/** @type {Record<string, any>} */ message) => this.#queue(message, this.#inboxTurn)),
      trouble,
      next: ({ more, cursor = null }) => (more && cursor !== null ? { ...mine(), cursor } : null),
    });
    connection.addEventListener("gap", () => this.askInbox());
    connection.addEventListener("ready", () => {
      this.#backoff.reset();
      if (this.#laterS !== null) this.askInbox();
    });
  }

  /** The key of a message that was told, and when it was said. @param {string} id */
  told(id) {
    return this.#told.get(id);
  }

  /** A `chat.sealed`. @param {Record<string, any>} params */
  take(params) {
    if (!this.#timer && this.#backoff.attempts >= LATER) this.#backoff.reset(); // what was given up is tried again
    this.#queue(params, this.people.turn);
  }

  /** @param {Record<string, any>} params of `chat.sealed` @param {number} turn keys that the realm was asked for since then are the newest */
  #queue({ message_id: id, from, to, name, items }, turn) {
    if (!this.isReady() || !Array.isArray(items)) return;
    const { device } = this.own().keys.device;
    const jwe = items.find((item) => item?.device === device)?.jwe;
    if (!jwe || this.#told.has(id)) return;
    if (this.#waiting.length >= MOST_WAITING) this.#later(0);
    else this.#waiting.push({ id, from, to, name, jwe, turn });
    if (!this.#working) void this.#work();
  }

  async #work() {
    this.#working = true;
    await null; // what comes together is opened together: a page of the inbox
    while (this.#waiting.length > 0) {
      await this.#open(this.#waiting.splice(0, AT_ONCE)).catch((error) => this.trouble(error));
    }
    this.#working = false;
    this.#arrange();
  }

  /** What is not known of the senders is asked in one request, or in two. @param {Item[]} items */
  async #open(items) {
    let left = items;
    for (const again of [false, true]) {
      const senders = new Set(left.map(({ from }) => from).filter((each) => each !== this.own().userId && (again || !this.people.has(each))));
      await this.people.lookAgain([...senders]).catch((error) => this.#putOff(error));
      const doubtful = [];
      for (const item of left) if (!(await this.#settle(item, again))) doubtful.push(item);
      left = doubtful;
      if (left.length === 0) break;
    }
    if (left.length > 0) this.#later(Math.max(...left.map(({ from }) => this.people.waitS(from))));
    await this.#takeOut();
  }

  /**
   * Opens it, or passes it over.
   * @param {Item} item @param {boolean} again
   * @returns {Promise<boolean>} false: newer keys of its sender may open it, and the realm was not asked for these since it came
   */
  async #settle({ id, from, to, name, jwe, turn }, again) {
    const { userId } = this.own();
    if (this.#told.has(id)) return true; // it came as itself and from the inbox
    try {
      const opened = await this.#opened(from, to, jwe);
      if ([...this.#told.values()].some(({ key }) => key === opened.key)) {
        keep(this.#unwanted, id); // sealed once more, for newer keys
        return true;
      }
      keep(this.#told, id, opened);
      await this.tell({ message_id: id, from, to, name, text: opened.text, at: opened.at });
    } catch (error) {
      if (!(error instanceof BadSeal)) {
        this.trouble(error);
        return true;
      }
      const { reason } = error;
      const asked = from === userId || this.people.isAskedAfter(from, turn) || (again && reason === "identity_changed"); // which waits to be accepted
      if (OF_KEYS.has(reason) && !asked) return false;
      if (FINAL.has(reason)) keep(this.#unwanted, id);
      if (this.#passedOver.get(id) !== reason) {
        keep(this.#passedOver, id, reason);
        this.passOver({ message_id: id, from, reason });
      }
    }
    return true;
  }

  /** @param {string} from @param {string} to @param {string} jwe @returns {Promise<import("./sealing.js").Opened>} */
  async #opened(from, to, jwe) {
    const { keys, userId } = this.own();
    const said = await unseal(jwe, keys);
    if (from !== userId && to !== userId) throw new BadSeal("wrong_receiver");
    const opened = await read(said, from === userId ? keys.identity : this.people.unchanged(from), to, this.now());
    if (Object.hasOwn(this.own().read, opened.key)) throw new BadSeal("replayed");
    return opened;
  }

  async #takeOut() {
    while (this.#unwanted.size > 0) {
      const ids = [...this.#unwanted].slice(0, MOST_TAKEN_OUT);
      await this.connection.request("sealed.read", { device: this.own().keys.device.device, message_ids: ids });
      for (const id of ids) this.#unwanted.delete(id);
    }
  }

  /** @param {unknown} error that says why something cannot be opened now */
  #putOff(error) {
    const isLimit = error instanceof RpcError && error.code === RATE_LIMITED;
    if (!isLimit) this.trouble(error);
    this.#later(isLimit ? Number(error.data.retryAfter ?? 1) : 0.5);
  }

  /** @param {number} seconds */
  #later(seconds) {
    this.#laterS = Math.max(this.#laterS ?? 0, seconds);
  }

  /** Asks the inbox again, if something was not opened; the next connection does if there is none now. */
  #arrange() {
    const { connection } = this;
    if (this.#laterS === null) this.#backoff.reset();
    else if (!this.#timer && connection.ready && this.#backoff.attempts < LATER) {
      const wait = this.#laterS && this.#laterS + this.#backoff.next(); // 0: there was no room
      if (wait === 0) this.askInbox();
      else this.#timer = connection.clock.after(wait, () => this.askInbox());
    }
  }

  /** What waits is opened. */
  askInbox() {
    this.#timer?.();
    this.#timer = null;
    this.#laterS = null;
    if (this.isReady()) this.inbox.ask();
  }
}

/**
 * The newest of them.
 * @param {Map<string, any> | Set<string>} kept @param {string} id @param {any} [value]
 */
function keep(kept, id, value) {
  if (kept instanceof Map) kept.set(id, value);
  else kept.add(id);
  if (kept.size > REMEMBERED) kept.delete(/** @type {string} */ (kept.keys().next().value));
}
