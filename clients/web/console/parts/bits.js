/** Small things that several views show. */

import { h } from "../app/dom.js";
import * as format from "../app/format.js";

/** @param {string} text @param {"" | "good" | "warn" | "bad"} [kind] */
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** How full something is. @param {number | null | undefined} share 0 to 1 @param {string} label */
export function meter(share, label) {
  const known = typeof share === "number" && Number.isFinite(share) ? Math.max(0, Math.min(1, share)) : 0;
  const fill = h("i", {});
  fill.style.transform = `scaleX(${known})`;
  const kind = known > 0.9 ? "bad" : known > 0.75 ? "warn" : "";
  return h("div", { class: `meter ${kind}` }, h("span", { "aria-hidden": "true" }, fill), h("span", {}, label || format.percent(share)));
}

/** @param {[label: string, value: import("../app/dom.js").Child][]} rows */
export const facts = (rows) => h("dl", { class: "facts" }, rows.map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));

/**
 * Radio buttons in a row.
 * @param {string} name @param {string} legend @param {[value: string, label: string][]} options @param {string} chosen
 * @param {(value: string) => void} choose
 */
export const segments = (name, legend, options, chosen, choose) => h("fieldset", { class: "segments" },
  h("legend", { class: "hidden-label" }, legend),
  options.map(([value, label]) => h("label", {},
    h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => choose(value) }), h("span", {}, label))));

/** Calls at most once in `ms`, and once more at the end. @param {() => void} run @param {number} ms */
export function slowly(run, ms) {
  let timer = 0;
  let again = false;
  const fire = () => {
    if (timer) {
      again = true;
      return;
    }
    run();
    timer = setTimeout(() => {
      timer = 0;
      if (!again) return;
      again = false;
      fire();
    }, ms);
  };
  return { fire, stop: () => clearTimeout(timer) };
}
