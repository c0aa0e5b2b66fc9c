/**
 * Records of public keys (PROTOCOL.md, "Sealed messages"): compact JWSs (RFC 7515, ES256) by a user's identity key, each of a `typ` of its own.
 *
 * @typedef {{userId: string, version: number, key: Record<string, string>, thumbprint: string, record: string}} Identity
 * @typedef {{userId: string, device: string, version: number, createdAt: number, keys: Record<string, Record<string, string>>, record: string}} Device
 */

import { CompactSign, calculateJwkThumbprint, compactVerify, importJWK } from "../vendor/jose.js";

export const IDENTITY = "rayrealm-identity";
export const DEVICE = "rayrealm-device";
export const MESSAGE = "rayrealm-message";
export const RSA = "RSA-OAEP-256";
export const ECDH = "ECDH-ES+A256KW";
export const SUITES = [RSA, ECDH];
export const ENC = "A256GCM";

const DEVICE_ID = /^dev_[A-Za-z0-9_-]{1,32}$/;
const MAX_RECORD = 4096;
/** @type {Record<string, string>} the members of a public key and no other, so that nobody publishes a private one */
const MEMBERS = { EC: "crv,kty,x,y", OKP: "crv,kty,x", RSA: "e,kty,n" };
const COORDINATE = /^[\w-]{43}$/;
const MODULUS = /^[\w-]{342,683}$/;

/** What is no good record, or no good sealed message; `reason` is a stable word. */
export class BadSeal extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * What the record says, which its own key has signed.
 * @param {string} record
 * @param {string} userId
 * @returns {Promise<Identity>}
 * @throws {BadSeal}
 */
export async function readIdentity(record, userId) {
  const key = claimsOf(bytesOf(parts(record)[1])).key;
  checkSigningKey(key);
  const claims = await verify(IDENTITY, record, key);
  if (claims.user_id !== userId) throw new BadSeal("wrong_user");
  return { userId, version: versionOf(claims), key, thumbprint: await calculateJwkThumbprint(key, "sha256"), record };
}

/**
 * What the record says, which the identity has signed.
 * @param {string} record
 * @param {Identity} identity
 * @returns {Promise<Device>}
 * @throws {BadSeal}
 */
export async function readDevice(record, identity) {
  const claims = await verify(DEVICE, record, identity.key);
  const { user_id: userId, device, created_at: createdAt, keys } = claims;
  if (userId !== identity.userId) throw new BadSeal("wrong_user");
  if (typeof device !== "string" || !DEVICE_ID.test(device)) throw new BadSeal("wrong_device");
  if (!Number.isSafeInteger(createdAt) || createdAt < 0) throw new BadSeal("malformed");
  if (!isObject(keys) || Object.keys(keys).length === 0) throw new BadSeal("bad_key");
  for (const [suite, key] of Object.entries(keys)) checkSealingKey(suite, key);
  return { userId, device, version: versionOf(claims), createdAt, keys, record };
}

/**
 * @param {string} kind the `typ`
 * @param {Record<string, unknown>} claims
 * @param {CryptoKey} key
 * @param {number} [padTo] the JSON is filled with blanks to a multiple of so many bytes
 */
export async function sign(kind, claims, key, padTo = 1) {
  const payload = new TextEncoder().encode(JSON.stringify(claims));
  const padded = new Uint8Array(Math.ceil(payload.length / padTo) * padTo).fill(0x20);
  padded.set(payload);
  return new CompactSign(padded).setProtectedHeader({ alg: "ES256", typ: kind }).sign(key);
}

/**
 * @param {string} kind the `typ`
 * @param {string} record
 * @param {Record<string, string>} key public
 * @returns {Promise<Record<string, any>>} its claims
 * @throws {BadSeal}
 */
export async function verify(kind, record, key) {
  /** @type {{payload: Uint8Array, protectedHeader: Record<string, unknown>}} */
  let signed;
  try {
    signed = /** @type {any} */ (await compactVerify(record, await importJWK(key, "ES256"), { algorithms: ["ES256"] }));
  } catch {
    throw new BadSeal("bad_signature");
  }
  if (signed.protectedHeader.typ !== kind) throw new BadSeal("wrong_type");
  return claimsOf(signed.payload);
}

/** @param {unknown} key */
function checkSigningKey(key) {
  checkMembers(key, "EC");
  const { crv, x, y } = /** @type {Record<string, string>} */ (key);
  if (crv !== "P-256" || !COORDINATE.test(x) || !COORDINATE.test(y)) throw new BadSeal("bad_key");
}

/** By its looks; the browser refuses points that are not on their curve when it imports them. @param {string} suite @param {any} key */
function checkSealingKey(suite, key) {
  if (suite === RSA) {
    checkMembers(key, "RSA");
    if (key.e !== "AQAB" || !MODULUS.test(key.n)) throw new BadSeal("bad_key");
  } else if (suite === ECDH && key?.kty === "OKP") {
    checkMembers(key, "OKP");
    if (key.crv !== "X25519" || !COORDINATE.test(key.x)) throw new BadSeal("bad_key");
  } else if (suite === ECDH) {
    checkSigningKey(key);
  } else {
    throw new BadSeal("bad_key");
  }
}

/** @param {unknown} key @param {string} kind */
function checkMembers(key, kind) {
  const good = isObject(key) && Object.keys(key).sort().join() === MEMBERS[kind] && Object.values(key).every((value) => typeof value === "string");
  if (!good || /** @type {Record<string, unknown>} */ (key).kty !== kind) throw new BadSeal("bad_key");
}

/** @param {Record<string, any>} claims @returns {number} */
function versionOf({ version }) {
  if (!Number.isSafeInteger(version) || version < 1) throw new BadSeal("bad_version");
  return version;
}

/** @param {unknown} record */
function parts(record) {
  const found = typeof record === "string" && record.length <= MAX_RECORD ? record.split(".") : [];
  if (found.length !== 3) throw new BadSeal("malformed");
  return found;
}

/** @param {Uint8Array} payload @returns {Record<string, any>} */
function claimsOf(payload) {
  let claims;
  try {
    claims = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    throw new BadSeal("malformed");
  }
  if (!isObject(claims)) throw new BadSeal("malformed");
  return claims;
}

/** Base64url without padding (RFC 7515, section 2). @param {string} text */
function bytesOf(text) {
  if (!/^[\w-]*$/.test(text)) throw new BadSeal("malformed");
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  } catch {
    throw new BadSeal("malformed");
  }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
