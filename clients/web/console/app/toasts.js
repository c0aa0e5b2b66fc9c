/** Short news at the edge of the page; said to screen readers. */

import { h } from "./dom.js";

const SHOWN_MS = 6_000;
const MOST = 4;

/** @param {string} text @param {"info" | "good" | "bad"} [kind] */
export function toast(text, kind = "info") {
  const list = document.getElementById("toasts");
  if (!list) return;
  const item = h("p", { class: `toast ${kind}` }, text);
  list.append(item);
  while (list.childElementCount > MOST) list.firstElementChild?.remove();
  setTimeout(() => item.remove(), SHOWN_MS);
}
