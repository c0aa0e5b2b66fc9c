/** Where clients are connected: sockets, what goes in and out, what waits. */

import { button, h, put } from "../app/dom.js";
import { badge, meter } from "../parts/bits.js";
import { Chart } from "../parts/chart.js";

export const title = "Gateways";
export const icon = "gateways";
export const css = ["people.css", "world.css"];

const COLUMNS = ["Gateway", "State", "Sockets", "In and out", "Bytes out", "Waiting", "Refused", "Up for", ""];
const NUMBERS = new Set(["In and out", "Bytes out", "Waiting", "Refused", "Up for"]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  let count = 0;
  const charts = {
    sockets: new Chart({ label: "Sockets", say: format.short }),
    messages_per_s: new Chart({ label: "Messages", say: format.rate }),
    bytes_per_s: new Chart({ label: "Bytes out", say: format.byteRate }),
    queue_bytes: new Chart({ label: "Waiting", say: format.bytes }),
  };
  const body = h("tbody", {});
  const tools = h("div", { class: "toolbar" }, h("p", { class: "muted grow", id: "gateway-count" }),
    app.me.can("gateways.scale") && button("Scale", () => scale(), { "data-action": "gateways.scale" }));
  root.append(tools,
    h("div", { class: "plain-box", tabindex: 0, role: "region", "aria-label": "Gateways" }, h("table", { class: "plain cards" },
      h("thead", {}, h("tr", {}, COLUMNS.map((label) => h("th", { scope: "col", class: NUMBERS.has(label) ? "number" : label ? null : "acts" },
        label || h("span", { class: "hidden-label" }, "What can be done"))))), body)),
    h("div", { class: "columns four" }, Object.values(charts).map((chart) => h("section", { class: "panel" }, chart.root))));
  /** @type {Map<string, {row: HTMLElement, act: HTMLElement, offered: string}>} */
  const rows = new Map();

  async function scale() {
    const given = await app.ask({
      title: "Scale the gateways",
      intro: `There are ${count} now. Clients of gateways that go are asked to connect to others first.`,
      fields: [{ name: "count", label: "How many there shall be", kind: "number", value: count, min: 1, max: 1000, step: 1 }],
    });
    if (given) await app.act("gateways.scale", given, { title: `Scale to ${format.count(given.count, "gateway")}`, confirm: String(given.count) });
  }

  app.live("gateways", ({ gateways }) => {
    count = gateways.length;
    put(tools.querySelector("#gateway-count") ?? tools, format.count(count, "gateway"), ", ",
      format.count(gateways.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.sockets, 0), "socket"));
    for (const [name, { row }] of rows) {
      if (gateways.some((/** @type {any} */ each) => each.gateway === name)) continue;
      row.remove();
      rows.delete(name);
    }
    for (const each of gateways) {
      let known = rows.get(each.gateway);
      if (!known) {
        known = { row: h("tr", { "data-gateway": each.gateway }), act: h("td", { class: "acts" }), offered: "" };
        rows.set(each.gateway, known);
        body.append(known.row);
      }
      const { row, act } = known;
      const offered = String(each.draining);
      if (offered !== known.offered) {
        known.offered = offered;
        put(act, !each.draining && app.me.can("gateways.drain") && button("Drain", () => app.act("gateways.drain", { gateways: [each.gateway] },
          { title: `Drain ${each.gateway}`, confirm: each.gateway }), { "data-action": "gateways.drain", "aria-label": `Drain ${each.gateway}` }));
      }
      for (const cell of [...row.children]) if (cell !== act) cell.remove();
      const number = (/** @type {string} */ label, /** @type {import("../app/dom.js").Child[]} */ ...of) => h("td", { class: "number", "data-label": label }, of);
      row.prepend(
        h("th", { scope: "row" }, each.gateway, under(each.host)),
        h("td", { "data-label": "State" }, h("span", { class: "badges" }, each.draining ? badge("Draining", "warn") : badge("Up", "good"),
          each.degraded.map((/** @type {string} */ part) => badge(`Without ${part}`, "bad")))),
        h("td", { "data-label": "Sockets" }, meter(each.capacity ? each.sockets / each.capacity : 0, format.number(each.sockets))),
        number("In and out", format.rate(each.in_per_s), under(format.rate(each.out_per_s))), number("Bytes out", format.byteRate(each.bytes_per_s)),
        number("Waiting", format.bytes(each.queue_bytes), under(`worst ${format.bytes(each.queue_worst)}`)), number("Refused", format.number(each.refusals)),
        number("Up for", format.duration(app.now() - each.started_at)));
      if (!act.isConnected) row.append(act);
    }
  });
  app.live("samples", ({ series }) => {
    for (const [name, chart] of Object.entries(charts)) chart.show(series[name]);
  });
  return () => {
    for (const chart of Object.values(charts)) chart.close();
  };
}

/** @param {string} text under a cell's first line */
const under = (text) => h("small", { class: "muted under" }, text);
