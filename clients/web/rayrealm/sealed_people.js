/**
 * Who others are to `client.sealed`: what the realm tells of their keys, as far as it is believed (PROTOCOL.md, "Sealed messages").
 *
 * @typedef {import("./key_records.js").Identity} Identity
 * @typedef {import("./key_records.js").Device} Device
 */

import { BadSeal, readIdentity } from "./key_records.js";
import { currentDevices, pinned, readDevices } from "./sealing.js";

/** How often the realm is asked about one sender at most: who seals nonsense does not choose how often that is. Seconds. */
const LOOK_AGAIN_S = 10;
const REMEMBERED = 1024;
const MOST_ASKED = 50;

export class People {
  /** Counts what the realm was asked, so that an answer can be told from those before it. */
  turn = 0;
  /** @type {Map<string, {identity: Identity, devices: Device[]}>} */
  #known = new Map();
  /** @type {Map<string, {at: number, turn: number}>} */
  #asked = new Map();

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {() => import("./keyring.js").Keyring} options.own
   * @param {(change: import("./keyring.js").Change) => Promise<void>} options.change of the keyring
   * @param {(userId: string) => void} options.changed somebody else's identity is another one
   * @param {() => void} options.replaced one's own is
   */
  constructor({ connection, own, change, changed, replaced }) {
    this.connection = connection;
    this.own = own;
    this.change = change;
    this.changed = changed;
    this.replaced = replaced;
  }

  /** Who these are, as the realm tells it now. @param {string[]} userIds */
  async lookUp(userIds) {
    for (let left = userIds; left.length > 0; ) {
      const asked = left.slice(0, MOST_ASKED);
      this.turn += 1;
      const asking = { at: this.connection.clock.now(), turn: this.turn };
      const { keys, left_out: more } = await this.connection.request("keys.get", { user_ids: asked });
      for (const [userId, records] of Object.entries(keys)) await this.#adopt(userId, records);
      for (const userId of asked.filter((each) => !more.includes(each))) {
        this.#asked.delete(userId);
        this.#asked.set(userId, asking);
      }
      for (const oldest of [...this.#asked.keys()].slice(0, -REMEMBERED)) this.#asked.delete(oldest);
      left = [...more, ...left.slice(MOST_ASKED)];
    }
  }

  /** About those of whom the realm was not asked lately. @param {string[]} userIds */
  async lookAgain(userIds) {
    await this.lookUp(userIds.filter((each) => this.waitS(each) === 0));
  }

  /** Seconds until the realm may be asked about somebody again. @param {string} userId */
  waitS(userId) {
    const { at } = this.#asked.get(userId) ?? { at: -Infinity };
    return Math.max(at + LOOK_AGAIN_S - this.connection.clock.now(), 0);
  }

  /** @param {string} userId @param {number} turn */
  isAskedAfter(userId, turn) {
    return (this.#asked.get(userId)?.turn ?? 0) > turn;
  }

  /** @param {string} userId */
  has(userId) {
    return this.#known.has(userId);
  }

  /** @param {string} userId */
  identity(userId) {
    return this.#known.get(userId)?.identity;
  }

  /** @param {string} userId */
  devices(userId) {
    return this.#known.get(userId)?.devices ?? [];
  }

  /** @param {string} userId @returns {Identity} @throws {BadSeal} no_keys, identity_changed */
  unchanged(userId) {
    const pin = this.own().pins[userId];
    const identity = this.identity(userId);
    if (!pin || !identity) throw new BadSeal("no_keys");
    if (pin.changed) throw new BadSeal("identity_changed");
    return identity;
  }

  /** @param {string} userId */
  forget(userId) {
    this.#known.delete(userId);
    this.#asked.delete(userId);
  }

  forgetAll() {
    this.#known.clear();
    this.#asked.clear();
  }

  /** What the realm tells of somebody: believed as far as it is signed, and as it fits what is known. @param {string} userId @param {any} records */
  async #adopt(userId, records) {
    const own = this.own();
    const identity = await readIdentity(records.identity, userId).catch(() => null);
    if (!identity) return;
    if (userId === own.userId && identity.thumbprint !== own.keys.identity.thumbprint) {
      this.replaced();
      return;
    }
    const signed = await readDevices(identity, records.devices);
    const before = own.pins[userId];
    await this.change((ring) => {
      const kept = ring.pins[userId];
      const pin = pinned(kept, identity);
      const current = pin.changed ? { pin, devices: [] } : currentDevices(pin, signed);
      this.#known.set(userId, { identity, devices: current.devices }); // by the pin that is kept, which is done last
      if (JSON.stringify(current.pin) === JSON.stringify(kept)) return false;
      ring.pins[userId] = current.pin;
      return true;
    });
    const { changed } = own.pins[userId];
    if (changed && before?.changed !== changed) this.changed(userId);
  }
}
