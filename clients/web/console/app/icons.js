/** Line icons of 20 x 20, drawn for this page. */

import { svg } from "./dom.js";

/** Each: the `d` of its paths. */
const PATHS = /** @type {Record<string, string[]>} */ ({
  overview: ["M3 11a7 7 0 0 1 14 0", "M10 11l3.2-3.6", "M5 15h10"],
  map: ["M3 5l5-2 4 2 5-2v12l-5 2-4-2-5 2z", "M8 3v12", "M12 5v12"],
  zones: ["M3 3h6v6H3z", "M11 3h6v6h-6z", "M3 11h6v6H3z", "M11 11h6v6h-6z"],
  gateways: ["M4 3v14", "M16 3v14", "M4 7h12", "M7 12h6", "M11 10l2 2-2 2"],
  nodes: ["M3 4h14v5H3z", "M3 11h14v5H3z", "M6 6.5h.01", "M6 13.5h.01"],
  jobs: ["M4 5h1", "M4 10h1", "M4 15h1", "M8 5h8", "M8 10h8", "M8 15h8"],
  sessions: ["M7 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6z", "M2 17c0-3 2-5 5-5s5 2 5 5", "M13 3.5a3 3 0 0 1 0 5", "M15 12.5c2 .6 3 2.2 3 4.5"],
  presence: ["M10 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6z", "M4 17c0-3.3 2.5-5 6-5s6 1.7 6 5"],
  bans: ["M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M5 5l10 10"],
  abuse: ["M10 3l7 3v4c0 4-3 6.500-7 7.500-4-1-7-3.500-7-7.500V6z", "M10 7v4", "M10 13.500h.01"],
  audit: ["M5 3h7l3 3v11H5z", "M8 9h4", "M8 12h4"],
  logs: ["M3 4h14v12H3z", "M6 8l2 2-2 2", "M10 12h4"],
  operators: ["M10 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6z", "M3 17c0-3 3-5 7-5", "M13 15l2 2 3-4"],
  realm: ["M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M3 10h14", "M10 3c2.500 2 3 4.500 3 7s-.5 5-3 7c-2.500-2-3-4.500-3-7s.5-5 3-7z"],
  processes: ["M6 6h8v8H6z", "M8 3v3", "M12 3v3", "M8 14v3", "M12 14v3", "M3 8h3", "M3 12h3", "M14 8h3", "M14 12h3"],
  broadcast: ["M4 8v4h3l5 4V4L7 8z", "M15 7.500c1 1.500 1 3.500 0 5"],
  sun: ["M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6z", "M10 2v2", "M10 16v2", "M2 10h2", "M16 10h2", "M4.500 4.500L6 6", "M14 14l1.500 1.500", "M15.500 4.500L14 6", "M6 14l-1.500 1.500"],
  moon: ["M16 12.500A7 7 0 0 1 7.500 4 7 7 0 1 0 16 12.500z"],
  auto: ["M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M10 3v14", "M10 6h5", "M10 10h7", "M10 14h5"],
  menu: ["M3 5h14", "M3 10h14", "M3 15h14"],
  close: ["M5 5l10 10", "M15 5L5 15"],
  search: ["M9 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10z", "M13 13l4 4"],
  alert: ["M10 3l7.500 13h-15z", "M10 8v4", "M10 14h.01"],
  info: ["M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M10 9v5", "M10 6.500h.01"],
  check: ["M4 10.500l4 4 8-9"],
  plus: ["M10 4v12", "M4 10h12"],
  minus: ["M4 10h12"],
  fit: ["M4 8V4h4", "M12 4h4v4", "M16 12v4h-4", "M8 16H4v-4"],
  back: ["M12 4l-6 6 6 6"],
  next: ["M8 4l6 6-6 6"],
  out: ["M8 4H4v12h4", "M8 10h9", "M14 7l3 3-3 3"],
  help: ["M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M8 8a2 2 0 1 1 2.500 2c-.4.2-.5.500-.5 1.200", "M10 13.500h.01"],
  up: ["M5 12l5-5 5 5"],
  down: ["M5 8l5 5 5-5"],
});

/** @param {string} name */
export function icon(name) {
  const paths = (PATHS[name] ?? PATHS.info ?? []).map((d) => svg("path", { d }));
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", focusable: "false" }, ...paths);
}
