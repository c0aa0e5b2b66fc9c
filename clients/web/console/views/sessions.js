/** Every session of the realm: found as one types, tens of thousands of them in one list. */

import { h, put } from "../app/dom.js";
import { Table } from "../parts/table.js";
import { badge, choice, repeating, stateBadge, typed } from "../parts/words.js";

export const title = "Sessions";
export const icon = "sessions";
export const css = ["people.css"];

const AGAIN_MS = 5_000;
const MOST_OFFERED = 500;
const STATES = /** @type {[string, string][]} */ ([
  ["", "Any state"], ["in_world", "In the world"], ["authenticated", "Logged in"], ["attached", "With a socket"], ["detached", "Without a socket"],
]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { query } = app.route;
  const asked = {
    q: query.get("q") ?? "", zone: query.get("zone") ?? "", gateway: query.get("gateway") ?? "", state: query.get("state") ?? "",
    sort: query.get("sort") ?? "connected_at", descending: (query.get("descending") ?? "true") === "true",
  };
  const zones = h("datalist", { id: "zones-offered" });
  const gateways = h("datalist", { id: "gateways-offered" });
  const late = h("p", { class: "problem", role: "status" });
  late.hidden = true;
  const tools = h("div", { class: "filters" },
    typed("Zone", asked.zone, (zone) => table.ask({ zone }), { list: zones.id }), zones,
    typed("Gateway", asked.gateway, (gateway) => table.ask({ gateway }), { list: gateways.id }), gateways,
    choice("State", STATES, asked.state, (state) => table.ask({ state })));
  const table = new Table({
    label: "Sessions",
    search: "Name, id, character or address",
    asked,
    tools,
    empty: "No session fits.",
    columns: [
      { key: "username", label: "User", sorts: true, width: "minmax(130px, 1.2fr)", cell: (row) => row.username || row.user },
      { key: "character", label: "Character", sorts: true, width: "minmax(120px, 1.2fr)" },
      { key: "zone", label: "Zone", sorts: true, width: "minmax(110px, 1fr)", shown: "wide" },
      { key: "gateway", label: "Gateway", sorts: true, width: "minmax(110px, 1fr)", shown: "wide" },
      { key: "state", label: "State", sorts: true, width: "128px", cell: stateBadge },
      { key: "status", label: "Status", sorts: true, width: "90px", shown: "wide", cell: (row) => badge(row.status) },
      { key: "last_activity_at", label: "Last change", sorts: true, numeric: true, width: "136px", shown: "wide", cell: (row) => app.format.ago(row.last_activity_at, app.now()) },
      { key: "connected_at", label: "Since", sorts: true, numeric: true, width: "132px", shown: "wide", cell: (row) => app.format.duration(app.now() - row.connected_at) },
    ],
    key: (row) => row.session,
    open: (row) => app.go(`sessions/${encodeURIComponent(row.session)}`),
    onasked: ({ q, zone, gateway, state, sort, descending }) => app.remember({ q, zone, gateway, state, sort, descending }),
    fetch: async (given) => {
      const { total, sessions, silent = [] } = await app.look("sessions.search", given);
      late.hidden = silent.length === 0;
      late.textContent = `${silent.join(", ")} did not answer in time: their sessions are missing here.`;
      return { total, rows: sessions };
    },
  });
  table.root.classList.add("fills");
  root.append(late, table.root);
  void offer(app, "zones.list", { limit: MOST_OFFERED }, (said) => said.zones.map((/** @type {any} */ each) => [each.zone, each.name]), zones);
  void offer(app, "gateways.list", {}, (said) => said.gateways.map((/** @type {any} */ each) => [each.gateway, each.node]), gateways);
  const stop = repeating(async () => table.load(), AGAIN_MS);
  return () => {
    stop();
    table.close();
  };
}

/** Names to choose from while one types; without them any can be typed. @param {import("../app/shell.js").App} app @param {string} look @param {object} params @param {(said: any) => [string, string][]} names @param {HTMLElement} list */
async function offer(app, look, params, names, list) {
  if (!app.me.can(look)) return;
  const said = await app.look(look, { ...params }).catch(() => null);
  if (said) put(list, names(said).map(([value, label]) => h("option", { value, label })));
}
