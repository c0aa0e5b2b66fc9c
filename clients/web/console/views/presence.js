/** Who is online, with what they say of themselves. */

import { Table } from "../parts/table.js";
import { badge, choice, repeating, typed } from "../parts/words.js";

export const title = "Presence";
export const icon = "presence";
export const css = ["people.css"];

const AGAIN_MS = 5_000;
const STATUSES = /** @type {[string, string][]} */ ([
  ["", "Any status"], ["online", "Online"], ["away", "Away"], ["busy", "Busy"], ["invisible", "Invisible"],
]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { query } = app.route;
  const asked = { q: query.get("q") ?? "", status: query.get("status") ?? "", zone: query.get("zone") ?? "" };
  const table = new Table({
    label: "Users who are online",
    search: "Name or id",
    asked,
    tools: [
      choice("Status", STATUSES, asked.status, (status) => table.ask({ status })),
      typed("Zone", asked.zone, (zone) => table.ask({ zone })),
    ],
    empty: "Nobody who is online fits.",
    columns: [
      { key: "username", label: "User", width: "minmax(120px, 1fr)", cell: (row) => row.username || row.user },
      { key: "character", label: "Character", width: "minmax(120px, 1fr)", cell: (row) => row.character ?? row.name ?? "" },
      { key: "status", label: "Status", width: "96px", cell: (row) => badge(row.status) },
      { key: "status_text", label: "Says", width: "minmax(160px, 2fr)", shown: "wide", cell: (row) => row.status_text ?? row.text ?? "" },
      { key: "zone", label: "Zone", width: "minmax(110px, 1fr)", shown: "wide" },
      { key: "user", label: "User id", width: "minmax(150px, 1fr)", shown: "wide" },
    ],
    key: (row) => row.user,
    open: (row) => app.go(`users/${encodeURIComponent(row.user)}`),
    onasked: ({ q, status, zone }) => app.remember({ q, status, zone }),
    fetch: async ({ q, status, zone, offset, limit }) => {
      const { total, users } = await app.look("presence.list", { q, status, zone, offset, limit });
      return { total, rows: users };
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
