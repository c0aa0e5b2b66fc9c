/** The page's keys. `/` goes to the search, `?` shows what there is, `g` and a letter goes to a place. */

import { h } from "./dom.js";
import { openDialog } from "../parts/dialog.js";

const PLACES = /** @type {Record<string, [path: string, label: string]>} */ ({
  o: ["", "Overview"], m: ["map", "Map"], z: ["zones", "Zones"], g: ["gateways", "Gateways"], n: ["nodes", "Nodes"],
  s: ["sessions", "Sessions"], j: ["jobs", "Jobs"], l: ["logs", "Logs"],
});
const CHORD_MS = 1_500;

/** @param {import("./shell.js").Shell} shell */
export function watchKeys(shell) {
  let chord = 0;
  addEventListener("keydown", (event) => {
    if (!shell.me || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const awaited = Date.now() - chord < CHORD_MS;
    chord = 0;
    const place = PLACES[event.key];
    if (awaited && place) {
      location.hash = `#/${place[0]}`;
    } else if (event.key === "g") {
      chord = Date.now();
      return;
    } else if (event.key === "/") {
      const search = document.querySelector("#view input[type=search]");
      if (!(search instanceof HTMLInputElement)) return;
      search.focus();
      search.select();
    } else if (event.key === "?") {
      openHelp();
    } else {
      return;
    }
    event.preventDefault();
  });
}

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");

export function openHelp() {
  /** @param {string[]} keys @param {string} what */
  const row = (keys, what) => h("div", { class: "key-row" }, h("dt", {}, keys.map((key) => h("kbd", {}, key))), h("dd", {}, what));
  openDialog({
    title: "Keys",
    body: h("dl", { class: "keys" },
      row(["/"], "Search in this view"),
      row(["?"], "This list"),
      Object.entries(PLACES).map(([key, [, label]]) => row(["g", key], label)),
      row(["↑", "↓"], "Rows of a table; Home, End, Page up and Page down too"),
      row(["Enter"], "Open the row"),
      row(["+", "-"], "Map: nearer, farther; arrow keys move it, 0 shows all"),
      row(["Esc"], "Close a dialog")),
  });
}
