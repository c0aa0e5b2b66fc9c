/** What belongs to whoever is logged in: password, second factor, recovery codes, logins, tokens for scripts. */

import { button, h, put } from "../app/dom.js";
import { drawing } from "../app/gate.js";
import { showSecret } from "../parts/secret.js";
import { badge, facts, panel, trying } from "../parts/words.js";

export const title = "Account";
export const icon = "presence";
export const css = ["people.css"];

const DAY_S = 86_400;
const FEW_CODES = 4;
const ROLES = ["viewer", "operator", "admin"];
/** @type {import("../parts/form.js").Field} */
const PASSWORD = { name: "password", label: "Your password", kind: "password", max: 1_024 };
/** @type {import("../parts/form.js").Field} */
const CODE = { name: "code", label: "Code", max: 40, hint: "The six digits of your authenticator, or one of your recovery codes." };

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const { api, format } = app;
  const box = h("div", { class: "columns" });
  root.append(box);
  /** @param {() => Promise<unknown>} work */
  const then = (work) => () => void trying(app, async () => {
    await work();
    await show();
  });

  async function show() {
    const [me, { sessions }, { tokens }] = await Promise.all([api.get("me"), api.get("account/sessions"), api.get("account/tokens")]);
    const others = sessions.filter((/** @type {any} */ each) => !each.own);
    put(box,
      panel("You", facts([
        ["Name", me.name], ["Role", me.role],
        ["May do", `${format.number(me.operations.length)} operations`],
        ["This login", `ends by itself on ${format.date(me.expires_at)}, or after ${format.duration(me.idle_s)} without a request`],
      ]), h("p", {}, h("a", { href: "#/operations" }, "Every operation, with its command and its route"))),
      panel("Password and second factor", facts([
        ["Second factor", me.mfa ? badge("active", "By authenticator") : badge("warning", "None")],
        ["Recovery codes", h("span", { class: me.mfa && me.recovery_left < FEW_CODES ? "problem" : "" }, `${format.number(me.recovery_left)} left`)],
      ]),
      h("div", { class: "toolbar" },
        button("Change password", then(password)),
        me.mfa && button("New authenticator", then(factor)),
        me.mfa && button("New recovery codes", then(recovery)))),
      panel("Your logins", h("ul", { class: "rows" }, sessions.map((/** @type {any} */ each) => h("li", {},
        h("span", {}, h("b", {}, each.address), h("small", { class: "muted" }, ` since ${format.date(each.began_at)}, used ${format.ago(each.used_at, app.now())}`)),
        each.own ? badge("active", "This one")
          : button("End", then(() => api.post("account/sessions/end", { session: each.id })), { class: "small", "aria-label": `End the login from ${each.address}` })))),
      others.length > 0 && h("div", { class: "toolbar" }, button("End all others", then(() => api.post("account/sessions/end"))))),
      panel("Tokens for scripts",
        h("p", { class: "muted" }, "Sent as ", h("code", {}, "Authorization: Bearer …"), ". A token may do what its role may, and never more than you."),
        tokens.length === 0 ? h("p", { class: "muted" }, "None.") : h("ul", { class: "rows" }, tokens.map((/** @type {any} */ each) => h("li", {},
          h("span", {}, h("b", {}, each.label || each.id), h("small", { class: "muted" }, ` ${each.role}, until ${format.date(each.expires_at)}`)),
          button("End", then(() => api.post("account/tokens/end", { token: each.id })), { class: "small", "aria-label": `End the token ${each.label || each.id}` })))),
        h("div", { class: "toolbar" }, button("New token", then(() => token(me.role))))));
  }

  async function password() {
    const done = await app.ask({
      title: "Change password",
      intro: "All your other logins end.",
      fields: [PASSWORD, { name: "new", label: "The new one", kind: "password", max: 1_024 }, { name: "again", label: "The new one again", kind: "password", max: 1_024 }],
      submit: "Change it",
      send: (given) => {
        if (given.new !== given.again) throw new Error("The two new ones differ.");
        return api.renew("account/password", { password: given.password, new: given.new });
      },
    });
    if (done) app.toast("Your password is changed.", "good");
  }

  async function factor() {
    const made = await app.ask({
      title: "New authenticator",
      intro: "The present one holds until the new one has shown a code.",
      fields: [PASSWORD, CODE],
      send: (given) => api.post("account/totp", given),
    });
    if (!made) return;
    const done = await app.ask({
      title: "New authenticator",
      intro: "Scan this with an authenticator app, or type the key into it.",
      more: h("div", { class: "factor" }, drawing(made.qr), h("code", { class: "secret" }, made.secret)),
      fields: [{ name: "code", label: "The code that it shows", max: 8 }],
      submit: "Use it",
      send: ({ code }) => api.post("account/totp/confirm", { enrolment: made.enrolment, code }),
    });
    if (done) app.toast("The new authenticator counts from now on.", "good");
  }

  async function recovery() {
    const made = await app.ask({
      title: "New recovery codes", intro: "Those that you have count no more.", fields: [PASSWORD, CODE], send: (given) => api.post("account/recovery", given),
    });
    if (!made) return;
    await showSecret({
      title: "Your recovery codes", about: "Each lets you in once, if you lose your authenticator. They are not shown again.", secret: made.recovery_codes.join("\n"),
    });
  }

  /** @param {string} role */
  async function token(role) {
    let label = "";
    const made = await app.ask({
      title: "New token",
      fields: [
        { name: "label", label: "What it is for", max: 80 },
        { name: "role", label: "Role", kind: "select", value: "viewer", options: ROLES.slice(0, ROLES.indexOf(role) + 1).map((each) => [each, each]) },
        { name: "days", label: "Ends after", kind: "select", value: "90", options: [["1", "1 day"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "1 year"]] },
        PASSWORD,
      ],
      submit: "Make it",
      send: ({ days, ...given }) => {
        label = given.label;
        return api.post("account/tokens", { ...given, for_s: Number(days) * DAY_S });
      },
    });
    if (!made) return;
    await showSecret({ title: "Your token", about: `For ${label}. It is not shown again, and ends on ${format.date(made.expires_at)}.`, secret: made.token });
  }

  await show();
}
