/**
 * The console's frame: who is logged in, where one is, and the `app` that every view is given.
 *
 * A view is a module `views/<name>.js`: `title` (a text), `icon` (a name of icons.js), optionally `css` (files of views/), and
 * `mount(root, app)`, which may be asynchronous and returns what unmounts it.
 *
 * @typedef {object} App
 * @property {(name: string, params?: Record<string, unknown>) => Promise<any>} look asks a look; rejects with an ApiError
 * @property {(name: string, params: Record<string, unknown>, options?: {title?: string, confirm?: string}) => Promise<any>} act
 *   plans, has it confirmed, carries out and shows an action: its result; null if it was not done, or not seen to its end.
 *   `confirm`: what is typed to confirm a dangerous one; otherwise its target, as the plan has it
 * @property {(form: import("../parts/form.js").Form) => Promise<Record<string, any> | null>} ask asks for values in a dialog
 * @property {(topic: string, handler: import("./live.js").Handler) => () => void} live
 *   calls with the topic's whole state at once and after each change, until stopped
 * @property {{name: string, role: string, can: (operation: string) => boolean}} me
 * @property {(path: string) => void} go to a place: `zones/zon_meadow`
 * @property {(query: Record<string, string | number | null | undefined>) => void} remember
 *   puts what is searched and sorted into the address, without mounting again; empty: taken out
 * @property {import("./places.js").Route} route where the view was mounted
 * @property {() => number} now Unix seconds
 * @property {typeof import("./format.js")} format
 * @property {(text: string, kind?: "info" | "good" | "bad") => void} toast
 * @property {(title: string, crumbs?: [label: string, path: string][]) => void} titled what the page's heading says
 * @property {(job: any) => void} showJob opens the dialog of a job
 * @property {(operation: string) => string} said an operation in words
 * @property {import("./api.js").Api} api for what is neither a look nor an action
 *
 * @typedef {{title: string, icon: string, css?: string[], mount: (root: HTMLElement, app: App) => unknown}} View
 */

import { openAction, openJob } from "../parts/action.js";
import { ask } from "../parts/form.js";
import { Api, ApiError, words } from "./api.js";
import { h, put } from "./dom.js";
import * as format from "./format.js";
import { Frame } from "./frame.js";
import { openGate } from "./gate.js";
import { watchKeys } from "./keys.js";
import { Live } from "./live.js";
import { PLACES, read } from "./places.js";
import { toast } from "./toasts.js";

export class Shell {
  api = new Api();
  live = new Live(() => this.#welcome());
  frame = new Frame(this);
  /** @type {{name: string, role: string, can: Set<string>, recoveryLeft: number} | null} */
  me = null;
  /** @type {Map<string, string>} operations in words */
  #words = new Map();
  /** @type {(() => void)[]} what the mounted view listens to */
  #stops = [];
  /** @type {unknown} */
  #unmount = null;
  #visit = 0;

  async run() {
    this.live.onClock = (now) => (this.api.ahead = Date.now() / 1000 - now);
    this.api.onLoggedOut = () => this.#loggedOut();
    addEventListener("hashchange", () => this.me && this.#show());
    watchKeys(this);
    await this.enter();
  }

  /** Up to the login form, or the place that the address names. */
  async enter() {
    if (location.hash.startsWith("#/invitation/")) return this.#gate();
    try {
      this.#adopt(await this.api.ask("GET", "me", { quiet: true }));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return this.#gate();
      return this.frame.refuse(words(error), () => this.enter());
    }
  }

  /** @param {any} said who one is */
  #adopt(said) {
    this.me = {
      name: said.name,
      role: said.role,
      can: new Set(said.operations),
      recoveryLeft: said.recovery_left,
    };
    this.api.csrf = said.csrf;
    this.api.name = said.name;
    this.api.ahead = Date.now() / 1000 - said.now;
    this.#learnWords();
    this.frame.open(this.me);
    this.live.start();
    this.#show();
  }

  /** What operations are called, from the realm; until it is known they are called by their names. */
  async #learnWords() {
    try {
      const { operations } = await this.api.get("operations");
      this.#words = new Map(operations.map((/** @type {any} */ each) => [each.name, each.summary]));
    } catch (error) {
      toast(words(error), "bad");
    }
  }

  async #gate() {
    this.#leave();
    this.frame.close();
    this.#adopt(await openGate(this.frame.gate, this.api));
    this.frame.focus();
  }

  #loggedOut() {
    if (!this.me) return;
    this.me = null;
    this.live.stop();
    for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
    this.#gate();
  }

  async logOut() {
    await this.api.post("logout").catch(() => {});
    this.#loggedOut();
  }

  async #welcome() {
    if (!this.me) return false;
    try {
      await this.api.get("me");
    } catch {
      // Not reached, or refused: a refusal has been told to onLoggedOut; anything else is tried again.
    }
    return this.me !== null;
  }

  /** @param {string} operation */
  can(operation) {
    return this.me?.can.has(operation) ?? false;
  }

  /** An operation in words. @param {string} operation */
  said(operation) {
    return this.#words.get(operation) ?? operation;
  }

  now() {
    return Date.now() / 1000 - this.api.ahead;
  }

  #leave() {
    this.#visit += 1;
    for (const stop of this.#stops.splice(0)) stop();
    const unmount = this.#unmount;
    this.#unmount = null;
    if (typeof unmount === "function") unmount();
    put(this.frame.view);
  }

  async #show() {
    const route = read(location.hash);
    this.#leave();
    const visit = this.#visit;
    const place = route.place ?? PLACES[0];
    this.frame.at(route);
    if (!route.view) return this.frame.trouble("There is no such page.", null);
    if (place && route.place && !this.can(place.needs)) return this.frame.trouble(`Your role, ${this.me?.role}, may not see this.`, null);
    const root = h("div", { class: `view view-${route.view}` });
    try {
      /** @type {View} */
      const view = await import(`../views/${route.view}.js`);
      await Promise.all((view.css ?? []).map(style));
      if (visit !== this.#visit) return;
      this.frame.titled(view.title);
      put(this.frame.view, root);
      const unmount = await view.mount(root, this.#app(route));
      if (visit === this.#visit) this.#unmount = unmount;
      else if (typeof unmount === "function") unmount();
    } catch (error) {
      if (visit !== this.#visit) return;
      const what = error instanceof ApiError ? words(error) : `This page could not be shown (${words(error)}).`;
      this.frame.trouble(what, () => this.#show());
    }
  }

  /** @param {import("./places.js").Route} route @returns {App} */
  #app(route) {
    const me = this.me ?? { name: "", role: "" };
    /** @type {App} */
    const app = {
      look: (name, params = {}) => this.api.look(name, params),
      act: (name, params, options = {}) => openAction(this, name, params, options),
      ask,
      live: (topic, handler) => {
        const stop = this.live.on(topic, handler);
        this.#stops.push(stop);
        return stop;
      },
      me: { name: me.name, role: me.role, can: (operation) => this.can(operation) },
      go: (path) => {
        location.hash = `#/${path}`;
      },
      remember: (query) => remember(query),
      route,
      now: () => this.now(),
      format,
      toast,
      titled: (title, crumbs = []) => this.frame.titled(title, crumbs),
      showJob: (job) => openJob(this, job),
      said: (operation) => this.said(operation),
      api: this.api,
    };
    return app;
  }
}

/** @param {Record<string, string | number | null | undefined>} query */
function remember(query) {
  const [path = "", before = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const now = new URLSearchParams(before);
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") now.delete(name);
    else now.set(name, String(value));
  }
  const search = now.toString();
  history.replaceState(null, "", `#/${path}${search ? `?${search}` : ""}`);
}

/** A style sheet of a view, once. @param {string} name */
function style(name) {
  const href = new URL(`../views/${name}`, import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return null;
  return new Promise((done, failed) => {
    const link = h("link", { rel: "stylesheet", href });
    link.onload = done;
    link.onerror = () => failed(new Error(`no ${name}`));
    document.head.append(link);
  });
}
