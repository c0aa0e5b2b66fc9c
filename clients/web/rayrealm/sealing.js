/**
 * Messages that the realm cannot read: one's own keys, sealing and opening (PROTOCOL.md, "Sealed messages").
 *
 * Sign, then encrypt: what is said is a JWS (RFC 7515) by the sender's identity key that names sender, receiver, message and time, sealed for each device
 * as a JWE (RFC 7516). Private keys are CryptoKeys that cannot be taken out of the browser.
 *
 * @typedef {import("./key_records.js").Identity} Identity
 * @typedef {import("./key_records.js").Device} Device
 * @typedef {{identity: Identity, device: Device, signing: CryptoKey, private: Record<string, CryptoKey>}} OwnKeys of one device of one user
 * @typedef {{messageId: string, key: string, sender: string, to: string, at: number, text: string}} Opened `messageId`: the sender's; `key`: what no other message
 * has, for ids are a sender's own; `at`: Unix seconds, as it says
 *
 * What is held true about somebody: the first identity that was seen, or the one that was accepted since. `verified`: the safety numbers were compared.
 * `changed`: the thumbprint of another identity that the realm tells of, which is not believed. `devices`: the newest version seen of each.
 * @typedef {{thumbprint: string, version: number, verified: boolean, changed: string, devices: Record<string, number>}} Pin
 */

import { CompactEncrypt, compactDecrypt, exportJWK, importJWK } from "../vendor/jose.js";
import { BadSeal, DEVICE, ECDH, ENC, IDENTITY, MESSAGE, RSA, SUITES, readDevice, readIdentity, sign, verify } from "./key_records.js";

/** Bytes: the length of what is sealed tells no more of the text than that. */
const PAD_TO = 128;
/** Seconds; a day longer than the realm keeps messages: what is older is a replay. */
export const MOST_AGE_S = 15 * 86_400;
const MOST_AHEAD_S = 86_400;

/** Whether this page can have keys: not over plain HTTP from another host, and not without a storage. */
export function canSeal() {
  return Boolean(globalThis.crypto?.subtle && globalThis.indexedDB);
}

/**
 * A new identity with its first device.
 * @param {string} userId
 * @param {number} now Unix seconds
 * @param {{suites?: string[], curve?: "X25519" | "P-256", rsaBits?: number}} [options] curve: of ECDH-ES; P-256 where the browser has no X25519
 * @returns {Promise<OwnKeys>}
 */
export async function createKeys(userId, now, { suites = SUITES, curve = "X25519", rsaBits = 3072 } = {}) {
  const signing = await pair({ name: "ECDSA", namedCurve: "P-256" }, ["sign", "verify"]);
  /** @type {Record<string, CryptoKey>} */
  const own = {};
  /** @type {Record<string, any>} */
  const keys = {};
  for (const suite of suites) {
    const made = suite === RSA ? await rsaPair(rsaBits) : await ecdhPair(curve);
    own[suite] = made.privateKey;
    keys[suite] = await exportJWK(made.publicKey);
  }
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const key = await exportJWK(signing.publicKey);
  return signedKeys(userId, signing.privateKey, own, { key, version: 1 }, { device: `dev_${id}`, version: 1, createdAt: Math.floor(now), keys });
}

/**
 * The same keys under higher versions.
 * @param {OwnKeys} own
 * @param {{identity?: number, device?: number}} versions
 * @returns {Promise<OwnKeys>}
 */
export function renumbered(own, { identity = own.identity.version, device = own.device.version }) {
  return signedKeys(own.identity.userId, own.signing, own.private, { ...own.identity, version: identity }, { ...own.device, version: device });
}

/**
 * @param {string} userId
 * @param {CryptoKey} signing
 * @param {Record<string, CryptoKey>} own
 * @param {{key: any, version: number}} identity
 * @param {{device: string, version: number, createdAt: number, keys: any}} device
 * @returns {Promise<OwnKeys>}
 */
async function signedKeys(userId, signing, own, identity, device) {
  const signed = await readIdentity(await sign(IDENTITY, { user_id: userId, version: identity.version, key: identity.key }, signing), userId);
  const claims = { user_id: userId, device: device.device, version: device.version, created_at: device.createdAt, keys: device.keys };
  return { identity: signed, device: await readDevice(await sign(DEVICE, claims, signing), signed), signing, private: own };
}

/** @param {any} algorithm @param {KeyUsage[]} usages @returns {Promise<CryptoKeyPair>} */
async function pair(algorithm, usages) {
  return /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(algorithm, false, usages));
}

/** @param {number} modulusLength */
function rsaPair(modulusLength) {
  return pair({ name: "RSA-OAEP", modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" }, ["encrypt", "decrypt"]);
}

/** @param {"X25519" | "P-256"} curve */
async function ecdhPair(curve) {
  if (curve === "X25519") {
    try {
      return await pair({ name: "X25519" }, ["deriveBits"]);
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotSupportedError") throw error;
    }
  }
  return pair({ name: "ECDH", namedCurve: "P-256" }, ["deriveBits"]);
}

// --- sealing ------------------------------------------------------------------------------------------------------

/**
 * What will be sealed, the same for all devices: signed.
 * @param {OwnKeys} own @param {string} to @param {string} text @param {string} messageId @param {number} at Unix seconds
 */
export function say(own, to, text, messageId, at) {
  return sign(MESSAGE, { from: own.identity.userId, to, id: messageId, at, text }, own.signing, PAD_TO);
}

/**
 * An item of chat.sealed.
 * @param {string} said
 * @param {Device} device
 * @param {string} [suite] the one to use, if the device has it
 * @returns {Promise<{device: string, version: number, jwe: string}>}
 */
export async function seal(said, device, suite = ECDH in device.keys ? ECDH : RSA) {
  if (!(suite in device.keys)) throw new BadSeal("no_keys");
  const key = await importJWK(device.keys[suite], suite);
  const sealing = new CompactEncrypt(new TextEncoder().encode(said)).setProtectedHeader({ alg: suite, enc: ENC, kid: keyId(device) });
  return { device: device.device, version: device.version, jwe: await sealing.encrypt(key) };
}

/** @param {Device} device */
function keyId({ device, version }) {
  return `${device}.${version}`;
}

// --- opening ------------------------------------------------------------------------------------------------------

/**
 * What `say` made.
 * @param {string} sealed @param {OwnKeys} own
 * @throws {BadSeal} not_for_this_device, cannot_open
 */
export async function unseal(sealed, own) {
  const key = (/** @type {Record<string, any>} */ { alg, kid }) => {
    if (kid !== keyId(own.device) || !Object.hasOwn(own.private, alg)) throw new BadSeal("not_for_this_device");
    return own.private[alg];
  };
  try {
    const options = { keyManagementAlgorithms: Object.keys(own.private), contentEncryptionAlgorithms: [ENC] };
    const { plaintext } = await compactDecrypt(sealed, key, options);
    return new TextDecoder().decode(plaintext);
  } catch (error) {
    throw error instanceof BadSeal ? error : new BadSeal("cannot_open");
  }
}

/**
 * What was said, if `sender` has signed it, for `to`, not long ago.
 * @param {string} said @param {Identity} sender @param {string} to @param {number} now Unix seconds
 * @returns {Promise<Opened>}
 * @throws {BadSeal} bad_signature, wrong_sender, wrong_receiver, malformed, wrong_time
 */
export async function read(said, sender, to, now) {
  const claims = await verify(MESSAGE, said, sender.key).catch(() => {
    throw new BadSeal("bad_signature");
  });
  if (claims.from !== sender.userId) throw new BadSeal("wrong_sender");
  if (claims.to !== to) throw new BadSeal("wrong_receiver");
  const { id, at, text } = claims;
  if (typeof id !== "string" || id.length < 1 || id.length > 64 || typeof text !== "string") throw new BadSeal("malformed");
  if (typeof at !== "number" || !(at >= now - MOST_AGE_S && at <= now + MOST_AHEAD_S)) throw new BadSeal("wrong_time");
  return { messageId: id, key: `${sender.userId}/${id}`, sender: sender.userId, to, at, text };
}

// --- who somebody is ----------------------------------------------------------------------------------------------

/**
 * Thirty digits that both see, if nobody stands between them: to be compared by another way than the realm.
 * @param {Identity} one @param {Identity} other
 */
export async function safetyNumber(one, other) {
  const people = [one, other].map(({ userId, thumbprint }) => `${userId}:${thumbprint}`).sort();
  const said = new TextEncoder().encode(["rayrealm-safety-number", ...people].join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", said));
  return [0, 5, 10, 15, 20, 25]
    .map((at) => digest.slice(at, at + 5).reduce((sum, byte) => sum * 256 + byte, 0) % 100_000)
    .map((group) => String(group).padStart(5, "0"))
    .join(" ");
}

/** The pin after the realm has told of an identity. @param {Pin | undefined} pin @param {Identity} identity @returns {Pin} */
export function pinned(pin, { thumbprint, version }) {
  if (!pin) return { thumbprint, version, verified: false, changed: "", devices: {} };
  if (pin.thumbprint !== thumbprint) return { ...pin, changed: thumbprint };
  return { ...pin, version: Math.max(pin.version, version), changed: "" };
}

/** Those devices that the identity has signed. @param {Identity} identity @param {string[]} records @returns {Promise<Device[]>} */
export async function readDevices(identity, records) {
  const read = await Promise.all(records.map((record) => readDevice(record, identity).catch(() => null))); // else of another identity, or forged
  return read.filter((device) => device !== null);
}

/**
 * Those devices that are not older than they were seen before; and what was seen now.
 * @param {Pin} pin @param {Device[]} signed
 * @returns {{pin: Pin, devices: Device[]}}
 */
export function currentDevices(pin, signed) {
  const seen = { ...pin.devices };
  /** @type {Device[]} */
  const devices = [];
  for (const device of signed) {
    if (device.version < (seen[device.device] ?? 0)) continue;
    seen[device.device] = device.version;
    devices.push(device);
  }
  return { pin: { ...pin, devices: seen }, devices };
}
