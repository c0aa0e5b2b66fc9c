/** Kills processes of the realm, to see that it bears it. What comes back is measured by what processes say of themselves. */

import { h, put } from "../app/dom.js";
import { Table } from "../parts/table.js";
import { badge, choice, facts, panel, repeating, trying } from "../parts/words.js";

export const title = "Chaos";
export const icon = "alert";
export const css = ["people.css"];

const AGAIN_MS = 1_000;
const LOOKED_BACK_S = 600;
const SKEW_S = 1; // clocks of two nodes
const WATCHED_S = 10; // players, after the process is back

/** What players notice, by the kind of what ended. */
const NOTICED = /** @type {Record<string, string>} */ ({
  gateway: "Players of this gateway lost their sockets. Their clients connect to another one and go on in the same session: nobody logs in again, nothing that was said is lost.",
  zone: "With a standby: it takes over, and players see everybody stand still for a moment. Without: the zone starts again from its last checkpoint, and players wait for it.",
  sessions: "Requests of players whose sessions it keeps wait until it is back; sockets stay open. Notifications come late, none is lost.",
  presence: "Friends' statuses stand still until it is back; they are then read again.",
  watch: "Nothing: nobody is watched for abuse until it is back.",
  supervisor: "Nothing: zones go on. None is split, moved or started again until it is back.",
  web: "Nobody can log in or load the page until it is back. Who plays, plays on.",
  console: "This page is away for a moment. Jobs go on when it is back.",
});

/** @typedef {{job: string, name: string, kind: string, killedAt: number, back: any, heardAt: number, before: any, low: number, away: number}} Drill */

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  /** @type {any[]} */
  let processes = [];
  /** @type {Map<string, Drill>} */
  const drills = new Map();
  /** How things were, the newest last. @type {{at: number, sockets: number, away: number}[]} */
  const past = [];
  let kind = "";
  const results = h("div", { class: "drills", role: "region", "aria-label": "Recoveries", "aria-live": "polite" });
  const kinds = choice("Kind", [["", "Any kind"]], "", (chosen) => {
    kind = chosen;
    table.ask({});
  });
  const table = new Table({
    label: "Processes",
    search: "Name, host or pid",
    tools: kinds,
    empty: "No process fits.",
    asked: { sort: "name" },
    columns: [
      { key: "kind", label: "Kind", sorts: true, width: "120px", shown: "wide", cell: (row) => badge(row.kind) },
      { key: "name", label: "Name", sorts: true, width: "minmax(140px, 2fr)" },
      { key: "host", label: "Host", sorts: true, width: "minmax(90px, 1fr)", shown: "wide" },
      { key: "pid", label: "Pid", sorts: true, numeric: true, width: "80px" },
      { key: "started_at", label: "Runs for", sorts: true, width: "110px", shown: "wide", cell: (row) => app.format.duration(app.now() - row.started_at) },
      { key: "kill", label: "", width: "76px", cell: (row) => h("button", { type: "button", class: "small danger", "aria-label": `Kill ${row.name}`,
        onclick: () => void trying(app, () => app.act("processes.kill", { name: row.name }, { title: `Kill ${row.name}` })) }, "Kill") },
    ],
    key: (row) => `${row.name} ${row.pid}`,
    fetch: async ({ q, sort, descending, offset, limit }) => {
      await hear();
      const wanted = q.toLowerCase();
      const found = processes.filter((row) => (!kind || row.kind === kind) && (!wanted || `${row.name} ${row.host} ${row.pid}`.toLowerCase().includes(wanted)));
      found.sort((a, b) => (a[sort] < b[sort] ? -1 : a[sort] > b[sort] ? 1 : 0) * (descending ? -1 : 1));
      return { total: found.length, rows: found.slice(offset, offset + limit) };
    },
  });
  table.root.classList.add("fills");
  root.append(h("p", { class: "notice bad" }, "This ends processes at once, with SIGKILL. The realm is made to bear it; players may notice all the same."), results, table.root);

  async function hear() {
    processes = (await app.look("processes.list")).processes;
    const names = [...new Set(processes.map((row) => row.kind))].sort();
    if (names.length + 1 !== kinds.options.length) {
      put(kinds, h("option", { value: "" }, "Any kind"), names.map((name) => h("option", { value: name, selected: name === kind }, name)));
    }
    for (const drill of drills.values()) {
      if (drill.back) continue;
      drill.back = processes.find((row) => row.name === drill.name && row.started_at >= drill.killedAt - SKEW_S) ?? null;
      if (drill.back) drill.heardAt = app.now();
    }
    say();
  }

  app.live("overview", (now) => {
    const away = Array.isArray(now.zones_away) ? now.zones_away.length : now.zones_away;
    past.push({ at: app.now(), sockets: now.sockets, away });
    while ((past[0]?.at ?? 0) < app.now() - LOOKED_BACK_S) past.shift();
    for (const drill of drills.values()) {
      if (drill.back && app.now() > drill.heardAt + WATCHED_S) continue;
      drill.low = Math.min(drill.low, now.sockets);
      drill.away = Math.max(drill.away, away);
    }
    say();
  });

  app.live("jobs", ({ jobs }) => {
    for (const job of jobs) {
      if (job.action !== "processes.kill" || job.state !== "done" || drills.has(job.id) || job.ended_at < app.now() - LOOKED_BACK_S) continue;
      const name = job.params.name;
      const before = past.findLast(({ at }) => at < job.created_at) ?? past[0];
      const kindOf = processes.find((row) => row.name === name)?.kind ?? name.split(":")[0];
      drills.set(job.id, { job: job.id, name, kind: kindOf, killedAt: job.ended_at, back: null, heardAt: 0, before, low: past.at(-1)?.sockets ?? Infinity, away: 0 });
    }
    void trying(app, hear);
  });

  function say() {
    const shown = [...drills.values()].sort((a, b) => b.killedAt - a.killedAt).slice(0, 5).map((drill) => {
      const { back, before, low, away } = drill;
      const took = back ? Math.max(0, back.started_at - drill.killedAt) : null;
      return panel(`${drill.name} was killed at ${app.format.time(drill.killedAt)}`,
        facts([
          ["Back", back ? h("b", { class: "took" }, took !== null && took < 10 ? `after ${took.toFixed(1)} s` : `after ${app.format.duration(took)}`) : `not yet, for ${app.format.duration(app.now() - drill.killedAt)}`],
          ["Now", back && `pid ${back.pid} on ${back.host}`],
          ["Sockets", before && low !== Infinity ? (low < before.sockets ? `${app.format.number(before.sockets)} before, ${app.format.number(low)} at the least` : "None was lost that the figures show") : ""],
          ["Zones away", away ? `${app.format.number(away)} at the most` : "None that the figures show"],
        ]),
        h("p", { class: "muted" }, NOTICED[drill.kind] ?? "What it did waits until it is back."));
    });
    if (shown.length !== results.childElementCount || shown.some((made, index) => !made.isEqualNode(results.children[index] ?? null))) put(results, shown);
  }

  const stop = repeating(async () => table.load(), AGAIN_MS);
  return () => {
    stop();
    table.close();
  };
}
