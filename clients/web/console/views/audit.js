/** The audit log, the newest first, as far back as it is kept. */

import { words } from "../app/api.js";
import { h, put, setText } from "../app/dom.js";
import { icon as drawn } from "../app/icons.js";
import { auditEntry } from "../parts/audit_entries.js";
import { deed, typed } from "../parts/words.js";
import { download } from "../parts/people_acts.js";

export const title = "Audit";
export const icon = "audit";
export const css = ["people.css"];

const PAGE = 50;
const NEWS_MS = 5_000;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export async function mount(root, app) {
  const { query } = app.route;
  const asked = { actor: query.get("actor") ?? "", action: query.get("action") ?? "", target: query.get("target") ?? "", q: query.get("q") ?? "" };
  /** @type {any[]} */
  let entries = [];
  let edition = 0;
  /** What comes after what is shown; null: nothing does. @type {string | null} */
  let next = "";
  let asking = false;
  const list = h("ol", { class: "audit-list" });
  const note = h("p", { class: "muted", role: "status" });
  const end = h("div", { class: "list-end", "aria-hidden": "true" });
  const filter = (/** @type {"actor" | "action" | "target" | "q"} */ name, /** @type {string} */ label, /** @type {Record<string, unknown>} */ of = {}) => typed(label, asked[name], (value) => {
    asked[name] = value;
    app.remember(asked);
    void load();
  }, of);
  root.append(h("div", { class: "toolbar" }, h("div", { class: "search" }, drawn("search"), filter("q", "Any text", { type: "search" })),
    filter("actor", "Actor, like operator:ada", { class: "filter broad" }), filter("action", "Action, like user."), filter("target", "Target, a whole id"),
    deed(app, "audit.list", "Save what is shown", () => download("audit.json", JSON.stringify(entries, null, 2)))), list, note, end);

  const load = async () => {
    edition += 1;
    entries = [];
    next = "";
    asking = false;
    put(list);
    await more();
  };

  async function more() {
    if (asking || next === null) return;
    asking = true;
    let failed = false;
    const now = edition;
    try {
      const { entries: found, next: more } = await app.look("audit.list", { ...asked, before: next, limit: PAGE });
      if (now !== edition) return;
      next = more || null;
      entries.push(...found);
      list.append(...found.map((/** @type {any} */ each) => auditEntry(app, each)));
      setText(note, next === null ? (entries.length === 0 ? "Nothing in the log fits." : `All ${app.format.count(entries.length, "entry", "entries")} that are kept.`) : "More as you scroll…");
    } catch (error) {
      failed = true;
      if (now === edition) setText(note, words(error));
    } finally {
      if (now === edition) asking = false;
    }
    if (now === edition && next !== null && !failed && end.getBoundingClientRect().top < innerHeight + 200) await more();
  }

  const news = setInterval(async () => {
    if (document.hidden || asking || entries.length === 0) return;
    const now = edition;
    const found = (await app.look("audit.list", { ...asked, limit: PAGE }).catch(() => ({ entries: [] }))).entries;
    if (now !== edition) return;
    const known = new Set(entries.slice(0, PAGE).map(({ id }) => id));
    const fresh = found.filter((/** @type {any} */ each) => !known.has(each.id));
    if (fresh.length === PAGE) return void load();
    entries.unshift(...fresh);
    list.prepend(...fresh.map((/** @type {any} */ each) => auditEntry(app, each)));
  }, NEWS_MS);
  const seeing = new IntersectionObserver((seen) => seen.some(({ isIntersecting }) => isIntersecting) && void more(), { rootMargin: "400px" });
  seeing.observe(end);
  await load();
  return () => {
    edition += 1;
    clearInterval(news);
    seeing.disconnect();
  };
}
