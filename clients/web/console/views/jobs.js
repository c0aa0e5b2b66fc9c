/** What operators have had done: under way first. */

import { button, h, put } from "../app/dom.js";
import { STATES } from "../parts/action.js";
import { badge, meter } from "../parts/bits.js";
import { isOver } from "../parts/job.js";
import { learnNodes, plainNodes, withNodes } from "../parts/node_ids.js";

export const title = "Jobs";
export const icon = "jobs";

const KINDS = /** @type {Record<string, "" | "good" | "warn" | "bad">} */ ({ done: "good", failed: "bad", cancelled: "warn", cancelling: "warn" });

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  const body = h("tbody", {});
  const table = h("div", { class: "plain-box", tabindex: 0, role: "region", "aria-label": "Jobs" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["State", "What", "With", "By", "Begun", "Took", ""].map((label) => h("th", { scope: "col", class: label ? null : "acts" }, label || h("span", { class: "hidden-label" }, "Show"))))), body));
  const none = h("div", { class: "empty" }, h("p", {}, "Nothing has been done yet. What you have done in this console appears here, with its steps."));
  table.hidden = true;
  root.append(table, none);
  /** @type {Map<string, {key: string, row: HTMLElement}>} */
  const rows = new Map();
  let jobs = /** @type {any[]} */ ([]);
  if (app.me.can("nodes.list")) {
    app.look("nodes.list").then(({ nodes }) => {
      learnNodes(nodes);
      rows.clear();
      body.replaceChildren();
      draw();
    }, () => {}); // then their ids are shown
  }
  app.live("jobs", (said) => {
    jobs = said.jobs;
    draw();
  });
  function draw() {
    table.hidden = jobs.length === 0;
    none.hidden = jobs.length > 0;
    const sorted = [...jobs].sort((a, b) => Number(isOver(a)) - Number(isOver(b)) || b.created_at - a.created_at);
    sorted.forEach((job, index) => {
      const key = JSON.stringify([job.state, job.done, job.ended_at]);
      let known = rows.get(job.id);
      if (known?.key !== key) {
        const row = known?.row ?? h("tr", {});
        const held = row.contains(document.activeElement);
        put(row,
          h("td", {}, job.state === "running" ? meter(job.done, format.percent(job.done)) : badge(STATES[job.state] ?? job.state, KINDS[job.state] ?? "")),
          h("td", {}, h("span", { class: "mono" }, job.action)),
          h("td", {}, withNodes(said(job.params))),
          h("td", {}, job.operator),
          h("td", {}, format.date(job.created_at)),
          h("td", {}, job.ended_at ? format.duration(Math.max(1, job.ended_at - job.created_at)) : "–"),
          h("td", { class: "acts" }, button("Show", () => app.showJob(job), { "aria-label": `Show ${job.action}, ${plainNodes(said(job.params))}` })));
        if (held) row.querySelector("button")?.focus();
        known = { key, row };
        rows.set(job.id, known);
      }
      if (body.children[index] !== known.row) body.insertBefore(known.row, body.children[index] ?? null);
    });
    while (body.childElementCount > sorted.length) body.lastElementChild?.remove();
  }
}

/** @param {Record<string, unknown>} params */
const said = (params) => Object.values(params).filter((value) => value !== null && value !== "").map(String).join(", ").slice(0, 200);
