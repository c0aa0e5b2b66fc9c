/**
 * Signed messages (PROTOCOL.md, "Signed messages"), by Web Crypto: ECDH on P-256, HKDF-SHA256, HMAC-SHA256. Binary messages only:
 * this library speaks no others.
 *
 * Web Crypto answers later. Numbers are given out at once, and what waits for its signature goes out in their order.
 */

/** @typedef {{key: CryptoKey, id: number}} Key */

const POINT_BYTES = 65;
const KEY_BYTES = 32;
const KEY_IDS = 256;
/** Key id and sequence. */
const STAMP_BYTES = 9;
const MARK = [0x73, 0x31];
const TRAILER_BYTES = STAMP_BYTES + KEY_BYTES + MARK.length;
const CURVE = { name: "ECDH", namedCurve: "P-256" };
const HMAC = { name: "HMAC", hash: "SHA-256" };
const INFO = "rayrealm signing 1";
const NEXT = utf8("rayrealm signing 1 next");
const TO_SERVER = utf8("cb");
const TO_CLIENT = utf8("sb");

/** A message that did not come from the other end as it is, now. */
export class BadSignature extends Error {
  /** @param {"unsigned" | "unknown_key" | "bad_mac" | "replayed" | "missing"} reason */
  constructor(reason) {
    super(`a message that the server did not sign as agreed: ${reason}`);
    this.name = "BadSignature";
    this.reason = reason;
  }
}

/** One end's half of the key agreement, for one socket. */
export class Agreement {
  /** @param {CryptoKey} privateKey @param {Uint8Array<ArrayBuffer>} point */
  constructor(privateKey, point) {
    this.privateKey = privateKey;
    this.point = point;
  }

  /** Web Crypto is there only in secure contexts: https, or this machine. */
  static get possible() {
    return globalThis.crypto?.subtle !== undefined;
  }

  static async create() {
    const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
    return new Agreement(pair.privateKey, new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)));
  }

  /** What the upgrade says: base64url of the point. */
  get offer() {
    return encodeBase64Url(this.point);
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} ready the whole message that held `session.ready`, as it came
   * @param {Record<string, any>} session its params
   * @returns {Promise<Signer>}
   * @throws {Error} when the realm does not sign, or says so in no agreed shape
   */
  async agree(ready, session) {
    const { public: offered, attach, key_id: keyId } = session.signing ?? {};
    if (typeof offered !== "string") throw new Error("the realm does not sign messages");
    const server = decodeBase64Url(offered);
    if (server.length !== POINT_BYTES || server[0] !== 4 || !Number.isSafeInteger(attach) || keyId !== 0) {
      throw new Error("the realm's half of the key agreement has not the agreed shape");
    }
    const peer = await crypto.subtle.importKey("raw", server, CURVE, false, []);
    const secret = await crypto.subtle.deriveBits({ name: "ECDH", public: peer }, this.privateKey, 8 * KEY_BYTES);
    const salt = await crypto.subtle.digest("SHA-256", join(this.point, server, ready));
    const info = utf8([INFO, session.session_id, attach].join("\0"));
    const source = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
    const how = { name: "HKDF", hash: "SHA-256", salt, info };
    const made = await crypto.subtle.deriveBits(how, source, 16 * KEY_BYTES);
    return new Signer(await keyOf(made.slice(0, KEY_BYTES), 0), await keyOf(made.slice(KEY_BYTES), 0));
  }
}

/** A client's end of one signed socket. */
export class Signer {
  #sent = 0;
  #came = 0;

  /** @param {Key} client @param {Key} server */
  constructor(client, server) {
    this.client = client;
    this.server = server;
  }

  /**
   * The message with its trailer; it has its number at once. Numbers must go out in order.
   * @param {Uint8Array<ArrayBuffer>} message
   */
  async seal(message) {
    this.#sent += 1;
    const { key, id } = this.client;
    const stamp = stampOf(id, this.#sent);
    const mac = await crypto.subtle.sign(HMAC, key, join(TO_SERVER, stamp, message));
    return join(message, stamp, new Uint8Array(mac), Uint8Array.from(MARK));
  }

  /**
   * The message without its trailer; one at a time. A new key of the server's is ours, too, from now on.
   * @param {Uint8Array<ArrayBuffer>} data
   * @throws {BadSignature}
   */
  async open(data) {
    const cut = data.length - TRAILER_BYTES;
    if (cut < 0 || MARK.some((byte, index) => data[data.length - MARK.length + index] !== byte)) {
      throw new BadSignature("unsigned");
    }
    const stamp = data.slice(cut, cut + STAMP_BYTES);
    const mac = data.slice(cut + STAMP_BYTES, cut + STAMP_BYTES + KEY_BYTES);
    const message = data.slice(0, cut);
    const server = await this.#serverKey(stamp[0]);
    if (!(await crypto.subtle.verify(HMAC, server.key, mac, join(TO_CLIENT, stamp, message)))) {
      throw new BadSignature("bad_mac");
    }
    const sequence = Number(new DataView(stamp.buffer).getBigUint64(1));
    if (sequence !== this.#came + 1) throw new BadSignature(sequence <= this.#came ? "replayed" : "missing");
    this.#came = sequence;
    if (server !== this.server) {
      this.client = await nextKey(this.client);
      this.server = server;
    }
    return message;
  }

  /** @param {number} id @returns {Promise<Key>} the present one, or the next */
  async #serverKey(id) {
    if (id === this.server.id) return this.server;
    if (id !== (this.server.id + 1) % KEY_IDS) throw new BadSignature("unknown_key");
    return nextKey(this.server);
  }
}

/** @param {ArrayBuffer} bytes @param {number} id @returns {Promise<Key>} */
async function keyOf(bytes, id) {
  return { key: await crypto.subtle.importKey("raw", bytes, HMAC, false, ["sign", "verify"]), id };
}

/** The ratchet. @param {Key} from */
async function nextKey({ key, id }) {
  return keyOf(await crypto.subtle.sign(HMAC, key, NEXT), (id + 1) % KEY_IDS);
}

/** @param {number} id @param {number} sequence */
function stampOf(id, sequence) {
  const stamp = new Uint8Array(STAMP_BYTES);
  stamp[0] = id;
  new DataView(stamp.buffer).setBigUint64(1, BigInt(sequence));
  return stamp;
}

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
function join(...parts) {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
function utf8(text) {
  return new TextEncoder().encode(text);
}

/** RFC 4648, section 5, without padding. @param {Uint8Array} bytes */
function encodeBase64Url(bytes) {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} empty for what is none */
function decodeBase64Url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return new Uint8Array();
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}
