/**
 * A virtual table: thousands of rows, as many in the page as can be seen. The realm searches, sorts and pages; rows are fetched as
 * they come into view. Arrow keys move between rows, Enter opens one.
 *
 * @typedef {object} Column
 * @property {string} key the name in a row; also what it is sorted by
 * @property {string} label
 * @property {(row: any) => import("../app/dom.js").Child} [cell] what is shown; the row's value otherwise
 * @property {boolean} [sorts] whether the realm can sort by it
 * @property {boolean} [numeric] set right, in tabular figures; sorted from the largest at first
 * @property {string} [width] of the grid: `minmax(120px, 2fr)`, `90px`; the first number is the least width
 * @property {"always" | "wide"} [shown] wide: not on a phone
 *
 * @typedef {object} Options
 * @property {string} label what the table is, for those who do not see it
 * @property {Column[]} columns
 * @property {(row: any) => string} key
 * @property {(asked: {q: string, sort: string, descending: boolean, offset: number, limit: number} & Record<string, any>)
 *   => Promise<{total: number, rows: any[]}>} fetch
 * @property {(row: any) => void} [open] a click, or Enter
 * @property {string} [search] the placeholder of the search field; none: no field
 * @property {{q?: string, sort?: string, descending?: boolean} & Record<string, any>} [asked] to begin with
 * @property {(asked: Record<string, any>) => void} [onasked] what is asked now: for the address
 * @property {import("../app/dom.js").Child} [tools] beside the search field
 * @property {string} [empty] said if there is nothing
 */

import { h, put, setText } from "../app/dom.js";
import * as format from "../app/format.js";
import { icon } from "../app/icons.js";
import { words } from "../app/api.js";

const ROW_PX = 36;
const PAGE = 100;
const SPARE = 6;
const SEARCH_MS = 200;
const REST_MS = 3_000;
let made = 0;

export class Table {
  /** @type {Map<number, any>} rows by their place */
  #rows = new Map();
  #total = 0;
  #known = false;
  /** @type {Set<number>} */
  #asking = new Set();
  #edition = 0;
  #current = 0;
  #pruned = true;
  #wanted = [0, 0];
  /** After a failure nothing is fetched by itself for a while. */
  #restUntil = 0;
  #timer = 0;
  #frame = 0;
  /** @type {Map<string, HTMLElement>} */
  #shown = new Map();

  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.asked = { q: "", sort: "", descending: false, ...options.asked };
    this.id = `table-${(made += 1)}`;
    const columns = options.columns;
    this.head = h("div", { class: "thead", role: "rowgroup" });
    this.headRow = h("div", { class: "tr", role: "row", "aria-rowindex": 1 });
    this.head.append(this.headRow);
    this.space = h("div", { class: "tspace", role: "rowgroup" });
    this.grid = h("div", {
      class: "table", role: "grid", tabindex: 0, "aria-label": options.label, "aria-colcount": columns.length, id: this.id,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      onscroll: () => this.#soon(),
    }, this.head, this.space);
    this.count = h("p", { class: "muted count-line", role: "status" });
    this.note = h("p", { class: "empty-line" });
    this.note.hidden = true;
    this.root = h("div", { class: "table-box" }, this.#bar(), h("div", { class: "table-hold" }, this.grid, this.note));
    this.#measure("", columns);
    this.#measure("-narrow", columns.filter(({ shown }) => shown !== "wide"));
    this.#drawHead();
    this.watching = new ResizeObserver(() => this.#soon());
    this.watching.observe(this.grid);
    this.load();
  }

  /** Nothing is asked or drawn after this. */
  close() {
    this.#edition += 1;
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.watching.disconnect();
  }

  /** Asks for something else, from the first row. @param {Record<string, any>} change of `asked` */
  ask(change) {
    this.asked = { ...this.asked, ...change };
    this.options.onasked?.(this.asked);
    this.#current = 0;
    this.grid.scrollTop = 0;
    this.#drawHead();
    this.load();
  }

  /** Fetches what is seen anew; what is shown stays until it is there. */
  load() {
    this.#edition += 1;
    this.#asking.clear();
    const first = Math.floor(this.#first() / PAGE) * PAGE;
    const last = Math.max(first, Math.floor((this.#first() + this.#fits()) / PAGE) * PAGE);
    this.#pruned = false;
    this.#wanted = [first, last + PAGE];
    for (let offset = first; offset <= last; offset += PAGE) this.#fetch(offset);
  }

  /** Rows that are known have changed: they are drawn anew, where they are. @param {any[]} rows */
  update(rows) {
    const fresh = new Map(rows.map((row) => [this.options.key(row), row]));
    for (const [place, row] of this.#rows) {
      const now = fresh.get(this.options.key(row));
      if (now) this.#rows.set(place, now);
    }
    this.#soon();
  }

  get total() {
    return this.#total;
  }

  #bar() {
    const { search, tools } = this.options;
    if (!search && !tools) return h("div", { class: "table-bar" }, this.count);
    const input = search && h("input", {
      type: "search", placeholder: search, "aria-label": search, value: this.asked.q, autocomplete: "off", spellcheck: "false",
      "aria-controls": this.id,
      oninput: () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.ask({ q: /** @type {HTMLInputElement} */ (input).value.trim() }), SEARCH_MS);
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "ArrowDown") return;
        event.preventDefault();
        this.grid.focus();
      },
    });
    return h("div", { class: "table-bar" }, input && h("div", { class: "search" }, icon("search"), input), tools, this.count);
  }

  /** The columns' widths, and how wide they are at least together: rows are laid out one by one. @param {string} suffix @param {Column[]} columns */
  #measure(suffix, columns) {
    const widths = columns.map(({ width = "minmax(80px, 1fr)" }) => width);
    const least = widths.reduce((sum, width) => sum + Number.parseFloat(/[\d.]+/.exec(width)?.[0] ?? "80"), 0);
    this.grid.style.setProperty(`--columns${suffix}`, widths.join(" "));
    this.grid.style.setProperty(`--least${suffix}`, `${least}px`);
  }

  #drawHead() {
    const { sort, descending } = this.asked;
    put(this.headRow, this.options.columns.map((column) => {
      const { key, label, sorts, numeric, shown } = column;
      const order = sort === key ? (descending ? "descending" : "ascending") : null;
      const of = { class: `th${numeric ? " number" : ""}${shown === "wide" ? " wide" : ""}`, role: "columnheader", "aria-sort": order };
      if (!sorts) return h("div", of, label);
      const turn = () => this.ask({ sort: key, descending: sort === key ? !descending : Boolean(numeric) });
      return h("div", of, h("button", { type: "button", onclick: turn }, label, order && icon(descending ? "down" : "up")));
    }));
  }

  #first() {
    return Math.max(0, Math.floor(this.grid.scrollTop / ROW_PX));
  }

  #fits() {
    return Math.ceil((this.grid.clientHeight || 600) / ROW_PX);
  }

  /** @param {number} offset */
  async #fetch(offset) {
    if (this.#asking.has(offset)) return;
    this.#asking.add(offset);
    const edition = this.#edition;
    try {
      const { total, rows } = await this.options.fetch({ ...this.asked, offset, limit: PAGE });
      if (edition !== this.#edition) return;
      if (!this.#pruned) this.#prune();
      this.#total = total;
      this.#known = true;
      for (const place of [...this.#rows.keys()]) if (place >= total) this.#rows.delete(place);
      rows.forEach((row, index) => this.#rows.set(offset + index, row));
      this.#say(total === 0 ? this.options.empty ?? "Nothing here." : "");
    } catch (error) {
      if (edition !== this.#edition) return;
      this.#say(words(error));
      this.#restUntil = performance.now() + REST_MS;
      setTimeout(() => edition === this.#edition && this.#soon(), REST_MS);
    } finally {
      if (edition === this.#edition) this.#asking.delete(offset);
    }
    setText(this.count, this.#known ? format.count(this.#total, "row") : "");
    this.#soon();
  }

  /** Rows of the last asking that are not asked for now are fetched again when they come into view. */
  #prune() {
    const [first, end] = this.#wanted;
    for (const place of [...this.#rows.keys()]) if (place < first || place >= end) this.#rows.delete(place);
    this.#pruned = true;
  }

  /** @param {string} text */
  #say(text) {
    this.note.hidden = text === "";
    this.note.classList.toggle("over", this.#rows.size === 0); // in the empty table; else below its rows
    setText(this.note, text);
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    this.space.style.height = `${this.#total * ROW_PX}px`;
    this.grid.setAttribute("aria-rowcount", String(this.#total + 1));
    const first = Math.max(0, this.#first() - SPARE);
    const last = Math.min(this.#total, this.#first() + this.#fits() + SPARE);
    /** @type {Map<string, HTMLElement>} */
    const now = new Map();
    for (let place = first; place < last; place += 1) {
      const row = this.#rows.get(place);
      if (!row && this.#known && performance.now() >= this.#restUntil) this.#fetch(Math.floor(place / PAGE) * PAGE);
      const key = row ? `row ${this.options.key(row)}` : `place ${place}`;
      now.set(key, this.#drawRow(this.#shown.get(key), place, row));
    }
    for (const [key, box] of this.#shown) if (now.get(key) !== box) box.remove();
    this.#shown = now;
    const current = this.#total > 0 ? `${this.id}-${this.#current}` : "";
    if (current && this.#current >= first && this.#current < last) this.grid.setAttribute("aria-activedescendant", current);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  /** @param {HTMLElement | undefined} known @param {number} place @param {any} row */
  #drawRow(known, place, row) {
    const box = known ?? h("div", { class: "tr", role: "row" });
    box.id = `${this.id}-${place}`;
    box.setAttribute("aria-rowindex", String(place + 2));
    box.classList.toggle("current", place === this.#current);
    box.classList.toggle("opens", Boolean(this.options.open));
    box.style.transform = `translateY(${place * ROW_PX}px)`;
    box.onclick = (event) => {
      if (event.target instanceof Element && event.target.closest("button, a, input")) return;
      this.#go(place);
      if (row) this.options.open?.(row);
    };
    const cells = this.options.columns.map((column) => {
      const of = { class: `td${column.numeric ? " number" : ""}${column.shown === "wide" ? " wide" : ""}`, role: "gridcell" };
      return h("div", of, row ? (column.cell ? column.cell(row) : format.text(row[column.key])) : "");
    });
    if (known && same(known, cells)) return known;
    box.replaceChildren(...cells);
    if (!known) this.space.append(box);
    return box;
  }

  /** @param {number} place */
  #go(place) {
    this.#current = Math.max(0, Math.min(this.#total - 1, place));
    const top = this.#current * ROW_PX;
    const height = this.grid.clientHeight - this.head.offsetHeight;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + ROW_PX > this.grid.scrollTop + height) this.grid.scrollTop = top + ROW_PX - height;
    this.#soon();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, this.#fits() - 2);
    const steps = /** @type {Record<string, number>} */ ({
      ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.#total, End: this.#total,
    });
    const step = steps[event.key];
    if (step !== undefined) this.#go(this.#current + step);
    else if (event.key === "Enter" && this.#rows.has(this.#current)) this.options.open?.(this.#rows.get(this.#current));
    else return;
    event.preventDefault();
  }
}

/** Whether the cells show the same already: a row that did not change keeps its elements, and the focus in it. @param {Element} row
 * @param {Element[]} cells */
function same(row, cells) {
  return row.childElementCount === cells.length && cells.every((cell, index) => row.children[index]?.isEqualNode(cell));
}
