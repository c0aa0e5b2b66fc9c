/** Colours of the canvas: the ground of each zone, and one colour per entity that is the same on every screen. */

/**
 * @typedef {object} Ground
 * @property {string} ground
 * @property {string} tuft
 * @property {string} stone
 * @property {string} flower
 * @property {string} wall
 * @property {string} wallTop
 */

/** @type {[RegExp, Ground][]} by a word in the zone's id or name */
const GROUNDS = [
  [/meadow|field|grass|plain/i, { ground: "#16241d", tuft: "#2b4636", stone: "#33423b", flower: "#8a8347", wall: "#3d5346", wallTop: "#6f8f7b" }],
  [/harbou?r|sea|coast|lake|river/i, { ground: "#13222b", tuft: "#264352", stone: "#324651", flower: "#4f8a98", wall: "#395463", wallTop: "#6d93a6" }],
  [/forest|wood|grove|jungle/i, { ground: "#11201b", tuft: "#23473a", stone: "#2c3d36", flower: "#6b7f3e", wall: "#33503f", wallTop: "#648c70" }],
  [/ridge|hill|mount|stone|rock|cliff/i, { ground: "#1f2024", tuft: "#3a3a40", stone: "#47464c", flower: "#7f7385", wall: "#55525c", wallTop: "#8f8b98" }],
  [/sand|desert|dune|beach/i, { ground: "#262118", tuft: "#47402c", stone: "#4c4637", flower: "#92804a", wall: "#63573d", wallTop: "#a3926a" }],
];

/** Outside every zone. */
export const VOID = "#0a0e12";
/** The player. */
export const ME = "#f3b85c";

const FOLK = ["#62cbb9", "#7fb2f0", "#e58fb1", "#b6d267", "#c79bf0", "#f0976b", "#6fd0e8", "#e9d06c", "#8fdc9a", "#a4a9f5"];

/** @param {string} zone id and name */
export function groundOf(zone) {
  for (const [word, ground] of GROUNDS) {
    if (word.test(zone)) return ground;
  }
  return GROUNDS[hashText(zone) % GROUNDS.length][1];
}

/** @param {string} entityId */
export function colourOf(entityId) {
  return FOLK[hashText(entityId) % FOLK.length];
}

/** FNV-1a. @param {string} text */
function hashText(text) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
