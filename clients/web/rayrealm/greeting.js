/**
 * What the realm says about the session itself, checked for its shape: `session.ready`, `session.token`, `session.reconnect`,
 * `session.gap`, `system.degraded` (PROTOCOL.md, "Connecting" and "Methods").
 *
 * @typedef {{token: string, expiresIn: number}} RecoveryToken expiresIn: seconds
 *
 * @typedef {object} Greeting
 * @property {string} sessionId
 * @property {boolean} resumed the session is the one that was asked for
 * @property {boolean} recovered nothing was missed
 * @property {string} stream the numbering of reliable notifications
 * @property {number} seq where this socket goes on in it
 * @property {RecoveryToken} recovery
 * @property {string[]} degraded
 * @property {number} maxPendingRequests
 */

import { WireError } from "./wire.js";

/** What a JWT has, and a subprotocol may have (RFC 6455). */
const TOKEN = /^[A-Za-z0-9._~+-]+$/;

/** @param {Record<string, any>} params of `session.ready` @returns {Greeting} */
export function readGreeting(params) {
  const { session_id: sessionId, resumed, recovered, stream, seq, limits } = params;
  const maxPendingRequests = limits?.max_pending_requests;
  check(isWord(sessionId) && typeof resumed === "boolean" && typeof recovered === "boolean", "session.ready");
  check(isWord(stream) && Number.isSafeInteger(seq) && seq >= 0, "session.ready");
  check(Number.isSafeInteger(maxPendingRequests) && maxPendingRequests > 0, "session.ready");
  check(params.world === null || typeof params.world === "object", "session.ready");
  const recovery = readToken(params.recovery);
  return { sessionId, resumed, recovered, stream, seq, recovery, degraded: readTexts(params.degraded), maxPendingRequests };
}

/** @param {Record<string, any>} params of `session.token` @returns {RecoveryToken} */
export function readToken(params) {
  const { token, expires_in: expiresIn } = params ?? {};
  check(isWord(token) && TOKEN.test(token) && isDuration(expiresIn), "recovery token");
  return { token, expiresIn };
}

/**
 * @param {Record<string, any>} params of `session.reconnect`
 * @returns {{recovery: RecoveryToken, reason: string, withinS: number}}
 */
export function readMoveOver(params) {
  const { reason, within_s: withinS } = params;
  check(isWord(reason) && isDuration(withinS), "session.reconnect");
  return { recovery: readToken(params), reason, withinS };
}

/** @param {Record<string, any>} params of `session.gap` @returns {string} the topic */
export function readGap({ topic }) {
  check(isWord(topic), "session.gap");
  return topic;
}

/** @param {unknown} parts of `system.degraded` @returns {string[]} */
export function readTexts(parts) {
  check(Array.isArray(parts) && parts.every((part) => typeof part === "string"), "list");
  return /** @type {string[]} */ (parts);
}

/** @param {unknown} value */
function isWord(value) {
  return typeof value === "string" && value !== "";
}

/** @param {unknown} value */
function isDuration(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** @param {boolean} good @param {string} what */
function check(good, what) {
  if (!good) throw new WireError(`the realm's ${what} has not the agreed shape`);
}
