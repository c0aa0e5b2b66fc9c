/** The world as it is: where players are, which node has what, and what can be done with a zone. */

import { button, h, put } from "../app/dom.js";
import { icon as drawn } from "../app/icons.js";
import { facts, segments } from "../parts/bits.js";
import { Chart } from "../parts/chart.js";
import { LOADS, NODE_COLOURS, WorldMap } from "../parts/map.js";
import { Table } from "../parts/table.js";
import { actions, figure, nodeName, stateOf, title as nameOf } from "../parts/zones.js";

export const title = "Map";
export const icon = "map";
export const css = ["world.css"];

const HISTORY_MS = 10_000;
const LIST_MS = 2_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  /** @type {any} */
  let world = null;
  let chosen = "";
  let offered = "";
  let listed = 0;
  const map = new WorldMap((zone) => choose(zone));
  Object.assign(root, { worldMap: map });

  const legend = h("ul", { class: "legend", "aria-label": "Colours" });
  const zoomed = h("div", { class: "map-zoom" },
    h("button", { type: "button", class: "square", "aria-label": "Nearer", onclick: () => map.lens.zoom(1.5) }, drawn("plus")),
    h("button", { type: "button", class: "square", "aria-label": "Farther", onclick: () => map.lens.zoom(1 / 1.5) }, drawn("minus")),
    h("button", { type: "button", class: "square", "aria-label": "Show all", onclick: () => map.showAll() }, drawn("fit")));
  const heatSwitch = h("input", { type: "checkbox", checked: true, onchange: () => map.look({ showsHeat: heatSwitch.checked }) });
  const bar = h("div", { class: "toolbar map-bar" },
    segments("colouring", "Colour by", [["node", "By node"], ["load", "By tick"]], map.colouring, (colouring) => {
      map.look({ colouring });
      drawLegend();
    }),
    h("label", { class: "check-label" }, heatSwitch, "Heat"), legend);

  const list = new Table({
    label: "Zones of the map",
    search: "Find a zone",
    key: (zone) => zone.zone,
    open: (zone) => choose(zone.zone),
    asked: { sort: "name", descending: false },
    fetch: async ({ q, sort, descending, offset, limit }) => {
      const wanted = q.toLowerCase();
      const found = (world?.zones ?? []).filter((/** @type {any} */ zone) => !zone.into && `${zone.zone} ${zone.name} ${zone.host}`.toLowerCase().includes(wanted));
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      found.sort((/** @type {any} */ a, /** @type {any} */ b) => (sort === "population" ? a.population - b.population : compare(nameOf(a), nameOf(b))) * (descending ? -1 : 1));
      return { total: found.length, rows: found.slice(offset, offset + limit) };
    },
    columns: [
      { key: "name", label: "Zone", sorts: true, width: "minmax(120px, 1fr)", cell: (zone) => nameOf(zone) },
      { key: "population", label: "Population", sorts: true, numeric: true, width: "124px", cell: (zone) => format.number(figure(zone, "population")) },
    ],
  });
  const panel = h("section", { class: "zone-panel", "aria-live": "off" });
  panel.hidden = true;
  const side = h("div", { class: "map-side" }, panel, list.root);
  root.append(h("div", { class: "map-frame fills" }, h("div", { class: "map-area" }, bar, h("div", { class: "map-hold" }, map.root, zoomed)), side));

  const sparks = {
    population: new Chart({ label: "Players, last hour", say: format.short, small: true }),
    tick_ms_p95: new Chart({ label: "Tick p95, last hour", say: format.ms, small: true }),
  };
  const inPanel = { heading: h("h2", {}), facts: h("div", {}), tools: h("div", { class: "toolbar" }) };
  panel.append(h("header", {}, inPanel.heading, h("button", { type: "button", class: "quiet square", "aria-label": "Close the zone", onclick: () => choose("") }, drawn("close"))),
    inPanel.facts, sparks.population.root, sparks.tick_ms_p95.root, inPanel.tools);

  /** @param {string} id */
  function choose(id) {
    chosen = id;
    offered = "";
    map.pick(id);
    panel.hidden = id === "";
    app.remember({ zone: id });
    drawPanel();
    if (id) history();
  }

  function drawPanel() {
    const zone = world?.zones.find((/** @type {any} */ each) => each.zone === chosen);
    if (!zone) {
      if (chosen && world) {
        chosen = "";
        panel.hidden = true;
        map.pick("");
      }
      return;
    }
    const node = world.nodes.find((/** @type {any} */ each) => each.node === zone.node);
    put(inPanel.heading, h("a", { href: `#/zones/${encodeURIComponent(zone.zone)}` }, nameOf(zone)));
    put(inPanel.facts, facts([
      ["State", stateOf(zone, world.draining)],
      ["Population", format.number(figure(zone, "population"))],
      ["Tick p95", format.ms(figure(zone, "tick_ms_p95"))],
      ["Overruns", format.number(figure(zone, "overruns"))],
      ["Node", node ? nodeName(node) : format.text(zone.host)],
      ["Epoch", `${format.number(zone.epoch)}, ${format.count(zone.restarts, "restart")}`],
    ]));
    const offer = JSON.stringify([zone.node, zone.standby, zone.name, world.draining, world.zones.length, world.nodes.length]);
    if (offer === offered) return;
    offered = offer;
    put(inPanel.tools, actions(app, zone, world));
  }

  async function history() {
    const id = chosen;
    if (!id) return;
    try {
      const { series } = await app.look("history.show", { zone: id });
      if (id !== chosen) return;
      for (const [name, chart] of Object.entries(sparks)) chart.show(series[name] ?? series[`${name}:${id}`]);
    } catch {
      // The charts stay as they are; the frame says that the realm is away.
    }
  }

  function drawLegend() {
    const mark = (/** @type {string} */ ink, /** @type {string} */ words, kind = "") => {
      const box = h("i", { class: kind });
      if (ink) box.style.background = ink;
      return h("li", {}, box, words);
    };
    const nodes = world?.nodes ?? [];
    const colours = map.colouring === "load"
      ? LOADS.map(([most, ink], index) => mark(ink, Number.isFinite(most) ? `to ${most} ms` : `over ${LOADS[index - 1]?.[0]} ms`))
      : nodes.slice(0, NODE_COLOURS).map((/** @type {any} */ node, /** @type {number} */ index) => mark(`var(--node-${index + 1})`, nodeName(node)));
    put(legend, colours, nodes.length > NODE_COLOURS && map.colouring === "node" && h("li", {}, `and ${nodes.length - NODE_COLOURS} more, in the same colours`),
      world?.draining.length > 0 && mark("", "draining", "hatched"), world?.zones.some((/** @type {any} */ zone) => zone.role !== "owner") && mark("", "away", "hatched away"));
  }

  app.live("map", (now, { full, changed, gone }) => {
    const first = world === null;
    world = now;
    for (const id of gone) map.heat.drop(id);
    map.show(now, full ? null : [...changed, ...gone]);
    drawLegend();
    drawPanel();
    if (full || Date.now() - listed > LIST_MS) {
      listed = Date.now();
      list.load();
    }
    if (first && app.route.query.get("zone")) choose(app.route.query.get("zone") ?? "");
  });
  app.live("heat", ({ zones }, { full, changed }) => map.showHeat(zones, full ? null : changed));
  const timer = setInterval(history, HISTORY_MS);
  return () => {
    clearInterval(timer);
    map.close();
    list.close();
    for (const chart of Object.values(sparks)) chart.close();
  };
}
