/** What a line in the chat means: words for a channel, or a command. */

/** @type {Record<string, string>} */
const CHANNELS = { s: "say", say: "say", y: "shout", shout: "shout", z: "zone", zone: "zone", g: "global", global: "global", p: "party", party: "party" };
const WHISPER = new Set(["w", "whisper", "tell", "msg"]);

export const HELP =
  "/say and /shout are heard by those near you, /zone, /global and /party by everybody there, /w Name by one player. /join and /leave take a channel's name.";

/**
 * @typedef {{channel: string, text: string} | {whisperTo: string, text: string} | {join: string} | {leave: string} | {problem: string}} Meaning
 *
 * @param {string} line trimmed, not empty
 * @param {string} channel where words go that are no command
 * @param {import("./folk.js").Folk} folk
 * @returns {Meaning}
 */
export function understand(line, channel, folk) {
  if (!line.startsWith("/")) return { channel, text: line };
  const [word = "", ...others] = line.slice(1).split(/\s+/);
  const command = word.toLowerCase();
  const rest = line.slice(1 + word.length).trim();
  if (command in CHANNELS) return rest ? { channel: CHANNELS[command], text: rest } : { problem: `Say something after /${word}.` };
  if (WHISPER.has(command)) {
    if (others.length === 0) return { problem: `Say to whom, and what: /${word} Name your words.` };
    const found = folk.split(rest);
    if (!found) return { problem: "Nobody of that name is known here. Choose the name in a list, or make friends first." };
    return { whisperTo: folk.idOf(found.name), text: found.rest };
  }
  if (command === "join" || command === "leave") {
    const named = (others[0] ?? (command === "leave" ? channel : "")).toLowerCase();
    if (!named || named in CHANNELS) return { problem: `Say which channel: /${word} name.` };
    return command === "join" ? { join: named } : { leave: named };
  }
  return { problem: command === "help" || command === "?" ? HELP : `There is no command /${word}. ${HELP}` };
}
