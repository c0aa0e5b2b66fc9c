/** A chart over time: uPlot with the page's colours, its newest or pointed-at values in words, and a summary for those who do not see it. */

import { h, put, setText } from "../app/dom.js";
import * as format from "../app/format.js";
import { colour } from "../app/theme.js";
import UPlot from "../vendor/uplot.js";

const COLOURS = ["--chart-1", "--chart-2", "--chart-3", "--chart-4"];
const HEIGHT_PX = 160;
const SMALL_PX = 48;
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power); // steps of an axis of bytes
const LEAST_S = 60; // of the time axis: a realm that has just begun has one figure

/** @typedef {[at: number, value: number | null][]} Points */

/** @param {any} _ @param {number} from @param {number} to */
function span(_, from, to) {
  return to - from < LEAST_S ? [to - LEAST_S, to] : [from, to];
}

/** Labels of the time axis, with seconds where minutes would say the same twice. @param {any} _ @param {number[]} at @param {number} __ @param {number} ___ @param {number} step */
function clock(_, at, __, ___, step) {
  return at.map((each) => format.time(each).slice(0, step < 60 ? 8 : 5));
}

export class Chart {
  /** @type {any} */
  #plot = null;
  /** @type {Points[]} */
  #points = [];
  #themed = () => this.#plot?.redraw(false, true);

  /**
   * @param {object} of
   * @param {string} of.label
   * @param {string[]} [of.lines] names of several lines; none: one line, called as the chart
   * @param {(value: number) => string} [of.say] a value in words
   * @param {boolean} [of.small] a sparkline, without axes
   * @param {number} [of.most] the scale goes at least so far
   */
  constructor({ label, lines = [], say = format.short, small = false, most = 0 }) {
    this.bytes = say === format.bytes || say === format.byteRate;
    this.label = label;
    this.lines = lines;
    this.say = say;
    this.small = small;
    this.most = most;
    this.now = h("output", {});
    this.box = h("div", { class: "plot", role: "img", "aria-label": `${label}: no figures yet` });
    const legend = lines.length > 0 && h("ul", { class: "legend" }, lines.map((name, index) => {
      const mark = h("i", {});
      mark.style.background = `var(${COLOURS[index % COLOURS.length]})`;
      return h("li", {}, mark, name);
    }));
    this.root = h("figure", { class: `chart${small ? " small" : ""}` }, h("figcaption", {}, h("b", {}, label), this.now), this.box, legend);
    this.watching = new ResizeObserver(() => this.#fit());
    this.watching.observe(this.box);
    addEventListener("themed", this.#themed);
  }

  /** @param {...(Points | undefined)} points of each line */
  show(...points) {
    this.#points = points.map((each) => each ?? []);
    const times = [...new Set(this.#points.flatMap((each) => each.map(([at]) => at)))].sort((a, b) => a - b);
    const data = [times, ...this.#points.map((each) => {
      const values = new Map(each);
      return times.map((at) => values.get(at) ?? null);
    })];
    if (times.length === 0) return this.#summarise();
    if (this.#plot) this.#plot.setData(data);
    else this.#make(data);
    this.#summarise();
  }

  close() {
    this.watching.disconnect();
    removeEventListener("themed", this.#themed);
    this.#plot?.destroy();
    this.#plot = null;
  }

  get #height() {
    return this.small ? SMALL_PX : HEIGHT_PX;
  }

  #fit() {
    const width = Math.floor(this.box.clientWidth);
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#height });
  }

  /** @param {any[]} data */
  #make(data) {
    put(this.box);
    const axis = { stroke: () => colour("--muted"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: () => colour("--chart-grid"), width: 1 };
    const series = data.slice(1).map((_, index) => {
      const name = COLOURS[index % COLOURS.length] ?? "--chart-1";
      const fill = data.length === 2 ? () => `color-mix(in srgb, ${colour(name)} 14%, transparent)` : undefined;
      return { stroke: () => colour(name), width: 1.5, fill, points: { show: false } };
    });
    this.#plot = new UPlot({
      width: Math.max(40, Math.floor(this.box.clientWidth)),
      height: this.#height,
      padding: this.small ? [2, 0, 2, 0] : [8, 20, 0, 0], // half of the last time's label stands beside the plot
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: span }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ high) => [0, Math.max(this.most, (high || 1) * 1.1)] } },
      axes: this.small ? [{ show: false }, { show: false }] : [
        { ...axis, grid: { show: false }, size: 24, space: 72, values: clock },
        { ...axis, grid, size: 64, space: 36, ...(this.bytes && { incrs: BINARY }), values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => this.say(each)) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(/** @type {any} */ plot) => this.#point(plot.cursor.idx)] },
    }, data, this.box);
  }

  /** What the pointer is at; the newest when it is away. @param {number | null | undefined} index */
  #point(index) {
    const data = this.#plot?.data;
    if (!data || index === null || index === undefined) return this.#newest();
    const values = data.slice(1).map((/** @type {(number | null)[]} */ each) => each[index]);
    setText(this.now, `${format.time(data[0][index])}  ${values.map((/** @type {number | null} */ each) => this.#words(each)).join(" / ")}`);
  }

  #newest() {
    setText(this.now, this.#points.map((each) => this.#words(each.at(-1)?.[1])).join(" / "));
  }

  #summarise() {
    this.#newest();
    const said = this.#points.map((each, index) => {
      const values = each.map(([, value]) => value).filter((value) => value !== null);
      const name = this.lines[index] ?? "";
      if (values.length === 0) return `${name} no figures yet`;
      const [least, most] = [Math.min(...values), Math.max(...values)];
      return `${name} now ${this.#words(values.at(-1))}, least ${this.#words(least)}, most ${this.#words(most)}`.trim();
    });
    this.box.setAttribute("aria-label", `${this.label}: ${said.join("; ")}`);
    if (!this.#plot) put(this.box, h("p", { class: "empty-line" }, "No figures yet."));
  }

  /** @param {number | null | undefined} value */
  #words(value) {
    return value === null || value === undefined ? "–" : this.say(value);
  }
}
