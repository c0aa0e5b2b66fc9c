/** Errors in words that a player can act on, and checks that need no realm. */

import { ApiError } from "../rayrealm/api.js";
import { BadSeal } from "../rayrealm/key_records.js";
import { NoAnswer, RpcError } from "../rayrealm/pending.js";

/** @type {Record<string, string>} */
const REASONS = {
  unreachable: "The realm cannot be reached. Check your connection, then try again.",
  timeout: "The realm did not answer in time. Try again.",
  bad_credentials: "That username and password do not belong together.",
  locked: "Too many wrong passwords were given for this name.",
  too_many_attempts: "Too many tries from your network.",
  password_too_common: "That password is one of the first that anybody would try. Choose another: several words are good.",
  username_taken: "That username is taken. Choose another.",
  name_taken: "A character with that name lives here already. Choose another name.",
  too_many_characters: "You have as many characters as one account may have.",
  token_missing: "Your login has ended. Log in again.",
  token_invalid: "Your login has ended. Log in again.",
  token_expired: "Your login has ended. Log in again.",
  token_expiring: "Your login has ended. Log in again.",
  token_revoked: "Your login has ended. Log in again.",
  insecure: "This realm takes signed messages, and a browser signs only what came over https. Open this page by https.",
  address_banned: "The realm takes nobody from your network at the moment.",
  too_many_connections: "Too many connections come from your network.",
  connecting_too_fast: "Too many connections came from your network just now.",
  too_fast: "That was too much at once.",
  banned: "This account may not enter the realm.",
  full: "The realm is full. Try again in a moment.",
  draining: "This part of the realm is restarting. Try again in a moment.",
  maintenance: "The realm is closed for maintenance. Try again later.",
  unavailable: "A part of the realm is away. Try again in a moment.",
  in_world: "This character is in the world already.",
  no_such_player: "Nobody has that name.",
  no_keys: "The realm does not know the keys of this browser any more. Load the page again.",
  stale_devices: "They have no keys any more, so nothing can be sealed for them.",
  blocked: "You have blocked them. Unblock them first.",
  no_such_request: "They do not ask any more.",
  too_many_friends: "One of you has as many friends as one may have.",
  too_many_requests: "You have asked as many as one may ask. Wait for their answers, or take some back.",
  too_many_blocked: "You have blocked as many as one may block.",
  requests: "You ask too often.",
  in_a_party: "You are in a party already. Leave it first.",
  not_in_party: "You are in no party.",
  not_leader: "Only the leader of the party may do that.",
  no_such_member: "They are not in the party any more.",
  no_such_invitation: "This invitation has ended.",
  already_member: "They are in the party already.",
  party_full: "The party is full.",
  too_many_invitations: "The party has as many invitations as it may have.",
  muted: "You may not speak here at the moment.",
  slow_mode: "This channel is slow: not so many messages.",
  chat: "You say too much too fast.",
  not_in_channel: "You are not in that channel.",
  not_invited: "That channel is private. Its owner has to invite you.",
  not_allowed: "You may not do that here.",
  not_in_world: "Enter the world first.",
};

/** A longer wait is told in minutes. */
const MOST_SECONDS = 120;

/** @type {Record<string, string>} */
const SEALS = {
  no_keys: "They have no keys, so nothing can be sealed for them. Choose the lock to say it openly.",
  identity_changed: "Their keys have changed. Choose the lock to see more.",
  elsewhere: "Your keys are in another browser or on another device. Choose the lock to use this browser, or to say it openly.",
};

/** About a sealed message that is not shown; empty if it is of no interest. @param {string} reason @param {string} name the sender's */
export function unopenedWords(reason, name) {
  if (reason === "replayed") return "";
  const who = name || "somebody";
  if (reason === "identity_changed") return `A sealed message waits: the keys of ${who} have changed. Choose the lock to see more.`;
  return `A sealed message of ${who} could not be opened, and is not shown.`;
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function inWords(error) {
  if (error instanceof ApiError) return withPause(apiWords(error), error.retryAfterS);
  if (error instanceof RpcError) return withPause(rpcWords(error), Number(error.data.retryAfter ?? NaN));
  if (error instanceof BadSeal) return SEALS[error.reason] ?? "The message could not be sealed.";
  if (error instanceof NoAnswer) return "The realm did not answer. Try again in a moment.";
  return `Something went wrong on this page: ${error instanceof Error ? error.message : String(error)}`;
}

/** @param {ApiError} error */
function apiWords(error) {
  if (error.reason in REASONS) return REASONS[error.reason];
  if (error.errors.length > 0) return fieldWords(error.errors);
  if (error.detail) return sentence(error.detail);
  if (error.status === 429) return "Too many tries.";
  if (error.status >= 500) return "The realm has a problem of its own. Try again in a moment.";
  return `The realm refused: ${spaced(error.reason)}.`;
}

/** @param {RpcError} error */
function rpcWords(error) {
  const { reason, errors, error_id: errorId } = error.data;
  if (Array.isArray(errors) && errors.length > 0) return fieldWords(errors);
  if (typeof reason === "string" && reason in REASONS) return REASONS[reason];
  if (typeof errorId === "string") return `The realm has a problem of its own. Its number is ${errorId}.`;
  if (typeof reason === "string" && reason) return sentence(spaced(reason));
  return sentence(error.message);
}

/** @param {{field: string, reason: string}[]} errors */
function fieldWords(errors) {
  if (errors.every(({ reason }) => reason === "is yourself")) return "That is you.";
  return errors.map(({ field, reason }) => sentence(`${spaced(field)}: ${spaced(reason)}`)).join(" ");
}

/** @param {string} text @param {number | undefined} seconds */
function withPause(text, seconds) {
  if (seconds === undefined || !(seconds > 0)) return text;
  const [whole, unit] = seconds > MOST_SECONDS ? [Math.ceil(seconds / 60), "minute"] : [Math.ceil(seconds), "second"];
  return `${text} Wait ${whole} ${unit}${whole === 1 ? "" : "s"}.`;
}

/** @param {string} text */
function spaced(text) {
  return text.replaceAll("_", " ");
}

/** @param {string} text */
function sentence(text) {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** Beside the name of a figure whose player is away. */
export const LINK_DEAD = "connection lost";

/**
 * Why nobody can enter yet; empty when nothing is wrong. A browser does not say why a handshake was refused.
 * @param {import("../rayrealm/connection.js").ConnectionState} state
 */
export function entryWords({ name, moving }) {
  return name === "waiting" && !moving ? "The realm cannot be reached, or does not let you in at the moment. Trying again." : "";
}

/** After a lost connection is back. @param {boolean} recovered nothing was missed */
export function backWords(recovered) {
  return recovered ? "Connected again. You missed nothing." : "Connected again. Some messages were missed.";
}

/** What was said and will not come any more. @param {string | null} topic null: whatever it was */
export function gapWords(topic) {
  const channel = topic?.match(/^chat:(.+)$/)?.[1];
  if (!channel) return "Some messages were missed while the connection was lost.";
  return `Some messages were missed in the channel ${channel.startsWith("zone:") ? "of this zone" : channel}.`;
}

/**
 * What a player notices while parts of the realm do not answer; empty when all is well.
 * @param {string[]} parts `redis`, `nats`, `zone:<id>`
 * @param {string} here the player's zone
 * @param {{zone: string, name: string}[]} zones that are known by name
 */
export function degradedWords(parts, here, zones) {
  const away = parts.filter((part) => part.startsWith("zone:")).map((part) => part.slice("zone:".length));
  const others = away.filter((zone) => zone !== here).map((zone) => zones.find((each) => each.zone === zone)?.name ?? zone);
  const told = [];
  if (away.includes(here)) told.push("This place does not answer at the moment. You may have to stand still.");
  if (others.length > 0) told.push(`${others.join(", ")} cannot be reached at the moment.`);
  if (parts.includes("nats")) told.push("News of others comes late at the moment.");
  if (parts.includes("redis")) told.push("The realm cannot save at the moment. You can walk on, but some things have to wait.");
  if (told.length === 0 && parts.length > 0) told.push("A part of the realm does not answer at the moment.");
  return told.join(" ");
}

/** What is wrong with a username, or an empty string. @param {string} username */
export function usernameProblem(username) {
  if (username === "") return "Enter a username.";
  if (username.length < 3 || username.length > 32) return "A username has 3 to 32 characters.";
  if (!/^[a-z0-9_.-]+$/i.test(username)) return "A username is made of a-z, 0-9, _ . and -.";
  return "";
}

/** What is wrong with a new password, or an empty string. @param {string} password */
export function passwordProblem(password) {
  const length = [...password].length;
  return length < 8 || length > 128 ? "A password has 8 to 128 characters." : "";
}

/** What is wrong with a character's name, or an empty string. @param {string} name */
export function characterNameProblem(name) {
  const length = [...name].length;
  if (length < 2 || length > 24) return "A name has 2 to 24 characters.";
  if (!/^[\p{L}\p{N} '-]+$/u.test(name)) return "A name is made of letters, digits, spaces, ' and -.";
  return "";
}
