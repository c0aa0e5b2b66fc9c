/** Every zone, by what one looks for. */

import { h } from "../app/dom.js";
import { slowly } from "../parts/bits.js";
import { Table } from "../parts/table.js";
import { figure, stateOf, title as nameOf } from "../parts/zones.js";

export const title = "Zones";
export const icon = "zones";

const AGAIN_MS = 4_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { format, route } = app;
  /** @type {string[]} */
  let draining = [];
  const table = new Table({
    label: "Zones",
    search: "Search zones",
    empty: "No zone is called so.",
    key: (zone) => zone.zone,
    open: (zone) => app.go(`zones/${encodeURIComponent(zone.zone)}`),
    asked: { q: route.query.get("q") ?? "", sort: route.query.get("sort") ?? "name", descending: route.query.get("down") === "1" },
    onasked: ({ q, sort, descending }) => app.remember({ q, sort, down: descending ? 1 : null }),
    fetch: async (asked) => {
      const { total, zones } = await app.look("zones.list", asked);
      return { total, rows: zones };
    },
    columns: [
      { key: "name", label: "Zone", sorts: true, width: "minmax(130px, 1.6fr)", cell: (zone) => h("a", { href: `#/zones/${encodeURIComponent(zone.zone)}`, tabindex: -1 }, nameOf(zone)) },
      { key: "zone", label: "Id", sorts: true, shown: "wide", width: "minmax(100px, 1fr)", cell: (zone) => h("span", { class: "mono muted" }, zone.zone) },
      { key: "state", label: "State", shown: "wide", width: "148px", cell: (zone) => stateOf(zone, draining) },
      { key: "host", label: "Host", sorts: true, shown: "wide", width: "minmax(110px, 1.4fr)" },
      { key: "population", label: "Population", sorts: true, numeric: true, width: "124px", cell: (zone) => format.number(figure(zone, "population")) },
      { key: "tick_ms_p95", label: "Tick p95", sorts: true, numeric: true, width: "96px", cell: (zone) => format.ms(figure(zone, "tick_ms_p95")) },
      { key: "overruns", label: "Overruns", sorts: true, numeric: true, shown: "wide", width: "96px", cell: (zone) => format.number(figure(zone, "overruns")) },
      { key: "epoch", label: "Epoch", sorts: true, numeric: true, shown: "wide", width: "76px", cell: (zone) => format.number(zone.epoch) },
      { key: "restarts", label: "Restarts", sorts: true, numeric: true, shown: "wide", width: "92px", cell: (zone) => format.number(zone.restarts) },
    ],
  });
  table.root.classList.add("fills");
  root.append(table.root);
  const again = slowly(() => table.load(), AGAIN_MS);
  app.live("map", (map, { full, changed }) => {
    draining = map.draining;
    table.update(full ? map.zones : map.zones.filter((/** @type {any} */ zone) => changed.includes(zone.zone)));
    again.fire();
  });
  return () => {
    again.stop();
    table.close();
  };
}
