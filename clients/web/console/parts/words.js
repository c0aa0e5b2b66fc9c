/** How states and statuses are shown, and the small things that views of people have in common. */

import { button, h } from "../app/dom.js";
import { words } from "../app/api.js";

const STATES = /** @type {Record<string, string>} */ ({ in_world: "In the world", authenticated: "Logged in", connected: "Connecting", disconnecting: "Leaving", disconnected: "Left" });
const KINDS = /** @type {Record<string, string>} */ ({
  in_world: "good", online: "good", done: "good", active: "good",
  away: "warn", warning: "warn", slow: "warn", invited: "warn", begun: "", cancelled: "warn",
  busy: "bad", error: "bad", critical: "bad", failed: "bad", block: "bad", ban: "bad", expired: "bad",
});

/** @param {string} state of a session */
export const stateWords = (state) => STATES[state] ?? state.replaceAll("_", " ");

/** @param {string} value @param {string} [text] */
export const badge = (value, text = value) => h("span", { class: `badge ${KINDS[value] ?? ""}` }, text);

/** A session without a socket waits for its player. @param {any} row */
export const stateBadge = (row) => (row.gateway ? badge(row.state, stateWords(row.state)) : badge("away", "No socket"));

/** @param {[string, import("../app/dom.js").Child][]} rows */
export const facts = (rows) => h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, isEmpty(value) ? "–" : value)]));

/** @param {unknown} value */
const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0);

/** @param {string} title @param {...import("../app/dom.js").Child} body */
export const panel = (title, ...body) => h("section", { class: "panel" }, h("header", {}, h("h2", {}, title)), body);

/** @param {string} label @param {[value: string, label: string][]} options @param {string} value @param {(value: string) => void} chosen */
export function choice(label, options, value, chosen) {
  const select = h("select", { "aria-label": label, class: "filter", onchange: () => chosen(select.value) },
    options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  return select;
}

/** A field that says what is typed after a moment. @param {string} label @param {string} value @param {(value: string) => void} said @param {Record<string, unknown>} [of] */
export function typed(label, value, said, of = {}) {
  let timer = 0;
  const input = h("input", {
    type: "text", placeholder: label, "aria-label": label, value, autocomplete: "off", spellcheck: "false", autocapitalize: "none", class: "filter", ...of,
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => said(input.value.trim()), 250);
    },
  });
  return input;
}

/** Runs what a button does, and says what went wrong. @param {import("../app/shell.js").App} app @param {() => unknown} work */
export async function trying(app, work) {
  try {
    return await work();
  } catch (error) {
    app.toast(words(error), "bad");
    return null;
  }
}

/** A button for an operation, if one may. @param {import("../app/shell.js").App} app @param {string} operation @param {string} text @param {() => unknown} run @param {Record<string, unknown>} [of] */
export const deed = (app, operation, text, run, of = {}) => app.me.can(operation) && button(text, () => void trying(app, run), of);

/** Again and again while the page is looked at, until stopped; one call at a time. @param {() => Promise<unknown>} work @param {number} every_ms */
export function repeating(work, every_ms) {
  let stopped = false;
  let timer = 0;
  const turn = async () => {
    if (!document.hidden) await work();
    if (!stopped) timer = setTimeout(turn, every_ms);
  };
  timer = setTimeout(turn, every_ms);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** A text with what is searched for marked. @param {string} text @param {string} wanted */
export function marked(text, wanted) {
  if (!wanted) return [text];
  const low = text.toLowerCase();
  const word = wanted.toLowerCase();
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  let from = 0;
  for (let at = low.indexOf(word); at >= 0 && low.length === text.length; at = low.indexOf(word, from)) {
    parts.push(text.slice(from, at), h("mark", {}, text.slice(at, at + word.length)));
    from = at + word.length;
  }
  parts.push(text.slice(from));
  return parts;
}
