/** One user: account, characters, sessions, bans, and what was done about them. */

import { h, put } from "../app/dom.js";
import { auditEntries } from "../parts/audit_entries.js";
import { banUser, exportData, lift, message, revoke } from "../parts/people_acts.js";
import { deed, facts, panel, stateBadge } from "../parts/words.js";

export const title = "User";
export const icon = "presence";
export const css = ["people.css"];

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const show = async () => draw(await app.look("users.show", { user: app.route.id }));

  /** @param {any} said */
  function draw(said) {
    const person = { user: said.user, username: said.username };
    const again = (/** @type {() => Promise<unknown>} */ act) => async () => (await act()) && show();
    app.titled(said.username || said.user, [["Presence", "presence"]]);
    put(root,
      said.ban && h("p", { class: "notice bad" }, h("b", {}, "Banned"), ` ${said.ban.until_at ? `until ${app.format.date(said.ban.until_at)}` : "until it is lifted"}. `, said.ban.reason),
      h("div", { class: "toolbar", role: "toolbar", "aria-label": "Actions" },
        deed(app, "session.message", "Message", () => message(app, person)),
        said.ban ? deed(app, "user.unban", "Lift the ban", again(() => lift(app, { kind: "user", subject: said.user, name: said.username })))
          : deed(app, "user.ban", "Ban", again(() => banUser(app, person)), { class: "danger" }),
        deed(app, "token.revoke", "End logins", () => revoke(app, person)),
        deed(app, "sessions.export", "Export", () => exportData(app, person))),
      h("div", { class: "columns" },
        panel("Account", facts([
          ["User", said.username], ["User id", h("code", {}, said.user)],
          ["Since", said.account ? app.format.date(said.account.created_at) : "An outside issuer's: no account here"],
          ["Last online", said.last_online_at ? app.format.date(said.last_online_at) : ""],
        ])),
        panel("Characters", said.characters.length === 0 ? h("p", { class: "muted" }, "None.") : h("ul", { class: "rows" },
          said.characters.map((/** @type {any} */ each) => h("li", {}, h("b", {}, each.name), h("code", {}, each.character_id))))),
        panel("Sessions", said.sessions.length === 0 ? h("p", { class: "muted" }, "None.") : h("ul", { class: "rows" },
          said.sessions.map((/** @type {any} */ each) => h("li", {}, h("a", { href: `#/sessions/${encodeURIComponent(each.session)}` }, each.character || each.session), stateBadge(each)))))),
      panel("What was done", auditEntries(app, said.audit, "Nothing was done about this user lately.")));
  }

  await show();
}
