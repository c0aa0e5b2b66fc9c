/** Before the console: log in with a password and a code, or accept an invitation. */

import { ApiError, words } from "./api.js";
import { button, h, put } from "./dom.js";

/** @typedef {import("./api.js").Api} Api */

/** The password was right: the second factor is asked for. */
const NEXT = "code_needed";

/** Up to somebody being logged in: what the realm says of them. @param {HTMLElement} gate @param {Api} api @returns {Promise<any>} */
export function openGate(gate, api) {
  const token = location.hash.startsWith("#/invitation/") ? location.hash.slice("#/invitation/".length) : "";
  return new Promise((enter) => {
    if (token) openInvitation(gate, api, token, enter);
    else openLogin(gate, api, enter);
  });
}

/** @param {HTMLElement} gate @param {string} title @param {...import("./dom.js").Child} body */
function card(gate, title, ...body) {
  document.title = `${title} · Rayrealm console`;
  put(gate, h("section", { class: "card", "aria-labelledby": "gate-title" },
    h("p", { class: "brand" }, h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }), h("span", {}, "Rayrealm"), h("small", {}, "Console")),
    h("h1", { id: "gate-title" }, title), body));
  gate.querySelector("input")?.focus();
}

/** @param {string} id @param {string} label @param {Record<string, unknown>} of @param {string} [hint] */
function field(id, label, of, hint = "") {
  const input = h("input", { id, autocapitalize: "none", spellcheck: "false", required: true, "aria-describedby": `${id}-hint gate-problem`, ...of });
  return { input, box: h("div", { class: "field" }, h("label", { for: id }, label), input, h("small", { id: `${id}-hint`, class: "muted" }, hint)) };
}

/**
 * A form that says what is wrong and can be sent once at a time.
 * @param {string} submit @param {() => Promise<void>} send @param {...import("./dom.js").Child} rows
 */
function form(submit, send, ...rows) {
  const problem = h("p", { id: "gate-problem", class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: "primary" }, submit);
  return h("form", {
    onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      problem.textContent = "";
      try {
        await send();
      } catch (error) {
        problem.textContent = words(error);
      } finally {
        go.disabled = false;
      }
    },
  }, rows, problem, go);
}

/** @param {HTMLElement} gate @param {Api} api @param {(me: any) => void} enter */
async function openLogin(gate, api, enter) {
  let welcome;
  try {
    welcome = await api.ask("GET", "login", { quiet: true });
  } catch (error) {
    card(gate, "Log in", h("p", { class: "problem", role: "alert" }, words(error)), button("Try again", () => openLogin(gate, api, enter)));
    return;
  }
  const name = field("name", "Name", { autocomplete: "username" });
  const password = field("password", "Password", { type: "password", autocomplete: "current-password" });
  const send = async () => {
    const given = { name: name.input.value.trim(), password: password.input.value };
    try {
      enter(await api.ask("POST", "login", { body: given, quiet: true }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== NEXT) throw error;
      openCode(gate, api, given, enter);
    }
  };
  card(gate, "Log in", welcome.realm && h("p", { class: "muted" }, `To the realm ${welcome.realm}.`),
    form(welcome.mfa ? "Continue" : "Log in", send, name.box, password.box));
}

/** @param {HTMLElement} gate @param {Api} api @param {{name: string, password: string}} given @param {(me: any) => void} enter */
function openCode(gate, api, given, enter) {
  const code = field("code", "Code", { autocomplete: "one-time-code", maxlength: 40 },
    "The six digits of your authenticator, or one of your recovery codes.");
  card(gate, "Your second factor", form("Log in", async () => {
    enter(await api.ask("POST", "login", { body: { ...given, code: code.input.value.trim() }, quiet: true }));
  }, code.box), button("Back", () => openLogin(gate, api, enter), { class: "quiet" }));
}

/** @param {HTMLElement} gate @param {Api} api @param {string} token @param {(me: any) => void} enter */
async function openInvitation(gate, api, token, enter) {
  card(gate, "Your invitation", h("p", { class: "muted" }, "Opening it…"));
  let invited;
  try {
    invited = await api.ask("POST", "invitation", { body: { token }, quiet: true });
  } catch (error) {
    card(gate, "Your invitation", h("p", { class: "problem", role: "alert" }, words(error)), button("To the login", () => {
      location.hash = "#/";
      openLogin(gate, api, enter);
    }));
    return;
  }
  const password = field("password", "Choose a password", { type: "password", autocomplete: "new-password" }, `At least ${invited.min_password} characters.`);
  const again = field("password-again", "The same again", { type: "password", autocomplete: "new-password" });
  const code = field("code", "The code that it shows", { autocomplete: "one-time-code", inputmode: "numeric", maxlength: 8 });
  card(gate, `Welcome, ${invited.name}`,
    h("p", { class: "muted" }, `You are invited as ${invited.role}.`),
    form("Accept", async () => {
      if (password.input.value !== again.input.value) throw new Error("The two passwords differ.");
      const body = { token, password: password.input.value, code: code.input.value.trim() };
      const accepted = await api.ask("POST", "invitation/accept", { body, quiet: true });
      location.hash = "#/";
      openRecovery(gate, accepted, enter);
    }, password.box, again.box, invited.qr && h("div", { class: "factor" },
      h("p", {}, "Scan this with an authenticator app, or type the key into it."), drawing(invited.qr), h("code", { class: "secret" }, invited.secret)),
    invited.qr && code.box));
}

/** @param {HTMLElement} gate @param {any} accepted @param {(me: any) => void} enter */
function openRecovery(gate, accepted, enter) {
  const codes = /** @type {string[]} */ (accepted.recovery_codes);
  if (codes.length === 0) return enter(accepted);
  card(gate, "Recovery codes",
    h("p", {}, "Each of these lets you in once, if you lose your authenticator. They are shown only now: keep them where nobody else reads."),
    h("ul", { class: "codes" }, codes.map((each) => h("li", {}, h("code", {}, each)))),
    form("I have kept them", async () => enter(accepted)));
}

/** The realm's QR code, as elements: only its shapes are taken. @param {string} markup an SVG */
export function drawing(markup) {
  const root = new DOMParser().parseFromString(markup, "image/svg+xml").documentElement;
  for (const element of [root, ...root.querySelectorAll("*")]) {
    if (!["svg", "path", "rect", "g"].includes(element.localName)) element.remove();
    for (const { name } of [...element.attributes]) if (name.startsWith("on") || name === "style" || name.includes("href")) element.removeAttribute(name);
  }
  if (!root.hasAttribute("viewBox")) root.setAttribute("viewBox", `0 0 ${root.getAttribute("width")} ${root.getAttribute("height")}`);
  root.setAttribute("role", "img");
  root.setAttribute("aria-label", "QR code for the authenticator");
  return h("div", { class: "qr" }, document.importNode(root, true));
}
