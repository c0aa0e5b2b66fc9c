/** The machines that the realm runs on. */

import { button, h, put } from "../app/dom.js";
import { badge, meter } from "../parts/bits.js";
import { Chart } from "../parts/chart.js";
import { learnNodes } from "../parts/node_ids.js";
import { nodeName } from "../parts/zones.js";

export const title = "Nodes";
export const icon = "nodes";
export const css = ["world.css"];

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  const cards = h("div", { class: "cards" });
  const none = h("div", { class: "empty" }, h("p", {}, "Waiting for the nodes…"));
  root.append(none, cards);
  /** @type {Map<string, ReturnType<typeof card>>} */
  const shown = new Map();

  /** @param {string} id */
  function card(id) {
    const heading = h("h2", { id: `node-${id}` });
    const state = h("span", { class: "badges" });
    const figures = h("dl", { class: "facts" });
    const tools = h("div", { class: "toolbar" });
    const chart = new Chart({ label: "CPU and memory, last hour", lines: ["CPU", "Memory"], say: (value) => `${format.number(value)} %`, most: 100 });
    const box = h("section", { class: "panel", "aria-labelledby": `node-${id}`, "data-node": id }, h("header", {}, heading, state), figures, chart.root, tools);
    return { box, heading, state, figures, tools, chart, offered: "" };
  }

  app.live("nodes", ({ nodes }) => {
    learnNodes(nodes);
    none.hidden = nodes.length > 0;
    if (nodes.length === 0) put(none, h("p", {}, "There are no nodes: the realm runs without Ray."));
    for (const [id, { box, chart }] of shown) {
      if (nodes.some((/** @type {any} */ node) => node.node === id)) continue;
      chart.close();
      box.remove();
      shown.delete(id);
    }
    for (const node of nodes) {
      const it = shown.get(node.node) ?? card(node.node);
      if (!shown.has(node.node)) {
        shown.set(node.node, it);
        cards.append(it.box);
      }
      put(it.heading, nodeName(node));
      put(it.state, node.head && badge("Head"), node.draining ? badge("Draining", "warn") : badge("Takes zones", "good"));
      const memory = node.memory_total ? node.memory_used / node.memory_total : null;
      put(it.figures, [
        ["Host", node.host], ["Address", node.address], ["Id", h("span", { class: "mono", title: node.node }, String(node.node).slice(0, 8))],
        ["CPU", meter(node.cpu / 100, `${format.number(node.cpu)} %`)],
        ["Memory", meter(memory, `${format.bytes(node.memory_used)} of ${format.bytes(node.memory_total)}`)],
        ["Runs", `${format.count(node.zones, "zone")}, ${format.count(node.gateways, "gateway")}, ${format.count(node.processes, "process", "processes")}`],
      ].map(([label, value]) => [h("dt", {}, /** @type {string} */ (label)), h("dd", {}, value)]));
      const offer = `${node.draining} ${nodes.length}`;
      if (it.offered === offer) continue;
      it.offered = offer;
      const name = nodeName(node);
      put(it.tools,
        !node.draining && app.me.can("nodes.drain") && button("Drain", () => app.act("nodes.drain", { node: node.node }, { title: `Drain ${name}`, confirm: name }),
          { "data-action": "nodes.drain", disabled: nodes.length < 2, title: nodes.length < 2 ? "There is no other node" : null }),
        node.draining && app.me.can("nodes.undrain") && button("Let it take zones again", () => app.act("nodes.undrain", { node: node.node }, { title: `Undrain ${name}` }),
          { "data-action": "nodes.undrain" }));
    }
    draw();
  });

  /** @type {Record<string, any>} */
  let series = {};
  const draw = () => {
    for (const [id, { chart }] of shown) if (series[`cpu:${id}`]) chart.show(series[`cpu:${id}`], series[`memory:${id}`]);
  };
  app.live("samples", (samples) => {
    series = samples.series;
    draw();
  });
  return () => {
    for (const { chart } of shown.values()) chart.close();
  };
}
