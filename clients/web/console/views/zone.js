/** One zone: how it is, its last hour, its process, and what can be done with it. */

import { h, put } from "../app/dom.js";
import { facts } from "../parts/bits.js";
import { Chart } from "../parts/chart.js";
import { actions, figure, isAway, nodeName, stateOf, title as nameOf } from "../parts/zones.js";

export const title = "Zone";
export const icon = "zones";

const AGAIN_MS = 10_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const { format, route } = app;
  const id = route.id;
  app.titled(id, [["Zones", "zones"]]);
  const [shown, drawn] = await Promise.all([app.look("zones.show", { zone: id }), app.look("world.map")]);
  let { zone } = shown;
  let map = drawn;
  const bar = h("div", { class: "toolbar", "aria-label": "What can be done", role: "group" });
  const tiles = h("dl", { class: "tiles" });
  const where = h("section", { class: "panel" });
  const history = h("section", { class: "panel" });
  const charts = {
    population: new Chart({ label: "Population", say: format.short }),
    tick_ms_p95: new Chart({ label: "Tick, 95th percentile", say: format.ms }),
  };
  root.append(bar, tiles, h("div", { class: "columns" }, Object.values(charts).map((chart) => h("section", { class: "panel" }, chart.root))),
    h("div", { class: "columns" }, where, history));

  let offered = "";
  const draw = () => {
    app.titled(nameOf(zone), [["Zones", "zones"]]);
    const now = JSON.stringify([zone.node, zone.standby, zone.name, map.draining, map.zones.length, map.nodes.map((/** @type {any} */ each) => each.node)]);
    if (now !== offered) put(bar, actions(app, zone, map));
    offered = now;
    put(tiles, [
      ["Population", format.number(figure(zone, "population")), isAway(zone) ? "nobody answers" : format.count(zone.ghosts, "ghost")],
      ["Tick p95", format.ms(figure(zone, "tick_ms_p95")), `median ${format.ms(figure(zone, "tick_ms_p50"))}`],
      ["Overruns", format.number(figure(zone, "overruns")), "ticks that took too long"],
      ["Epoch", format.number(zone.epoch), "of its owner"],
      ["Restarts", format.number(zone.restarts), "new owners so far"],
    ].map(([label, value, more]) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", {}, value), more && h("dd", { class: "more" }, more))));
    const { bounds } = zone;
    const node = map.nodes.find((/** @type {any} */ each) => each.node === zone.node);
    put(where, h("h2", {}, "Process"), facts([
      ["State", stateOf(zone, map.draining)],
      ["Id", h("span", { class: "mono" }, zone.zone)],
      ["Node", node ? h("a", { href: "#/nodes" }, nodeName(node)) : format.text(zone.host)],
      ["Host", format.text(zone.host)],
      ["Process", zone.pid ? `${zone.pid}, slot ${format.text(zone.slot)}` : "–"],
      ["Version", format.text(zone.version)],
      ["Started", zone.started_at ? `${format.date(zone.started_at)} (${format.ago(zone.started_at, app.now())})` : "–"],
      ["Ground", `x ${bounds.min_x} to ${bounds.max_x}, z ${bounds.min_z} to ${bounds.max_z}`],
      ["Origin", zone.template ? `added from the template ${zone.template}` : zone.declared ? `declared as ${zone.declared}` : "made by an operator or the policy"],
    ]));
    put(history, h("h2", {}, "What operators did to it"), shown.audit.length > 0
      ? h("ol", { class: "steps" }, shown.audit.map((/** @type {any} */ each) => h("li", {},
        h("span", {}, `${each.action}: ${each.result} (${each.actor.replace("operator:", "")})`), h("time", {}, format.date(each.at)))))
      : h("p", { class: "muted" }, "Nothing yet."));
  };
  draw();

  const figures = async () => {
    try {
      const { series } = await app.look("history.show", { zone: id });
      for (const [name, chart] of Object.entries(charts)) chart.show(series[name] ?? series[`${name}:${id}`]);
    } catch {
      // The charts stay as they are; the frame says that the realm is away.
    }
  };
  figures();
  const timer = setInterval(figures, AGAIN_MS);
  app.live("map", (now) => {
    map = { ...map, ...now };
    const fresh = now.zones.find((/** @type {any} */ each) => each.zone === id);
    if (fresh) {
      zone = { ...zone, ...fresh };
      draw();
    } else {
      put(bar, h("p", { class: "muted" }, "This zone is no more: it was split, merged or taken out."));
      offered = "";
    }
  });
  return () => {
    clearInterval(timer);
    for (const chart of Object.values(charts)) chart.close();
  };
}
