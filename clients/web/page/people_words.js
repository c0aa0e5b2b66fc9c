/** Words about people. */

/** @type {Record<string, string>} */
export const STATUS = { online: "Online", away: "Away", busy: "Busy", invisible: "Invisible", offline: "Offline" };

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * What stands below a name.
 * @param {import("../rayrealm/presences.js").Presence | undefined} presence
 * @param {(zone: string) => string} zoneName
 * @param {number} now Unix seconds
 */
export function aboutPresence(presence, zoneName, now) {
  if (!presence || presence.status === "offline") return presence?.last_online ? `last seen ${ago(now - presence.last_online)}` : "offline";
  const where = presence.zone ? `in ${zoneName(presence.zone)}` : "";
  const how = presence.status === "online" ? "" : (STATUS[presence.status] ?? presence.status).toLowerCase();
  return [how, presence.text, where].filter(Boolean).join(" · ") || "online";
}

/** @param {number} seconds */
export function ago(seconds) {
  if (seconds < MINUTE) return "just now";
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  const days = Math.floor(seconds / DAY);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** @type {Record<string, (name: string) => string>} by `kind` of `friends.changed` */
export const FRIEND_NEWS = {
  friends: (name) => `${name} and you are friends now.`,
  removed: (name) => `${name} and you are friends no more.`,
};

/** @type {Record<string, string>} by `why` of `party.changed`, when the player has no party any more */
export const PARTY_ENDS = { kicked: "You were sent away from the party.", left: "You have left the party." };
