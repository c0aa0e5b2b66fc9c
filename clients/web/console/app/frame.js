/** What is around every view: navigation, heading, bars that say how things are. */

import { button, h, put, setText } from "./dom.js";
import * as format from "./format.js";
import { icon } from "./icons.js";
import { GROUPS } from "./places.js";
import { nextTheme, startTheme, theme } from "./theme.js";

const THEME_WORDS = /** @type {Record<string, string>} */ ({ auto: "System theme", light: "Light theme", dark: "Dark theme" });
const THEME_ICONS = /** @type {Record<string, string>} */ ({ auto: "auto", light: "sun", dark: "moon" });

export class Frame {
  gate = need("gate");
  view = need("view");
  #shell = need("shell");
  #nav = need("nav");
  #heading = need("heading");
  #crumbs = need("crumbs");
  #bars = { away: need("bar-away"), maintenance: need("bar-maintenance") };
  #realm = need("realm");
  #theme = need("theme");
  #menu = need("menu");
  #ticking = 0;
  #name = "";
  #unfollow = () => {};

  /** @param {import("./shell.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    startTheme();
    this.#theme.addEventListener("click", () => {
      nextTheme();
      this.#sayTheme();
    });
    this.#sayTheme();
    this.#menu.addEventListener("click", () => this.#openMenu(document.body.dataset.menu !== "open"));
    need("scrim").addEventListener("click", () => this.#openMenu(false));
    need("logout").addEventListener("click", () => this.shell.logOut());
    need("skip").addEventListener("click", (event) => {
      event.preventDefault();
      need("main").focus();
    });
    shell.live.addEventListener("state", () => this.#sayFeed());
  }

  /** @param {{name: string, role: string}} me */
  open(me) {
    document.body.dataset.screen = "console";
    this.gate.hidden = true;
    this.#shell.hidden = false;
    setText(need("me-name"), me.name);
    setText(need("me-role"), me.role);
    put(this.#nav, GROUPS.map(({ label, places }) => {
      const offered = places.filter(({ needs }) => this.shell.can(needs));
      if (offered.length === 0) return null;
      const id = `nav-${label.toLowerCase()}`;
      return h("section", { "aria-labelledby": id }, h("h2", { id }, label), h("ul", {}, offered.map((place) =>
        h("li", {}, h("a", { href: `#/${place.path}`, "data-place": place.path || "overview" }, icon(place.icon), h("span", {}, place.label))))));
    }));
    this.#unfollow();
    this.#unfollow = this.shell.live.on("overview", (overview) => this.#sayRealm(overview));
  }

  /** Where one goes on after a login, by keyboard or by ear. */
  focus() {
    need("main").focus();
  }

  close() {
    document.body.dataset.screen = "gate";
    this.#openMenu(false);
    this.#shell.hidden = true;
    this.gate.hidden = false;
    clearInterval(this.#ticking);
    this.#bars.away.hidden = true;
    this.#bars.maintenance.hidden = true;
  }

  /** Neither in nor out: the realm could not be asked. @param {string} words @param {() => void} again */
  refuse(words, again) {
    this.close();
    put(this.gate, h("section", { class: "card" }, h("h1", {}, "Rayrealm console"), h("p", { class: "problem", role: "alert" }, words),
      button("Try again", again, { class: "primary" })));
  }

  /** @param {import("./places.js").Route} route */
  at(route) {
    this.#openMenu(false);
    const now = route.place?.path || "overview";
    for (const link of this.#nav.querySelectorAll("a")) {
      if (route.place && link.dataset.place === now) {
        link.setAttribute("aria-current", "page");
        link.scrollIntoView({ block: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    this.titled(route.place?.label ?? "", []);
    need("main").scrollTop = 0;
  }

  /** @param {string} title @param {[label: string, path: string][]} [crumbs] */
  titled(title, crumbs = []) {
    setText(this.#heading, title);
    put(this.#crumbs, crumbs.map(([label, path]) => h("a", { href: `#/${path}` }, label)));
    this.#crumbs.hidden = crumbs.length === 0;
    document.title = `${title}${this.#name ? ` · ${this.#name}` : ""} · Rayrealm console`;
  }

  /** In place of a view. @param {string} words @param {(() => void) | null} again */
  trouble(words, again) {
    put(this.view, h("div", { class: "empty", role: "alert" }, icon("alert"), h("p", {}, words), again && button("Try again", again)));
  }

  /** @param {boolean} open */
  #openMenu(open) {
    document.body.dataset.menu = open ? "open" : "shut";
    this.#menu.setAttribute("aria-expanded", String(open));
    if (open) this.#nav.querySelector("a")?.focus();
  }

  #sayTheme() {
    const chosen = theme();
    const words = THEME_WORDS[chosen] ?? "";
    put(this.#theme, icon(THEME_ICONS[chosen] ?? "auto"));
    this.#theme.setAttribute("aria-label", `${words}. Change`);
    this.#theme.title = words;
  }

  #sayFeed() {
    const { state } = this.shell.live;
    const dot = need("feed");
    dot.dataset.state = state;
    setText(dot, state === "live" ? "Live" : state === "away" ? "Away" : "Connecting");
    clearInterval(this.#ticking);
    this.#bars.away.hidden = state !== "away";
    if (state === "away") {
      const say = () => {
        const heard = this.shell.live.heardAt;
        const since = heard ? ` What is shown is from ${format.time(heard)}.` : "";
        setText(need("bar-away-text"), `The live feed is away; trying again.${since}`);
      };
      say();
      this.#ticking = setInterval(say, 1_000);
    }
  }

  /** @param {any} overview */
  #sayRealm(overview) {
    this.#name = overview.realm ?? "";
    setText(this.#realm, this.#name);
    const { maintenance } = overview;
    this.#bars.maintenance.hidden = !maintenance?.on;
    if (maintenance?.on) {
      const parts = [`Maintenance since ${format.time(maintenance.since)}`, maintenance.by && `by ${maintenance.by}`];
      setText(need("bar-maintenance-text"), `${parts.filter(Boolean).join(" ")}${maintenance.reason ? `: ${maintenance.reason}` : ""}`);
    }
  }
}

/** @param {string} id */
function need(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
