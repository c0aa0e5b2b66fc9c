/** The realm's log as it is written, with filters; and how much is written. */

import { h, setText } from "../app/dom.js";
import { icon as drawn } from "../app/icons.js";
import { LogLines } from "../parts/log_lines.js";
import { choice, deed, typed } from "../parts/words.js";

export const title = "Logs";
export const icon = "logs";
export const css = ["people.css", "logs.css"];

const LEVELS = /** @type {[string, string][]} */ ([
  ["debug", "Debug"], ["info", "Info"], ["warning", "Warning"], ["error", "Error"], ["critical", "Critical"],
]);
const MOST_LINES = 2_000; // in the page's memory; the realm keeps more
const KINDS = ["gateway", "zone", "sessions", "presence", "supervisor", "watch", "web", "console"];

/** @param {any} line */
const name = ({ at, process, event, fields }) => `${at} ${process} ${event} ${JSON.stringify(fields)}`;

/** @param {HTMLElement} root @param {import("../app/shell.js").App} app */
export function mount(root, app) {
  const { query } = app.route;
  const asked = { q: query.get("q") ?? "", level: query.get("level") ?? "", kind: query.get("kind") ?? "", process: query.get("process") ?? "" };
  /** @type {any[]} */
  let all = [];
  /** What is shown while it is paused. @type {any[] | null} */
  let held = null;
  let stop = () => {};
  const count = h("p", { class: "muted count-line", role: "status" });
  const none = h("p", { class: "empty-line" }, "Waiting for the first line…");
  const lines = new LogLines((now) => (follow.checked = now));
  lines.root.classList.add("fills");
  const follow = h("input", { type: "checkbox", checked: true, onchange: () => lines.setFollow(follow.checked) });
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => hold(held === null) }, "Pause");
  const set = (/** @type {Partial<typeof asked>} */ change) => {
    Object.assign(asked, change);
    app.remember(asked);
    listen();
  };
  root.append(h("div", { class: "toolbar" },
    h("div", { class: "search" }, drawn("search"), typed("Find", asked.q, (q) => set({ q }), { type: "search" })),
    choice("Least level", [["", "Any level"], ...LEVELS], asked.level, (level) => set({ level })),
    choice("Kind", [["", "Any kind"], ...KINDS.map((kind) => /** @type {[string, string]} */ ([kind, kind]))], asked.kind, (kind) => set({ kind })),
    typed("Process", asked.process, (process) => set({ process })),
    pause, h("label", { class: "check" }, follow, "Follow"),
    deed(app, "logs.level", "Change level", () => level(app)), count), none, lines.root);

  /** @param {boolean} now */
  function hold(now) {
    held = now ? all : null;
    pause.setAttribute("aria-pressed", String(now));
    setText(pause, now ? "Go on" : "Pause");
    show();
  }

  function show() {
    const shown = held ?? all;
    const known = held && new Set(held);
    const fresh = known ? all.filter((line) => !known.has(line)).length : 0;
    setText(count, `${app.format.count(shown.length, "line")}${held ? `, paused, ${app.format.number(fresh)} more since` : ""}`);
    none.hidden = shown.length > 0;
    lines.show(shown);
  }

  /** After a break the feed begins anew: lines that are known already are not taken again. @param {any[]} fresh */
  function take(fresh) {
    const known = new Set(all.map(name));
    all = [...all, ...fresh.filter((line) => !known.has(name(line)))].slice(-MOST_LINES);
  }

  function listen() {
    stop();
    all = [];
    hold(false);
    setText(none, "Waiting for the first line…");
    lines.mark(asked.q);
    const given = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
    stop = app.live(`logs${given.size > 0 ? `?${given}` : ""}`, (said) => {
      take(said.fresh);
      setText(none, "No line fits.");
      show();
    });
  }

  listen();
  return () => {
    stop();
    lines.close();
  };
}

/** @param {import("../app/shell.js").App} app */
async function level(app) {
  const given = await app.ask({
    title: "Change the level of logs",
    intro: "Which lines processes write from now on.",
    fields: [
      { name: "level", label: "From this level on", kind: "select", options: LEVELS, value: "debug" },
      { name: "processes", label: "Processes", hint: "Names with commas between; empty: all of them", optional: true },
      { name: "for_s", label: "For", kind: "select", value: "600", options: [["60", "1 minute"], ["600", "10 minutes"], ["3600", "1 hour"], ["", "Until it is changed again"]], optional: true },
    ],
  });
  if (!given) return;
  const processes = given.processes ? given.processes.split(",").map((/** @type {string} */ name) => name.trim()).filter(Boolean) : null;
  await app.act("logs.level", { level: given.level, processes, for_s: given.for_s === null ? null : Number(given.for_s) }, { title: "Change the level of logs" });
}
