/** What the watch on abuse has found and done; what it counts of somebody; to undo it. */

import { h, put } from "../app/dom.js";
import { openDialog } from "../parts/dialog.js";
import { badge, deed, facts, repeating, trying, typed } from "../parts/words.js";

export const title = "Abuse";
export const icon = "abuse";
export const css = ["people.css"];

const AGAIN_MS = 5_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  let subject = "";
  const box = h("div", { class: "plain-box" });
  const find = h("form", { class: "toolbar", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    if (subject) void trying(app, () => show(subject));
  } }, typed("User or address", "", (said) => (subject = said), { required: true }), h("button", { type: "submit" }, "Look up"));
  root.append(h("p", { class: "muted" }, "The watch slows down, blocks or bans who does too much, and lets go by itself. What it only writes down is in the audit log."), find, box);

  const load = async () => {
    const { measures } = await app.look("abuse.list");
    const rows = measures.map((/** @type {any} */ each) => h("tr", {},
      h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => void trying(app, () => show(each.subject)) }, each.subject)),
      h("td", { "data-label": "Measure" }, badge(each.level)), h("td", { "data-label": "For" }, words(each.reason)),
      h("td", { class: "number", "data-label": "Counted" }, `${app.format.number(each.value)} of ${app.format.number(each.threshold)}`),
      h("td", { "data-label": "Since" }, app.format.ago(each.at, app.now())), h("td", { "data-label": "Until" }, app.format.date(each.until)),
      h("td", {}, deed(app, "abuse.lift", "Lift", () => lift(each.subject), { class: "small", "aria-label": `Lift what holds against ${each.subject}` }))));
    const table = rows.length === 0 ? h("p", { class: "empty-line" }, "The watch holds nothing against anybody.")
      : h("table", { class: "plain cards" }, h("thead", {}, h("tr", {},
        ["Who", "Measure", "For", "Counted", "Since", "Until", ""].map((name) => h("th", { scope: "col", class: name === "Counted" && "number" }, name)))), h("tbody", {}, rows));
    if (!box.firstElementChild?.isEqualNode(table)) put(box, table);
  };

  /** @param {string} whom */
  async function lift(whom) {
    if (await app.act("abuse.lift", { subject: whom }, { title: `Lift what holds against ${whom}` })) await load();
  }

  /** @param {string} whom */
  async function show(whom) {
    const said = await app.look("abuse.show", { subject: whom });
    const counts = Object.entries(said.last_minute ?? {});
    const opened = openDialog({
      title: said.subject ?? whom,
      body: [
        h("p", {}, "Held against them: ", badge(said.level)),
        h("h3", {}, "In the last minute"),
        counts.length === 0 ? h("p", { class: "muted" }, "Nothing was counted.")
          : facts(counts.map(([name, value]) => [words(name), app.format.number(/** @type {number} */ (value))])),
      ],
      foot: [
        h("button", { type: "button", onclick: () => opened.close() }, "Close"),
        said.level !== "none" && deed(app, "abuse.lift", "Lift", () => {
          opened.close();
          return lift(said.subject ?? whom);
        }, { class: "primary" }),
      ],
    });
  }

  await load();
  return repeating(() => trying(app, load), AGAIN_MS);
}

/** @param {string} name */
const words = (name) => name.replaceAll("_", " ");
