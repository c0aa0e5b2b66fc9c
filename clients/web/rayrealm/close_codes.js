/**
 * What to do when the socket closes: the close-code table of PROTOCOL.md as data.
 *
 * @typedef {"reconnect" | "at_once" | "afresh" | "renew" | "sleep" | "stop"} Action
 *   reconnect: with backoff and `session=`; at_once: the first attempt without waiting; afresh: without `session=`;
 *   renew: check the login, then reconnect; sleep: reconnect when there is something to do; stop: do not reconnect
 * @typedef {{name: string, action: Action}} CloseRule
 */

/** @type {ReadonlyMap<number, CloseRule>} */
export const CLOSE_CODES = new Map([
  [1000, { name: "normal", action: "stop" }],
  [1001, { name: "going away", action: "reconnect" }],
  [1002, { name: "protocol error", action: "stop" }],
  [1003, { name: "unsupported data", action: "stop" }],
  [1007, { name: "invalid text", action: "stop" }],
  [1009, { name: "too big", action: "stop" }],
  [1011, { name: "internal error", action: "reconnect" }],
  [1012, { name: "restart", action: "at_once" }],
  [1013, { name: "try later", action: "reconnect" }],
  [4000, { name: "session lost", action: "afresh" }],
  [4001, { name: "slow consumer", action: "reconnect" }],
  [4002, { name: "heartbeat timeout", action: "reconnect" }],
  [4003, { name: "idle", action: "sleep" }],
  [4500, { name: "replaced", action: "stop" }],
  [4501, { name: "auth expired", action: "renew" }],
  [4502, { name: "too many errors", action: "stop" }],
  [4503, { name: "kicked", action: "stop" }],
  [4504, { name: "flooding", action: "stop" }],
  [4505, { name: "bad signature", action: "stop" }],
]);

/**
 * @param {number} code
 * @returns {CloseRule}
 */
export function closeRule(code) {
  const known = CLOSE_CODES.get(code);
  if (known) return known;
  if (code === 1006) return { name: "connection lost", action: "reconnect" }; // no close frame came
  if (code >= 4500 && code <= 4999) return { name: `refused (${code})`, action: "stop" };
  return { name: `closed (${code})`, action: "reconnect" };
}
