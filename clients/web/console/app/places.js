/**
 * Where one can go in the console. `view`: the module views/<view>.js, loaded when it is first looked at. `needs`: the operation
 * without which the place is not offered. A place with `detail` has another view for `#/<path>/<id>`.
 */

/** @typedef {{path: string, view: string, label: string, icon: string, needs: string, detail?: string}} Place */

/** @type {{label: string, places: Place[]}[]} */
export const GROUPS = [
  {
    label: "World",
    places: [
      { path: "", view: "overview", label: "Overview", icon: "overview", needs: "realm.overview" },
      { path: "map", view: "map", label: "Map", icon: "map", needs: "world.map" },
      { path: "zones", view: "zones", label: "Zones", icon: "zones", needs: "zones.list", detail: "zone" },
      { path: "gateways", view: "gateways", label: "Gateways", icon: "gateways", needs: "gateways.list" },
      { path: "nodes", view: "nodes", label: "Nodes", icon: "nodes", needs: "nodes.list" },
      { path: "processes", view: "processes", label: "Processes", icon: "processes", needs: "processes.list" },
    ],
  },
  {
    label: "People",
    places: [
      { path: "sessions", view: "sessions", label: "Sessions", icon: "sessions", needs: "sessions.search", detail: "session" },
      { path: "presence", view: "presence", label: "Presence", icon: "presence", needs: "presence.list" },
      { path: "bans", view: "bans", label: "Bans", icon: "bans", needs: "bans.list" },
      { path: "abuse", view: "abuse", label: "Abuse", icon: "abuse", needs: "abuse.list" },
    ],
  },
  {
    label: "Realm",
    places: [
      { path: "realm", view: "realm", label: "Realm", icon: "realm", needs: "realm.overview" },
      { path: "jobs", view: "jobs", label: "Jobs", icon: "jobs", needs: "realm.overview" },
      { path: "logs", view: "logs", label: "Logs", icon: "logs", needs: "logs.tail" },
      { path: "audit", view: "audit", label: "Audit", icon: "audit", needs: "audit.list" },
      { path: "operators", view: "operators", label: "Operators", icon: "operators", needs: "operators.list" },
      { path: "maintenance", view: "maintenance", label: "Maintenance", icon: "broadcast", needs: "realm.overview" },
      { path: "chaos", view: "chaos", label: "Chaos", icon: "alert", needs: "processes.kill" },
      { path: "operations", view: "operations", label: "Operations", icon: "jobs", needs: "realm.overview" },
      { path: "account", view: "account", label: "Account", icon: "presence", needs: "realm.overview" },
    ],
  },
];

/** A view that no place leads to, by its path: `#/users/<id>`. */
export const OTHERS = /** @type {Record<string, string>} */ ({ users: "user" });

/** @type {Place[]} */
export const PLACES = GROUPS.flatMap(({ places }) => places);

/**
 * `#/zones/zon_a?q=x`: path `zones/zon_a`, view `zone`, id `zon_a`, query `q`.
 * @typedef {{path: string, place: Place | null, view: string, id: string, query: URLSearchParams}} Route
 * @param {string} hash @returns {Route}
 */
export function read(hash) {
  const [path = "", search = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const [first = "", ...rest] = path.split("/");
  const id = rest.map(decodeURIComponent).join("/");
  const place = PLACES.find((each) => each.path === first) ?? null;
  const view = place ? (id ? place.detail ?? place.view : place.view) : OTHERS[first] ?? "";
  return { path, place, view, id, query: new URLSearchParams(search) };
}
