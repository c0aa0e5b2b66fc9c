/** Log lines, as many in the page as can be seen. A line opens to its fields; what one looks at stays where it is while others come. */

import { h, put, setText } from "../app/dom.js";
import * as format from "../app/format.js";
import { icon } from "../app/icons.js";
import { facts, marked } from "./words.js";

const LINE_PX = 26;
const SPARE = 8;

export class LogLines {
  /** @type {any[]} */
  #lines = [];
  /** Heights of lines that are open. @type {Map<any, number>} */
  #open = new Map();
  /** @type {Map<any, HTMLElement>} */
  #shown = new Map();
  #frame = 0;
  #current = -1;
  #own = -1; // where this scrolled itself to
  wanted = "";
  follow = true;

  /** @param {(follow: boolean) => void} onfollow */
  constructor(onfollow) {
    this.onfollow = onfollow;
    this.space = h("div", { class: "log-space" });
    this.root = h("div", {
      class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log lines",
      onscroll: () => this.#scrolled(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    }, this.space);
    this.sizing = new ResizeObserver(() => this.#soon());
    this.sizing.observe(this.root);
  }

  close() {
    cancelAnimationFrame(this.#frame);
    this.sizing.disconnect();
  }

  /** @param {any[]} lines the oldest first; those that were there before are the same objects */
  show(lines) {
    const anchor = this.#at(this.root.scrollTop);
    const line = this.#lines[anchor.index];
    const chosen = this.#lines[this.#current];
    this.#lines = lines;
    const kept = new Set(lines);
    for (const each of this.#open.keys()) if (!kept.has(each)) this.#open.delete(each);
    this.#current = chosen ? lines.indexOf(chosen) : -1;
    if (!this.follow && line) {
      const now = Math.max(0, lines.indexOf(line));
      this.#draw();
      this.#scroll(this.#top(now) + anchor.into);
    }
    this.#soon();
  }

  /** @param {boolean} follow */
  setFollow(follow) {
    this.follow = follow;
    this.#soon();
  }

  /** @param {string} wanted what is marked in the lines */
  mark(wanted) {
    this.wanted = wanted;
    for (const box of this.#shown.values()) box.remove();
    this.#shown.clear();
    this.#soon();
  }

  /** @param {any} line */
  #height(line) {
    return this.#open.get(line) ?? LINE_PX;
  }

  /** @param {number} index */
  #top(index) {
    let top = index * LINE_PX;
    if (this.#open.size > 0) for (const line of this.#lines.slice(0, index)) top += this.#height(line) - LINE_PX;
    return top;
  }

  /** The line at a height, and how far into it. @param {number} height */
  #at(height) {
    let top = 0;
    for (let index = 0; index < this.#lines.length; index += 1) {
      const size = this.#height(this.#lines[index]);
      if (top + size > height) return { index, into: height - top };
      top += size;
    }
    return { index: Math.max(0, this.#lines.length - 1), into: 0 };
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    if (Math.abs(scrollTop - this.#own) > 1) {
      const atEnd = scrollHeight - clientHeight - scrollTop < LINE_PX;
      if (atEnd !== this.follow) {
        this.follow = atEnd;
        this.onfollow(atEnd);
      }
    }
    this.#soon();
  }

  /** @param {number} top */
  #scroll(top) {
    this.root.scrollTop = top;
    this.#own = this.root.scrollTop;
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
      if (!this.follow) return;
      this.#scroll(this.root.scrollHeight);
      this.#draw();
    });
  }

  #draw() {
    this.space.style.height = `${this.#top(this.#lines.length)}px`;
    const from = Math.max(0, this.#at(this.root.scrollTop).index - SPARE);
    const until = this.root.scrollTop + this.root.clientHeight + SPARE * LINE_PX;
    /** @type {Map<any, HTMLElement>} */
    const now = new Map();
    let top = this.#top(from);
    for (let index = from; index < this.#lines.length && top < until; index += 1) {
      const line = this.#lines[index];
      const box = this.#shown.get(line) ?? this.#make(line);
      box.style.transform = `translateY(${top}px)`;
      box.classList.toggle("current", index === this.#current);
      now.set(line, box);
      if (!box.isConnected) this.space.append(box);
      if (this.#open.has(line)) this.#open.set(line, box.offsetHeight);
      top += this.#height(line);
    }
    for (const [line, box] of this.#shown) if (!now.has(line)) box.remove();
    this.#shown = now;
  }

  /** @param {any} line */
  #make(line) {
    const { at, level, event, process, fields } = line;
    const brief = Object.entries(fields ?? {}).map(([name, value]) => `${name}=${said(value)}`).join(" ");
    const open = this.#open.has(line);
    const box = h("div", { class: "log-line", "data-level": level },
      h("button", { type: "button", class: "log-head", tabindex: -1, "aria-expanded": String(open), onclick: () => this.#toggle(line) },
        icon(open ? "down" : "next"), h("time", {}, format.time(at)), h("span", { class: "log-level" }, level), h("span", { class: "log-process" }, process),
        h("span", { class: "log-event" }, marked(event, this.wanted)), h("span", { class: "log-brief" }, marked(brief, this.wanted))));
    if (open) box.append(h("div", { class: "log-fields" }, this.#fields(line)));
    return box;
  }

  /** @param {any} line */
  #fields({ at, level, kind, process, node, fields }) {
    const rows = Object.entries(fields ?? {}).map(([name, value]) => /** @type {[string, HTMLElement]} */ ([name, h("code", {}, marked(said(value), this.wanted))]));
    return facts([["time", new Date(at * 1000).toISOString()], ["level", level], ["kind", kind], ["process", process], ["node", node], ...rows]);
  }

  /** @param {any} line */
  #toggle(line) {
    if (!this.#open.delete(line)) this.#open.set(line, LINE_PX);
    this.#current = this.#lines.indexOf(line);
    if (this.follow) {
      this.follow = false;
      this.onfollow(false);
    }
    this.#shown.get(line)?.remove();
    this.#shown.delete(line);
    this.#draw();
    this.#reveal(this.#current);
    this.#soon();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.root) return;
    const last = this.#lines.length - 1;
    const from = this.#current < 0 ? last : this.#current;
    const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1 });
    const step = steps[event.key];
    if (step !== undefined) this.#go(Math.max(0, Math.min(last, from + step)));
    else if (event.key === "Home") this.#go(0);
    else if (event.key === "End") this.#go(last);
    else if (event.key === "Enter" && this.#lines[this.#current]) this.#toggle(this.#lines[this.#current]);
    else return;
    event.preventDefault();
  }

  /** @param {number} index */
  #go(index) {
    this.#current = index;
    this.#reveal(index);
    this.#soon();
  }

  /** @param {number} index */
  #reveal(index) {
    const top = this.#top(index);
    const height = this.#height(this.#lines[index]);
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop || height > clientHeight) this.root.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.root.scrollTop = top + height - clientHeight;
  }
}

/** @param {unknown} value */
const said = (value) => (typeof value === "string" ? value : JSON.stringify(value) ?? "");
