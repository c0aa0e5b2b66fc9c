/** Users and networks that are kept out. */

import { h } from "../app/dom.js";
import { banNetwork, banUser, lift } from "../parts/people_acts.js";
import { Table } from "../parts/table.js";
import { badge, choice, deed, repeating, trying } from "../parts/words.js";

export const title = "Bans";
export const icon = "bans";
export const css = ["people.css"];

const AGAIN_MS = 10_000;
const KINDS = /** @type {[string, string][]} */ ([["", "Users and networks"], ["user", "Users"], ["network", "Networks"]]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const asked = { q: app.route.query.get("q") ?? "", kind: app.route.query.get("kind") ?? "" };
  const again = (/** @type {() => Promise<unknown>} */ act) => async () => (await act()) && table.load();
  const may = (/** @type {any} */ row) => app.me.can(row.kind === "user" ? "user.unban" : "network.unban");
  const table = new Table({
    label: "Bans",
    search: "Name, id, network or reason",
    asked,
    tools: [
      choice("Kind", KINDS, asked.kind, (kind) => table.ask({ kind })),
      deed(app, "user.ban", "Ban a user", again(() => banUser(app, null))),
      deed(app, "network.ban", "Ban a network", again(() => banNetwork(app))),
    ],
    empty: "Nobody is banned.",
    columns: [
      { key: "kind", label: "Kind", width: "96px", shown: "wide", cell: (row) => badge(row.kind) },
      { key: "subject", label: "Who", width: "minmax(150px, 1.4fr)", cell: (row) => row.name || row.subject },
      { key: "reason", label: "Reason", width: "minmax(120px, 2fr)", shown: "wide" },
      { key: "by", label: "By", width: "minmax(100px, 1fr)", shown: "wide" },
      { key: "until_at", label: "Ends", width: "minmax(124px, 180px)", cell: (row) => (row.until_at === null ? "Lifted by hand" : h("time", { title: app.format.date(row.until_at) }, app.format.ago(row.until_at, app.now()))) },
      { key: "lift", label: "", width: "76px", cell: (row) => may(row) && h("button", { type: "button", class: "small", "aria-label": `Lift the ban of ${row.name || row.subject}`,
        onclick: () => void trying(app, again(() => lift(app, row))) }, "Lift") },
    ],
    key: (row) => `${row.kind} ${row.subject}`,
    open: (row) => row.kind === "user" && app.go(`users/${encodeURIComponent(row.subject)}`),
    onasked: ({ q, kind }) => app.remember({ q, kind }),
    fetch: async ({ q, kind, offset, limit }) => {
      const { total, bans } = await app.look("bans.list", { q, kind, offset, limit });
      return { total, rows: bans };
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
