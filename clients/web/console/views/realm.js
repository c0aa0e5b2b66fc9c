/** The realm as a whole: what it runs, the code that is installed, and the keys that it signs with. */

import { h, put } from "../app/dom.js";
import { badge, deed, facts, panel, repeating, trying } from "../parts/words.js";

export const title = "Realm";
export const icon = "realm";
export const css = ["people.css"];

const AGAIN_MS = 10_000;
const ROTATE = /** @type {[string, string][]} */ ([
  ["no", "It is time: tokens of the older keys count until they end"],
  ["yes", "A key was stolen: tokens of the older keys count no more"],
]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const { format } = app;
  const about = h("div", {});
  const world = h("div", {});
  const keys = h("div", {});
  root.append(h("div", { class: "columns" }, about, world), keys);
  let shown = "";

  app.live("overview", (now) => {
    const rows = /** @type {[string, import("../app/dom.js").Child][]} */ ([
      ["Name", h("code", {}, now.realm)], ["Versions", now.versions.join(", ")], ["Runs since", now.started_at && format.date(now.started_at)],
      ["Processes", format.number(now.processes)],
      ["Players", now.maintenance.on ? [badge("away", "Closed for maintenance"), " ", h("a", { href: "#/maintenance" }, "Maintenance")] : badge("online", "Open to everybody")],
    ]);
    if (JSON.stringify([now.versions, now.processes, now.maintenance.on]) === shown) return;
    shown = JSON.stringify([now.versions, now.processes, now.maintenance.on]);
    put(about, panel("What runs", facts(rows),
      h("div", { class: "toolbar" }, deed(app, "realm.upgrade", "Start with new code", () => app.act("realm.upgrade", {}, { title: "Start every process with the code that is installed" })))));
  });

  const load = async () => {
    const [plan, listed] = await Promise.all([
      app.me.can("zones.plan") && app.look("zones.plan"),
      app.me.can("keys.list") && app.look("keys.list"),
    ]);
    if (plan) drawPlan(plan);
    if (listed) drawKeys(listed.keys);
  };

  /** @param {any} plan */
  function drawPlan(plan) {
    const { plan: now, last } = plan;
    put(world, panel("The world's supervisor", facts([
      ["Map", `version ${format.number(plan.map_version)}`],
      ["Carries out", now ? `${now.what ?? now.kind ?? now.id}: ${format.number(now.done)} of ${format.count(now.steps.length, "step")}` : "Nothing"],
      ["Before that", last && `${last.what ?? last.kind ?? last.id}: ${last.outcome}${last.why ? ` (${last.why})` : ""}`],
      ["By itself", plan.policy.length > 0 ? plan.policy.join("; ") : "It splits and merges zones as their load wants it"],
    ])));
  }

  /** @param {any[]} listed */
  function drawKeys(listed) {
    const table = h("table", { class: "plain cards" }, h("thead", {}, h("tr", {}, ["Key", "State", "Made", "Signs from"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, listed.map((each) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, each.kid)), h("td", { "data-label": "State" }, badge(each.state)),
        h("td", { "data-label": "Made" }, format.date(each.created_at)), h("td", { "data-label": "Signs from" }, each.signs_at ? format.date(each.signs_at) : "–")))));
    put(keys, panel("Keys that access tokens are signed with", h("div", { class: "plain-box", tabindex: 0, role: "region", "aria-label": "Keys" }, table),
      h("div", { class: "toolbar" }, deed(app, "keys.rotate", "Rotate the keys", rotate))));
  }

  async function rotate() {
    const given = await app.ask({ title: "Rotate the keys", fields: [{ name: "compromised", label: "Why", kind: "select", options: ROTATE, value: "no" }] });
    if (given && (await app.act("keys.rotate", { compromised: given.compromised === "yes" }, { title: "Rotate the keys" }))) await load();
  }

  await trying(app, load);
  return repeating(() => trying(app, load), AGAIN_MS);
}
