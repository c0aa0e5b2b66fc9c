/** Every operation, with what it is given, who may, and the same as a command and as a route. From the API's own description. */

import { BASE } from "../app/api.js";
import { h, put, setText } from "../app/dom.js";
import { icon as drawn } from "../app/icons.js";
import { badge, choice, marked, typed } from "../parts/words.js";

export const title = "Operations";
export const icon = "jobs";
export const css = ["people.css"];

const ABOUT = /^Role: (\w+)\. Command: `([^`]+)`\.\s*/;
const PLAN = "/plan"; // of an action

/** @typedef {{name: string, summary: string, role: string, command: string, method: string, path: string, params: {name: string, type: string, needed: boolean, about: string}[], isAction: boolean}} Known */

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const waiting = h("p", { class: "muted", role: "status" }, "Reading the description of the API…");
  root.append(waiting);
  const known = read(await app.api.get("openapi.json"));
  waiting.remove();
  let { q, role } = { q: app.route.query.get("q") ?? "", role: "" };
  const list = h("ol", { class: "operations" });
  const count = h("p", { class: "muted count-line", role: "status" });
  root.append(h("p", { class: "muted" }, "All that this console does can be done by command and by HTTP, too. An action is planned at its route with ", h("code", {}, "/plan"), " behind it, then ordered; the answer is a job."),
    h("div", { class: "toolbar" },
      h("div", { class: "search" }, drawn("search"), typed("Name, command or words", q, (said) => show({ q: said }), { type: "search" })),
      choice("Role", [["", "Any role"], ["viewer", "Viewer"], ["operator", "Operator"], ["admin", "Admin"]], role, (said) => show({ role: said })), count), list);

  /** @param {{q?: string, role?: string}} change */
  function show(change) {
    ({ q, role } = { q, role, ...change });
    app.remember({ q });
    const wanted = q.toLowerCase();
    const found = known.filter((each) => (!role || each.role === role) && (!wanted || `${each.name} ${each.summary} ${each.command}`.toLowerCase().includes(wanted)));
    setText(count, app.format.count(found.length, "operation"));
    put(list, found.map((each) => h("li", { class: "panel", id: `op-${each.name}` },
      h("header", {}, h("h2", {}, h("code", {}, marked(each.name, q))), h("span", { class: "badges" }, badge(each.isAction ? "action" : "look"), badge(each.role), !app.me.can(each.name) && badge("warning", "not yours"))),
      h("p", {}, marked(each.summary, q)),
      h("pre", { tabindex: 0, "aria-label": `${each.name} by command and by HTTP` }, `$ ${each.command}\n${each.method} ${each.path}`),
      each.params.length > 0 && h("details", {}, h("summary", {}, app.format.count(each.params.length, "parameter")),
        h("dl", { class: "facts" }, each.params.map(({ name, type, needed, about }) => [h("dt", {}, h("code", {}, name)), h("dd", {}, `${type}${needed ? ", needed" : ""}${about ? `. ${about}` : ""}`)]))))));
  }

  show({});
}

/** @param {any} document OpenAPI 3.1 @returns {Known[]} */
export function read(document) {
  const base = document.servers?.[0]?.url ?? BASE.pathname;
  /** @type {Known[]} */
  const found = [];
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    for (const [method, said] of Object.entries(/** @type {Record<string, any>} */ (methods))) {
      const about = ABOUT.exec(said.description ?? "");
      if (!about || (method === "post" && path.endsWith(PLAN))) continue;
      const body = said.requestBody?.content?.["application/json"]?.schema;
      found.push({
        name: said.operationId, summary: said.summary ?? "", role: about[1] ?? "", command: about[2] ?? "",
        method: method.toUpperCase(), path: `${base.replace(/\/$/, "")}${path}`, isAction: method === "post",
        params: body ? ofBody(document, body) : ofQuery(document, said.parameters ?? []),
      });
    }
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @param {any} document @param {any[]} parameters */
const ofQuery = (document, parameters) => parameters.filter((each) => each.in === "query").map((each) =>
  ({ name: each.name, type: typeOf(document, each.schema), needed: Boolean(each.required), about: each.description ?? each.schema?.description ?? "" }));

/** @param {any} document @param {any} schema */
function ofBody(document, schema) {
  const { properties = {}, required = [] } = resolved(document, schema);
  return Object.entries(properties).map(([name, each]) =>
    ({ name, type: typeOf(document, each), needed: required.includes(name), about: /** @type {any} */ (each).description ?? "" }));
}

/** @param {any} document @param {any} schema */
function resolved(document, schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? document.components.schemas[name] ?? {} : schema ?? {};
}

/** @param {any} document @param {any} schema @returns {string} */
function typeOf(document, schema) {
  const of = resolved(document, schema);
  if (of.enum) return of.enum.filter((/** @type {unknown} */ each) => each !== "").join(" | ");
  if (of.anyOf) return of.anyOf.map((/** @type {any} */ each) => typeOf(document, each)).join(" or ");
  if (of.type === "array") return `list of ${typeOf(document, of.items)}`;
  return of.type ?? "any";
}
