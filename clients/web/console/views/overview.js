/** The realm at a glance: what is wrong first, then the figures that matter. */

import { h, put } from "../app/dom.js";
import { icon as drawn } from "../app/icons.js";
import { Chart } from "../parts/chart.js";

export const title = "Overview";
export const icon = "overview";
export const css = ["world.css"];

const KINDS = /** @type {Record<string, string>} */ ({ critical: "bad", warning: "warn", info: "" });

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  const problems = h("section", { class: "problems", "aria-label": "Problems" });
  const tiles = h("dl", { class: "tiles four" });
  const charts = {
    players: new Chart({ label: "Players", say: format.short }),
    messages_per_s: new Chart({ label: "Messages", say: format.rate }),
    tick_ms_p95: new Chart({ label: "Slowest zone's tick, 95th percentile", say: format.ms }),
    bytes_per_s: new Chart({ label: "Bytes to clients", say: format.byteRate }),
    sockets: new Chart({ label: "Sockets", say: format.short }),
    queue_bytes: new Chart({ label: "Waiting for clients", say: format.bytes }),
  };
  root.append(problems, tiles, h("div", { class: "columns" }, Object.values(charts).map((chart) => h("section", { class: "panel" }, chart.root))));
  let said = "";
  app.live("overview", (now) => {
    const key = JSON.stringify(now.problems);
    if (key !== said) {
      said = key;
      put(problems, now.problems.length === 0
        ? h("p", { class: "fine" }, drawn("check"), "No problems are known.")
        : h("ul", {}, now.problems.map((/** @type {any} */ each) => h("li", { class: KINDS[each.severity] ?? "" }, drawn(each.severity === "info" ? "info" : "alert"),
          h("span", {}, h("b", {}, `${capital(each.severity)}: `), each.text), each.link && h("a", { href: `#/${each.link}`, "aria-label": `Show: ${each.text}` }, "Show")))));
    }
    const away = now.zones_away.length;
    put(tiles, [
      tile("Players", format.number(now.players), `${format.number(now.sessions)} sessions`, ""),
      tile("Sockets", format.number(now.sockets), `on ${format.count(now.gateways, "gateway")}`, ""),
      tile("Zones", format.number(now.zones), away ? `${away} away` : "all there", away ? "bad" : ""),
      tile("Nodes", format.number(now.nodes), format.count(now.processes, "process", "processes"), ""),
      tile("Messages", format.rate(now.messages_per_s), format.byteRate(now.bytes_per_s), ""),
      tile("Slowest tick p95", format.ms(now.tick_ms_p95_worst), "of all zones", now.tick_ms_p95_worst > 50 ? "warn" : ""),
      tile("Degraded", now.degraded.length ? now.degraded.join(", ") : "None", "", now.degraded.length ? "bad" : ""),
      tile("Up for", now.started_at ? format.duration(app.now() - now.started_at) : "–", `version ${now.versions.join(", ")}`, now.versions.length > 1 ? "warn" : ""),
    ]);
  });
  app.live("samples", ({ series }) => {
    for (const [name, chart] of Object.entries(charts)) chart.show(series[name]);
  });
  return () => {
    for (const chart of Object.values(charts)) chart.close();
  };
}

/** @param {string} label @param {string} value @param {string} more @param {string} kind */
const tile = (label, value, more, kind) => h("div", { class: `tile ${kind}` }, h("dt", {}, label), h("dd", {}, value), more && h("dd", { class: "more" }, more));

/** @param {string} word */
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
