/** Every process of the realm that says how it is: where it runs, and what it takes. */

import { Table } from "../parts/table.js";
import { badge, choice, repeating } from "../parts/words.js";

export const title = "Processes";
export const icon = "processes";
export const css = ["people.css"];

const AGAIN_MS = 5_000;
const KINDS = ["gateway", "zone", "sessions", "presence", "supervisor", "watch", "web", "console"];

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format } = app;
  const { query } = app.route;
  const asked = { q: query.get("q") ?? "", kind: query.get("kind") ?? "", sort: query.get("sort") ?? "name", descending: query.get("descending") === "true" };
  const table = new Table({
    label: "Processes",
    search: "Name, host or pid",
    asked,
    tools: choice("Kind", [["", "Any kind"], ...KINDS.map((kind) => /** @type {[string, string]} */ ([kind, kind]))], asked.kind, (kind) => table.ask({ kind })),
    empty: "No process fits.",
    columns: [
      { key: "kind", label: "Kind", sorts: true, width: "120px", shown: "wide", cell: (row) => badge(row.kind) },
      { key: "name", label: "Name", sorts: true, width: "minmax(140px, 2fr)" },
      { key: "host", label: "Host", sorts: true, width: "minmax(90px, 1fr)" },
      { key: "pid", label: "Pid", sorts: true, numeric: true, width: "90px", shown: "wide" },
      { key: "rss", label: "Memory", sorts: true, numeric: true, width: "100px", cell: (row) => format.bytes(row.rss) },
      { key: "cpu_s", label: "CPU time", sorts: true, numeric: true, width: "110px", shown: "wide", cell: (row) => format.duration(row.cpu_s) },
      { key: "version", label: "Version", sorts: true, width: "100px", shown: "wide" },
      { key: "started_at", label: "Runs for", sorts: true, numeric: true, width: "120px", shown: "wide", cell: (row) => format.duration(app.now() - row.started_at) },
    ],
    key: (row) => `${row.name} ${row.pid}`,
    open: (row) => app.go(`logs?process=${encodeURIComponent(row.name)}`),
    onasked: ({ q, kind, sort, descending }) => app.remember({ q, kind, sort, descending: descending ? "true" : "" }),
    fetch: async ({ q, kind, sort, descending, offset, limit }) => {
      const { processes } = await app.look("processes.list", { kind });
      const wanted = q.toLowerCase();
      const found = processes.filter((/** @type {any} */ row) => !wanted || `${row.name} ${row.host} ${row.pid}`.toLowerCase().includes(wanted));
      found.sort((/** @type {any} */ a, /** @type {any} */ b) => (a[sort] < b[sort] ? -1 : a[sort] > b[sort] ? 1 : 0) * (descending ? -1 : 1));
      return { total: found.length, rows: found.slice(offset, offset + limit) };
    },
  });
  table.root.classList.add("fills");
  root.append(table.root);
  const stop = repeating(async () => table.load(), AGAIN_MS);
  return () => {
    stop();
    table.close();
  };
}
