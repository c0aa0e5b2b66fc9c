/**
 * Direct messages that the realm cannot read (PROTOCOL.md, "Sealed messages").
 *
 * Events, each a CustomEvent: `message`, in the shape of `chat.message` with `sealed: true`, each once; `changed`, {user_id}: somebody's identity is not what
 * it was, and nothing is sealed for it or opened of it until it is accepted; `unopened`, {message_id, from, reason}; `state`: `state` or what is known
 * of somebody has changed; `trouble`, an error.
 *
 * @typedef {import("./keyring.js").Keyring} Keyring
 */

import { BadSeal } from "./key_records.js";
import { KeyringStore } from "./keyring.js";
import { RpcError } from "./pending.js";
import { repeat } from "./repeat.js";
import { Opening } from "./sealed_opening.js";
import { People } from "./sealed_people.js";
import { MOST_AGE_S, canSeal, createKeys, pinned, renumbered, safetyNumber, say, seal } from "./sealing.js";

const MOST_READ = 10_000;
const ATTEMPTS = 4;
const CONFLICT = -32005;

export class Sealed extends EventTarget {
  /** off: not begun; elsewhere: another device has the user's identity; ready. @type {"off" | "elsewhere" | "ready"} */
  state = "off";
  /** @type {Keyring | null} */
  #ring = null;
  /** What is being kept. @type {Set<import("./keyring.js").Change>} */
  #changes = new Set();
  #unlisten = () => {};

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {Pick<KeyringStore, "load" | "add" | "change" | "alone" | "listen">} [options.store]
   * @param {() => number} [options.now] Unix seconds
   */
  constructor({ connection, store = new KeyringStore(), now = () => Date.now() / 1000 }) {
    super();
    this.connection = connection;
    this.store = store;
    this.now = now;
    this.people = new People({
      connection,
      own: () => this.#own(),
      change: (change) => this.#change(change),
      changed: (userId) => this.#emit("changed", { user_id: userId }),
      replaced: () => this.#become("elsewhere"),
    });
    this.opening = new Opening({
      connection,
      people: this.people,
      own: () => this.#own(),
      isReady: () => this.state === "ready",
      now: this.now,
      take: async (said) => {
        const { from } = said;
        if (from !== this.#own().userId && !this.isChosen(from)) await this.choose(from, true); // what is answered is no less private
        this.#tell(said);
      },
      passOver: (unopened) => this.#emit("unopened", unopened),
      trouble: (error) => this.#emit("trouble", error),
    });
    connection.addEventListener("ready", () => {
      if (this.#ring) this.#listen();
    });
    connection.addEventListener("state", () => {
      if (["ended", "off"].includes(connection.state.name)) this.#unlisten();
    });
  }

  /** Whether this browser can do it here. */
  get possible() {
    return canSeal();
  }

  /**
   * Takes the user's keys from this browser, or makes them, publishes them, and opens what waits.
   * @param {string} userId
   * @param {{replace?: boolean, curve?: "X25519" | "P-256"}} [options] replace: puts out an identity that is on another device; friends are told
   * @throws {import("./pending.js").RpcError}
   */
  async begin(userId, { replace = false, curve } = {}) {
    const isReady = await this.store.alone(userId, async () => {
      const mine = this.#ring?.userId === userId ? this.#ring : null;
      const kept =
        (await this.store.load(userId)) ?? // before the realm knows them
        (await this.store.add(mine ?? { userId, keys: await createKeys(userId, this.now(), { curve }), pins: {}, read: {}, sealed: [] }));
      this.#ring = mine ? Object.assign(mine, kept) : kept;
      if (!mine) this.people.forgetAll();
      return this.#publish(this.#ring, replace);
    });
    this.#listen();
    this.#become(isReady ? "ready" : "elsewhere");
    this.opening.askInbox();
  }

  /** @param {Keyring} ring @param {boolean} replace @returns {Promise<boolean>} false: another device has the user's identity */
  async #publish(ring, replace) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await repeat(this.connection, "keys.publish", { identity: ring.keys.identity.record, device: ring.keys.device.record, replace });
        return true;
      } catch (error) {
        const { reason, current } = error instanceof RpcError && error.code === CONFLICT ? error.data : {};
        if (reason === "identity_known") return false;
        if (reason !== "stale_version" || attempt >= ATTEMPTS) throw error;
        const keys = await renumbered(ring.keys, { [current.what]: current.version + 1 });
        await this.#change((each) => {
          each.keys = keys;
          return true;
        });
      }
    }
  }

  /** Who these are, as the realm tells it now. @param {string[]} userIds */
  async lookUp(userIds) {
    await this.people.lookUp(userIds);
  }

  /**
   * none: has no keys, as far as is known; known: as first seen; verified; changed.
   * @param {string} userId
   * @returns {"none" | "known" | "verified" | "changed"}
   */
  status(userId) {
    const pin = this.#ring?.pins[userId];
    if (!pin) return "none";
    if (pin.changed) return "changed";
    return pin.verified ? "verified" : "known";
  }

  /** To be compared with what the other one sees, by another way than the realm. @param {string} userId */
  async safetyNumber(userId) {
    if (!this.people.has(userId)) await this.lookUp([userId]);
    const identity = this.people.identity(userId);
    if (!identity) throw new BadSeal("no_keys");
    return safetyNumber(this.#own().keys.identity, identity);
  }

  /** The safety numbers are the same, or not. @param {string} userId @param {boolean} verified */
  async verify(userId, verified) {
    const { thumbprint } = this.people.unchanged(userId);
    await this.#change(({ pins: { [userId]: pin } }) => {
      if (!pin || pin.changed || pin.thumbprint !== thumbprint || pin.verified === verified) return false;
      pin.verified = verified;
      return true;
    });
  }

  /** The identity that the realm tells of is believed from now on, as on first sight; what waited is opened. @param {string} userId */
  async accept(userId) {
    const identity = this.people.identity(userId);
    if (!identity || !this.#own().pins[userId]?.changed) return;
    await this.#change(({ pins }) => {
      if (pins[userId]?.changed !== identity.thumbprint) return false;
      pins[userId] = pinned(undefined, identity);
      return true;
    });
    this.people.forget(userId); // its devices were not looked at
    await this.lookUp([userId]);
    this.opening.askInbox();
  }

  /** Whether this player has chosen to talk to somebody in sealed messages. @param {string} userId */
  isChosen(userId) {
    return this.#ring?.sealed.includes(userId) ?? false;
  }

  /** @param {string} userId @param {boolean} chosen */
  async choose(userId, chosen) {
    await this.#change((ring) => {
      if (ring.sealed.includes(userId) === chosen) return false;
      ring.sealed = ring.sealed.filter((each) => each !== userId).concat(chosen ? [userId] : []);
      return true;
    });
  }

  /**
   * @param {string} userId @param {string} text
   * @param {{suite?: string, name?: string}} [options] name: of the player's character, for its own screen
   * @throws {BadSeal | import("./pending.js").RpcError} no_keys, identity_changed, elsewhere; what the realm refuses
   */
  async tell(userId, text, { suite, name = "" } = {}) {
    const { keys } = this.#own();
    const me = keys.identity.userId;
    const messageId = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const at = this.now();
    const said = await say(keys, userId, text, messageId, at);
    /** With the versions of their keys. @type {Set<string>} */
    const served = new Set();
    let kept = "";
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      try {
        if (attempt > 0 || !this.people.has(userId) || !this.people.has(me)) await this.lookUp([userId, me]);
        if (this.state === "elsewhere") throw new BadSeal("elsewhere"); // nobody believes what is signed here
        this.people.unchanged(userId);
        const [items, copies] = await Promise.all([userId, me].map((whose) => this.#items(whose, said, suite, served)));
        if (items.length === 0 && !(kept && copies.length > 0)) throw new BadSeal("no_keys");
        const params = { to: userId, device: keys.device.device, client_id: kept ? `${messageId}.${attempt}` : messageId, items, copies };
        const answer = await repeat(this.connection, "chat.sealed", params);
        kept ||= answer.message_id;
        /** @type {{user_id: string, device: string, version: number}[]} */
        const missing = answer.missing;
        const sent = [...items.map((item) => ({ user_id: userId, ...item })), ...copies.map((item) => ({ user_id: me, ...item }))];
        const missed = new Set(missing.map((each) => `${each.user_id}/${each.device}`));
        for (const each of sent) if (!missed.has(`${each.user_id}/${each.device}`)) served.add(keysOf(each.user_id, each));
        if (missing.every((each) => served.has(keysOf(each.user_id, each)))) break;
      } catch (error) {
        if (error instanceof RpcError && error.code === CONFLICT && error.data.reason === "stale_devices") continue;
        if (kept) break; // it was sent; a device is without it that has come meanwhile
        throw error;
      }
    }
    if (!kept) throw new BadSeal("no_keys");
    this.#tell({ message_id: kept, from: me, to: userId, name, text, at });
  }

  /** @param {string} whose @param {string} said @param {string | undefined} suite @param {Set<string>} served */
  #items(whose, said, suite, served) {
    const own = this.#own().keys.device.device;
    const wanted = this.people.devices(whose).filter((each) => each.device !== own && !served.has(keysOf(whose, each)));
    return Promise.all(wanted.map((device) => seal(said, device, suite)));
  }

  /** These have been read: they wait no longer, and are refused if they come again. @param {string[]} messageIds */
  async markRead(messageIds) {
    const { keys } = this.#own();
    const told = messageIds.map((id) => this.opening.told(id)).filter((each) => each !== undefined);
    await this.#change((ring) => {
      for (const { key, at } of told) ring.read[key] = at;
      const young = Object.entries(ring.read).filter(([, at]) => at >= this.now() - MOST_AGE_S);
      ring.read = Object.fromEntries(young.slice(-MOST_READ));
      return told.length > 0;
    });
    await repeat(this.connection, "sealed.read", { device: keys.device.device, message_ids: messageIds });
  }

  /** @param {string} method @param {Record<string, any>} params of a notification @returns {boolean} whether it was for here */
  heed(method, params) {
    if (method === "chat.sealed") this.opening.take(params);
    else if (method === "keys.changed") void this.#onChange(params).catch((error) => this.#emit("trouble", error));
    else return false;
    return true;
  }

  /** @param {Record<string, any>} params */
  async #onChange({ user_id: userId, thumbprint }) {
    const ring = this.#ring;
    if (!ring) return;
    this.people.forget(userId);
    if (userId === ring.userId) {
      if (thumbprint !== ring.keys.identity.thumbprint) this.#become("elsewhere");
    } else if (ring.pins[userId] && ring.pins[userId].thumbprint !== thumbprint) {
      await this.lookUp([userId]);
    }
  }

  /** @param {{message_id: string, from: string, to: string, name: string, text: string, at: number}} said */
  #tell({ to, at, ...said }) {
    const other = said.from === this.#ring?.userId ? to : said.from;
    this.#emit("message", { ...said, channel: `direct:${other}`, sent_at: at, mentions: [], sealed: true });
  }

  /** Here at once, and for all tabs as soon as it is written. @param {import("./keyring.js").Change} change */
  async #change(change) {
    const ring = this.#own();
    const changed = change(ring);
    this.#changes.add(change);
    if (changed) this.#emit("state", null);
    const kept = await this.store.change(ring, change).finally(() => this.#changes.delete(change));
    this.#adopt(ring, kept);
  }

  /** @param {Keyring} ring @param {Keyring} kept by this tab or another */
  #adopt(ring, kept) {
    Object.assign(ring, kept);
    for (const change of this.#changes) change(ring);
  }

  #listen() {
    this.#unlisten();
    this.#unlisten = this.store.listen((userId) => {
      if (userId === this.#ring?.userId) void this.#reload(this.#ring).catch((error) => this.#emit("trouble", error));
    });
  }

  /** @param {Keyring} ring */
  async #reload(ring) {
    const kept = await this.store.load(ring.userId);
    if (!kept) return;
    this.#adopt(ring, kept);
    this.#emit("state", null);
  }

  #own() {
    if (!this.#ring) throw new BadSeal("no_keys");
    return this.#ring;
  }

  /** @param {"elsewhere" | "ready"} state */
  #become(state) {
    this.state = state;
    this.#emit("state", null);
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {string} userId @param {{device: string, version: number}} keys of a device */
function keysOf(userId, { device, version }) {
  return `${userId}/${device}.${version}`;
}
