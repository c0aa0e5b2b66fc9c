/** Colours of the canvas: the ground of each zone, and one colour per entity that is the same on every screen. */

/**
 * @typedef {object} Ground
 * @property {string} ground
 * @property {string} patch where it is a little lighter
 * @property {string} tuft
 * @property {string} stone
 * @property {string} flower
 * @property {string} wall
 * @property {string} wallTop
 */

/** @type {[RegExp, Ground][]} by a word in the zone's id or name */
const GROUNDS = [
  [/meadow|field|grass|plain/i, { ground: "#1f3629", patch: "#28452f", tuft: "#3b6449", stone: "#4a5b52", flower: "#c2b45c", wall: "#4a6455", wallTop: "#8fb29b" }],
  [/harbou?r|sea|coast|lake|river/i, { ground: "#1b303b", patch: "#213e4a", tuft: "#35596a", stone: "#48606d", flower: "#6fb3c2", wall: "#456373", wallTop: "#86b0c4" }],
  [/forest|wood|grove|jungle/i, { ground: "#172d25", patch: "#1c3b2c", tuft: "#2f5f49", stone: "#3f554b", flower: "#93ad55", wall: "#3f624d", wallTop: "#7fae8b" }],
  [/ridge|hill|mount|stone|rock|cliff/i, { ground: "#2b2c32", patch: "#36363d", tuft: "#4d4d55", stone: "#605e67", flower: "#a598ad", wall: "#66636e", wallTop: "#aaa5b4" }],
  [/sand|desert|dune|beach/i, { ground: "#352d20", patch: "#423826", tuft: "#5f5539", stone: "#676048", flower: "#c2aa60", wall: "#766849", wallTop: "#bfa97a" }],
];

/** Outside every zone. */
export const VOID = "#0a0e12";
/** The player. */
export const ME = "#f3b85c";

/** A member of the party, on the map. */
export const COMPANION = "#7fe0ff";

/** Whoever has lost the connection. */
export const LINK_DEAD_COLOUR = "#8b949a";

const FOLK = ["#62cbb9", "#7fb2f0", "#e58fb1", "#b6d267", "#c79bf0", "#f0976b", "#6fd0e8", "#e9d06c", "#8fdc9a", "#a4a9f5"];

/** @param {string} zone id and name */
export function groundOf(zone) {
  for (const [word, ground] of GROUNDS) {
    if (word.test(zone)) return ground;
  }
  return GROUNDS[hashText(zone) % GROUNDS.length][1];
}

/** @param {{entityId: string, linkDead?: boolean}} entity */
export function colourOf({ entityId, linkDead = false }) {
  return linkDead ? LINK_DEAD_COLOUR : FOLK[hashText(entityId) % FOLK.length];
}

/** FNV-1a. @param {string} text */
function hashText(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
