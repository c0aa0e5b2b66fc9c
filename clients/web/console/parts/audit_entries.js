/** Entries of the audit log, each with its details behind it. */

import { h } from "../app/dom.js";
import { withNodes } from "./node_ids.js";
import { badge, facts } from "./words.js";

/** @param {import("../app/shell.js").App} app @param {any} entry */
export function auditEntry(app, entry) {
  const { at, actor, action, target, reason, result, details } = entry;
  return h("li", { "data-id": entry.id },
    h("details", { class: "audit" },
      h("summary", {},
        h("time", {}, app.format.date(at)),
        h("span", { class: "actor" }, actor),
        h("b", {}, action),
        h("span", { class: "target" }, withNodes(target)),
        h("span", { class: "reason" }, reason),
        badge(result)),
      facts([["Number", h("code", {}, entry.id)], ["Target", h("code", {}, target)], ["Reason", reason],
        .../** @type {[string, string][]} */ (Object.entries(details ?? {}).map(([name, value]) => [name.replaceAll("_", " "), String(value)]))])));
}

/** @param {import("../app/shell.js").App} app @param {any[]} entries @param {string} none */
export function auditEntries(app, entries, none) {
  if (entries.length === 0) return h("p", { class: "muted" }, none);
  return h("ol", { class: "audit-list" }, entries.map((entry) => auditEntry(app, entry)));
}
