/** Who may use the console, and as what. */

import { BASE } from "../app/api.js";
import { h, put } from "../app/dom.js";
import { showSecret } from "../parts/secret.js";
import { badge, deed, repeating, trying } from "../parts/words.js";

export const title = "Operators";
export const icon = "operators";
export const css = ["people.css"];

const AGAIN_MS = 10_000;
const ROLES = /** @type {[string, string][]} */ ([
  ["viewer", "Viewer: looks, changes nothing"], ["operator", "Operator: runs the realm"], ["admin", "Admin: also decides who is an operator"],
]);

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const box = h("div", { class: "plain-box" });
  const again = (/** @type {() => Promise<unknown>} */ act) => async () => {
    await act();
    await load();
  };
  root.append(h("div", { class: "toolbar" }, deed(app, "operators.invite", "Invite an operator", again(() => invite(app)), { class: "primary" })), box);

  async function load() {
    const { operators } = await app.look("operators.list");
    const rows = operators.map((/** @type {any} */ each) => {
      const { name, role, state } = each;
      return h("tr", {},
        h("th", { scope: "row" }, name, name === app.me.name && h("small", { class: "muted" }, " you")),
        h("td", { "data-label": "Role" }, role), h("td", { "data-label": "State" }, badge(state)),
        h("td", { "data-label": "Second factor" }, each.mfa ? "Yes" : state === "active" ? badge("warning", "No") : "–"),
        h("td", { "data-label": "Last login" }, each.last_login_at ? app.format.ago(each.last_login_at, app.now()) : "Never"),
        h("td", { class: "number", "data-label": "Tokens" }, app.format.number(each.tokens.length)),
        h("td", {}, h("span", { class: "acts" },
          deed(app, "operators.role", "Role", again(() => change(app, each)), { class: "small", "aria-label": `Change the role of ${name}` }),
          deed(app, "operators.reset", "Reset", again(() => reset(app, name)), { class: "small", "aria-label": `Reset ${name}` }),
          deed(app, "operators.remove", "Remove", again(() => app.act("operators.remove", { name }, { title: `Remove ${name}` })), { class: "small danger", "aria-label": `Remove ${name}` }))));
    });
    const table = h("table", { class: "plain cards" }, h("thead", {}, h("tr", {},
      ["Name", "Role", "State", "Second factor", "Last login", "Tokens", "Actions"].map((name) => h("th", { scope: "col", class: name === "Tokens" && "number" }, name)))), h("tbody", {}, rows));
    if (!box.firstElementChild?.isEqualNode(table)) put(box, table);
  }

  await load();
  return repeating(() => trying(app, load), AGAIN_MS);
}

/** @param {import("../app/shell.js").App} app */
async function invite(app) {
  const given = await app.ask({
    title: "Invite an operator",
    fields: [
      { name: "name", label: "Name", hint: "2 to 32 of a-z, 0-9, _ and -", max: 32, pattern: "[A-Za-z][A-Za-z0-9_\\-]{1,31}" },
      { name: "role", label: "Role", kind: "select", options: ROLES, value: "viewer" },
    ],
  });
  if (!given) return;
  await give(app, await app.act("operators.invite", { name: given.name, role: given.role }, { title: `Invite ${given.name}` }));
}

/** @param {import("../app/shell.js").App} app @param {any} operator */
async function change(app, { name, role }) {
  const given = await app.ask({ title: `Role of ${name}`, intro: "Their sessions end at once.", fields: [{ name: "role", label: "Role", kind: "select", options: ROLES, value: role }] });
  if (given) await app.act("operators.role", { name, role: given.role }, { title: `Role of ${name}` });
}

/** @param {import("../app/shell.js").App} app @param {string} name */
async function reset(app, name) {
  await give(app, await app.act("operators.reset", { name }, { title: `Reset ${name}` }));
}

/** @param {import("../app/shell.js").App} app @param {any} invited */
async function give(app, invited) {
  if (!invited?.token) return;
  await showSecret({
    title: `Invitation for ${invited.name}`,
    about: `Give this link to ${invited.name}, and to nobody else. It works once, until ${app.format.date(invited.expires_at)}, and is not shown again.`,
    secret: new URL(`#/invitation/${invited.token}`, BASE).href,
  });
}
