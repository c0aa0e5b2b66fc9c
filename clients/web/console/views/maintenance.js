/** Closes the realm for a while, opens it again, and tells players something. */

import { h, put } from "../app/dom.js";
import { badge, deed, facts, panel, trying } from "../parts/words.js";

export const title = "Maintenance";
export const icon = "broadcast";
export const css = ["people.css"];

const LONGEST_TEXT = 1_000;
const MOST_OFFERED = 500;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const state = h("div", {});
  let shown = "";
  root.append(h("div", { class: "columns" }, state, app.me.can("realm.broadcast") && broadcast(app)));
  const show = (/** @type {any} */ now) => {
    if (JSON.stringify(now) === shown) return;
    shown = JSON.stringify(now);
    const when = (/** @type {number | null} */ at) => at && app.format.date(at);
    put(state, panel("Maintenance",
      h("p", {}, now.on ? badge("away", "Closed to players") : badge("online", "Open to everybody")),
      now.on ? facts([["Since", when(now.since)], ["By", now.by], ["Reason", now.reason], ["Until about", when(now.until)], ["Sockets close", when(now.close_at) || "They may stay"], ["Let in all the same", (now.allow ?? []).join(", ")]])
        : h("p", { class: "muted" }, "While it is closed, nobody can log in or connect but operators, moderators and those you name. The realm stays up."),
      h("div", { class: "toolbar" },
        deed(app, "realm.maintenance", now.on ? "Change" : "Close for maintenance", () => close(app, now), { class: now.on ? "" : "danger" }),
        now.on && deed(app, "realm.maintenance", "Open again", () => app.act("realm.maintenance", { on: false }, { title: "Open the realm" }), { class: "primary" }))));
  };
  app.live("overview", (overview) => show(overview.maintenance));
  void trying(app, async () => show((await app.look("realm.overview")).maintenance));
}

/** @param {import("../app/shell.js").App} app @param {any} now */
async function close(app, now) {
  const given = await app.ask({
    title: "Close for maintenance",
    fields: [
      { name: "reason", label: "Reason, told to players", value: now.reason ?? "", max: 200, optional: true },
      { name: "close_after_s", label: "Players who are inside", kind: "select", value: "300", optional: true, options: [
        ["", "May stay"], ["60", "Are closed after 1 minute"], ["300", "Are closed after 5 minutes"], ["900", "Are closed after 15 minutes"], ["0", "Are closed at once"],
      ] },
      { name: "for_s", label: "It will take about", kind: "select", value: "1800", optional: true, options: [
        ["", "Not known"], ["600", "10 minutes"], ["1800", "30 minutes"], ["3600", "1 hour"], ["14400", "4 hours"],
      ], hint: "Told to those who come. The realm stays closed until you open it." },
      { name: "allow", label: "Let in all the same", hint: "Users' names, with commas between", optional: true },
    ],
  });
  if (!given) return;
  const allow = (given.allow ?? "").split(",").map((/** @type {string} */ name) => name.trim()).filter(Boolean);
  const number = (/** @type {string | null} */ text) => (text === null ? null : Number(text));
  await app.act("realm.maintenance", { on: true, reason: given.reason ?? "", close_after_s: number(given.close_after_s), for_s: number(given.for_s), allow }, { title: "Close for maintenance" });
}

/** @param {import("../app/shell.js").App} app */
function broadcast(app) {
  const text = h("textarea", { id: "broadcast-text", rows: 4, maxlength: LONGEST_TEXT, required: true });
  const zones = h("datalist", { id: "broadcast-zones" });
  const zone = h("input", { id: "broadcast-zone", type: "text", list: zones.id, autocomplete: "off", spellcheck: "false", maxlength: 100 });
  if (app.me.can("zones.list")) {
    void app.look("zones.list", { limit: MOST_OFFERED }).then((said) => put(zones, said.zones.map((/** @type {any} */ each) => h("option", { value: each.zone, label: each.name }))), () => {});
  }
  const send = async () => {
    const params = { text: text.value.trim(), zone: zone.value.trim() || null };
    if (!params.text) return;
    const done = await app.act("realm.broadcast", params, { title: "Broadcast" });
    if (done) text.value = "";
  };
  return panel("Broadcast", h("form", { class: "form", onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void trying(app, send);
  } },
    h("div", { class: "field" }, h("label", { for: text.id }, "Text for the players"), text),
    h("div", { class: "field" }, h("label", { for: zone.id }, "Zone"), zone, zones, h("small", { class: "muted" }, "Empty: everybody, wherever they are.")),
    h("div", { class: "toolbar" }, h("button", { type: "submit", class: "primary" }, "Broadcast"))));
}
