/** One session: all that the realm knows of it, what can be done about it, and what its player sees. */

import { ApiError, words } from "../app/api.js";
import { button, h, put, setText } from "../app/dom.js";
import { auditEntries } from "../parts/audit_entries.js";
import { banUser, called, exportData, kick, message, revoke } from "../parts/people_acts.js";
import { PlayerView } from "../parts/player_view.js";
import { badge, deed, facts, panel, repeating, stateBadge } from "../parts/words.js";

export const title = "Session";
export const icon = "sessions";
export const css = ["people.css"];

const AGAIN_MS = 3_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const { id } = app.route;
  const ended = h("p", { class: "notice", role: "status" });
  ended.hidden = true;
  const acts = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Actions" });
  const about = h("div", { class: "columns" });
  const seen = h("div", {});
  const history = h("div", {});
  root.append(ended, acts, seen, about, history);
  /** @type {PlayerView | null} */
  let watching = null;
  let person = /** @type {any} */ (null);
  let last = "";

  const show = async () => {
    const said = await app.look("sessions.show", { session: id });
    const row = said.session;
    if (!person) put(acts, tools(row));
    person = row;
    app.titled(called(row), [["Sessions", "sessions"]]);
    ended.hidden = said.live !== false;
    setText(ended, "The actor that keeps this session does not answer: this is what the store has.");
    const { audit, ...rest } = row;
    draw(about, row);
    if (JSON.stringify(audit) !== last) put(history, panel("What was done", auditEntries(app, audit ?? [], "Nothing was done about this session or its user lately.")));
    last = JSON.stringify(audit);
    return rest;
  };

  /** @param {any} row */
  const tools = (row) => [
    deed(app, "sessions.view", "View as player", () => view(), { class: "primary", "data-act": "view" }),
    deed(app, "session.message", "Message", () => message(app, row)),
    deed(app, "session.kick", "Kick", () => kick(app, row), { class: "danger" }),
    deed(app, "user.ban", "Ban", () => banUser(app, row), { class: "danger" }),
    deed(app, "token.revoke", "End logins", () => revoke(app, row)),
    deed(app, "sessions.export", "Export", () => exportData(app, row)),
    h("a", { class: "button", href: `#/users/${encodeURIComponent(row.user)}` }, "User"),
  ];

  const view = () => {
    if (watching) return;
    watching = new PlayerView(app, id, () => {
      watching = null;
      put(seen);
    });
    put(seen, watching.root);
  };

  /** @param {HTMLElement} box @param {any} row */
  function draw(box, row) {
    const place = row.place && `${row.place.x.toFixed(1)}, ${row.place.y.toFixed(1)}, ${row.place.z.toFixed(1)}`;
    const outbox = row.outbox && `${app.format.number(row.outbox.count)} messages, ${app.format.bytes(row.outbox.bytes)}`;
    const panels = [
      panel("Player", facts([
        ["User", row.username], ["User id", h("code", {}, row.user)], ["Character", row.character], ["Role", row.role],
        ["Status", [badge(row.status), row.idle && " idle", row.status_text && ` ${row.status_text}`]],
        ["Zone", row.zone && h("a", { href: `#/zones/${encodeURIComponent(row.zone)}` }, row.zone)], ["Place", place],
      ])),
      panel("Connection", facts([
        ["State", stateBadge(row)], ["Gateway", row.gateway], ["Address", row.address && h("code", {}, row.address)],
        ["Round trip", row.latency_ms === null ? "" : app.format.ms(row.latency_ms)],
        ["Connected", app.format.date(row.connected_at)], ["Last active", h("span", { title: app.format.date(row.last_activity_at) }, app.format.ago(row.last_activity_at, app.now()))],
      ])),
      panel("Stream", facts([
        ["Session", h("code", {}, row.session)], ["Kept by", row.actor], ["Messages", app.format.number(row.seq)],
        ["Unconfirmed", outbox], ["Attached", `${row.attach_epoch} times`],
        ["Topics", row.topics.join(", ")], ["Watches", row.watching.join(", ")],
      ])),
      panel("Attributes", Object.keys(row.attributes).length > 0
        ? facts(Object.entries(row.attributes).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]))
        : h("p", { class: "muted" }, "None.")),
    ];
    panels.forEach((made, index) => {
      const known = box.children[index];
      if (!known) box.append(made);
      else if (!known.isEqualNode(made)) known.replaceWith(made);
    });
  }

  await show();
  const stop = repeating(async () => {
    try {
      await show();
    } catch (error) {
      ended.hidden = false;
      const gone = error instanceof ApiError && error.status === 404;
      setText(ended, gone ? "This session has ended. What is shown is how it was last." : words(error));
      if (!gone) return;
      stop();
      watching?.close();
      put(acts, button("All sessions", () => app.go("sessions")), h("a", { class: "button", href: `#/users/${encodeURIComponent(person.user)}` }, "User"));
    }
  }, AGAIN_MS);
  return () => {
    stop();
    watching?.close();
  };
}
