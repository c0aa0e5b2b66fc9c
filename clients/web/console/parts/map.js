/**
 * The world on a canvas. Zones do not overlap, so one that has changed is drawn anew alone, within its own ground; everything is
 * drawn only when the view moves. What is pointed at and chosen lies on a second canvas above.
 */

import { h } from "../app/dom.js";
import { colour } from "../app/theme.js";
import { Heat } from "./heat.js";
import { Lens } from "./lens.js";
import { figure, isAway, title } from "./zones.js";

export const NODE_COLOURS = 8;
/** Upper ends of the steps of a tick's p95, in ms, and their colours: each darker than the one before, so any colour vision reads them. */
export const LOADS = /** @type {[most: number, colour: string][]} */ ([[5, "#fff4cf"], [15, "#fedc86"], [30, "#fdb04a"], [45, "#ea7a1f"], [Infinity, "#b1480e"]]);
const NAME_PX = 56;
const FIGURES_PX = 96;

export class WorldMap {
  lens = new Lens(() => this.#all());
  heat = new Heat();
  /** @type {Map<string, any>} */
  zones = new Map();
  /** @type {Map<string, number>} node -> its number, for its colour */
  nodes = new Map();
  /** @type {Set<string>} */
  draining = new Set();
  colouring = "node";
  showsHeat = true;
  chosen = "";
  pointed = "";
  /** For measuring: how the last frame went. */
  drawn = { zones: 0, ms: 0, frames: 0, full: 0 };
  /** @type {Set<string>} */
  #dirty = new Set();
  #whole = true;
  #frame = 0;
  /** @type {Record<string, string>} */
  #paint = {};

  /** @param {(zone: string) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.base = h("canvas", { class: "map-base", tabindex: 0, role: "application", "aria-roledescription": "map",
      "aria-label": "Map of the world. Arrow keys move it, plus and minus zoom, 0 shows all. The list of zones has the same in words." });
    this.over = h("canvas", { class: "map-over", "aria-hidden": "true" });
    this.root = h("div", { class: "map" }, this.base, this.over);
    this.lens.listen(this.base, {
      point: (x, y) => this.#point(this.at(x, y)),
      press: (x, y) => this.choose(this.at(x, y)),
    });
    this.watching = new ResizeObserver(() => this.#fit());
    this.watching.observe(this.root);
    this.themed = () => {
      this.#readColours();
      this.#all();
    };
    addEventListener("themed", this.themed);
    this.#readColours();
  }

  close() {
    this.watching.disconnect();
    removeEventListener("themed", this.themed);
    cancelAnimationFrame(this.#frame);
    this.lens.close();
  }

  /** @param {any} map @param {string[] | null} changed null: all of it */
  show(map, changed) {
    const first = this.zones.size === 0;
    const before = this.zones.size;
    const draining = new Set(/** @type {string[]} */ (map.draining));
    const whole = changed === null || draining.size !== this.draining.size || map.nodes.length !== this.nodes.size;
    this.draining = draining;
    this.nodes = new Map(map.nodes.map((/** @type {any} */ each, /** @type {number} */ index) => [each.node, index]));
    const zones = new Map(map.zones.filter((/** @type {any} */ zone) => !zone.into).map((/** @type {any} */ zone) => [zone.zone, zone]));
    const moved = [...zones].some(([id, zone]) => ground(this.zones.get(id)) !== ground(zone));
    this.zones = zones;
    if (first) this.lens.show(this.#bounds());
    if (whole || moved || before !== zones.size) return this.#all();
    for (const id of changed) this.#touch(id);
  }

  /** @param {Record<string, [number, number][]>} zones @param {string[] | null} changed */
  showHeat(zones, changed) {
    for (const [id, cells] of Object.entries(zones)) {
      if (changed && !changed.includes(id)) continue;
      this.heat.paint(id, cells);
      this.#touch(id);
    }
    if (!changed) this.#all();
  }

  /** @param {{colouring?: string, showsHeat?: boolean}} of */
  look(of) {
    Object.assign(this, of);
    this.#all();
  }

  showAll() {
    this.lens.show(this.#bounds());
  }

  /** Chooses it, and brings it into view. @param {string} id */
  pick(id) {
    this.chosen = id;
    const zone = this.zones.get(id);
    if (zone) this.lens.reveal(zone.bounds);
    this.#drawOver();
  }

  /** The zone at a point of the canvas, "" if none is there. @param {number} px @param {number} py */
  at(px, py) {
    const { x, z } = this.lens.toWorld(px, py);
    for (const zone of this.zones.values()) {
      const b = zone.bounds;
      if (x >= b.min_x && x < b.max_x && z >= b.min_z && z < b.max_z) return zone.zone;
    }
    return "";
  }

  /** The fill of a zone as it is now. @param {any} zone */
  fill(zone) {
    if (isAway(zone)) return this.#paint.raised ?? "#888";
    if (this.colouring === "load") return LOADS.find(([most]) => (figure(zone, "tick_ms_p95") ?? 0) <= most)?.[1] ?? "#888";
    const node = this.nodes.get(zone.node);
    return node === undefined ? this.#paint.raised ?? "#888" : this.#paint[`node${node % NODE_COLOURS}`] ?? "#888";
  }

  #bounds() {
    const all = [...this.zones.values()].map(({ bounds }) => bounds);
    return all.reduce((sum, each) => ({
      min_x: Math.min(sum.min_x, each.min_x), min_z: Math.min(sum.min_z, each.min_z),
      max_x: Math.max(sum.max_x, each.max_x), max_z: Math.max(sum.max_z, each.max_z),
    }), all[0] ?? { min_x: 0, min_z: 0, max_x: 100, max_z: 100 });
  }

  #readColours() {
    const dark = document.documentElement.dataset.theme === "dark";
    this.#paint = { ground: colour("--ground"), raised: colour("--raised"), text: "#10161a", halo: "rgb(255 255 255 / 0.72)", bad: colour("--bad"), accent: colour("--text") };
    for (let n = 0; n < NODE_COLOURS; n += 1) this.#paint[`node${n}`] = colour(`--node-${n + 1}`);
    this.heat.tint(false);
    this.dark = dark;
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (width === 0 || height === 0) return;
    const scale = devicePixelRatio || 1;
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const first = this.lens.width === 0;
    this.lens.resize(width, height);
    if (first) this.showAll();
    this.#all();
  }

  #all() {
    this.#whole = true;
    this.#soon();
  }

  /** @param {string} id */
  #touch(id) {
    this.#dirty.add(id);
    this.#soon();
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const context = this.base.getContext("2d");
    if (!context || this.lens.width === 0) return;
    const began = performance.now();
    const scale = devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.imageSmoothingEnabled = false;
    if (this.#whole) {
      context.fillStyle = this.#paint.ground ?? "#000";
      context.fillRect(0, 0, this.lens.width, this.lens.height);
    }
    let count = 0;
    for (const id of this.#whole ? this.zones.keys() : this.#dirty) {
      const zone = this.zones.get(id);
      if (zone && this.#drawZone(context, zone)) count += 1;
    }
    this.drawn = { zones: count, ms: performance.now() - began, frames: this.drawn.frames + 1, full: this.drawn.full + Number(this.#whole) };
    if (this.#whole) this.#drawOver();
    this.#whole = false;
    this.#dirty.clear();
  }

  /** @param {CanvasRenderingContext2D} context @param {any} zone @returns {boolean} whether any of it can be seen */
  #drawZone(context, zone) {
    const { x, y, w, h: high } = this.lens.box(zone.bounds);
    if (x > this.lens.width || y > this.lens.height || x + w < 0 || y + high < 0) return false;
    const gap = w > 12 ? 1 : 0.5;
    context.fillStyle = this.#paint.ground ?? "#000";
    context.fillRect(x, y, w, high);
    context.fillStyle = this.fill(zone);
    context.fillRect(x + gap, y + gap, w - 2 * gap, high - 2 * gap);
    const away = isAway(zone);
    if (away || this.draining.has(zone.node)) this.#hatch(context, x + gap, y + gap, w - 2 * gap, high - 2 * gap, away ? this.#paint.bad ?? "red" : "rgb(0 0 0 / 0.32)");
    if (this.showsHeat && !away && w >= 6) this.heat.draw(context, zone.zone, x + gap, y + gap, w - 2 * gap, high - 2 * gap);
    if (w >= NAME_PX && high >= 24) this.#write(context, zone, x, y, w, high);
    return true;
  }

  /** @param {CanvasRenderingContext2D} context @param {any} zone @param {number} x @param {number} y @param {number} w @param {number} high */
  #write(context, zone, x, y, w, high) {
    context.save();
    context.beginPath();
    context.rect(x + 2, y + 2, w - 4, high - 4);
    context.clip();
    const lines = [title(zone)];
    if (w >= FIGURES_PX && high >= 44) lines.push(isAway(zone) ? "away" : `${zone.population} there`);
    context.textBaseline = "top";
    lines.forEach((whole, index) => {
      context.font = `${index === 0 ? 600 : 400} 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;
      const line = fitted(context, whole, w - 14);
      const wide = context.measureText(line).width;
      context.fillStyle = this.#paint.halo ?? "white";
      context.fillRect(x + 5, y + 5 + index * 17, wide + 6, 17);
      context.fillStyle = this.#paint.text ?? "black";
      context.fillText(line, x + 8, y + 8 + index * 17);
    });
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} w @param {number} high @param {string} ink */
  #hatch(context, x, y, w, high, ink) {
    context.save();
    context.beginPath();
    context.rect(x, y, w, high);
    context.clip();
    context.strokeStyle = ink;
    context.lineWidth = 1.25;
    context.beginPath();
    const step = Math.max(4, Math.min(12, w / 6));
    for (let at = -high; at < w; at += step) {
      context.moveTo(x + at, y + high);
      context.lineTo(x + at + high, y);
    }
    context.stroke();
    context.restore();
  }

  /** @param {string} id */
  #point(id) {
    this.base.classList.toggle("over-zone", id !== "");
    if (id === this.pointed) return;
    this.pointed = id;
    this.#drawOver();
  }

  #drawOver() {
    const context = this.over.getContext("2d");
    if (!context) return;
    const scale = devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.lens.width, this.lens.height);
    for (const [id, width] of /** @type {[string, number][]} */ ([[this.pointed, 1.5], [this.chosen, 3]])) {
      const zone = this.zones.get(id);
      if (!zone) continue;
      const { x, y, w, h: high } = this.lens.box(zone.bounds);
      context.strokeStyle = this.#paint.accent ?? "black";
      context.lineWidth = width;
      context.strokeRect(x + width / 2, y + width / 2, w - width, high - width);
    }
  }
}

/** As much of a text as has room. @param {CanvasRenderingContext2D} context @param {string} text @param {number} room */
function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length - 1;
  while (length > 1 && context.measureText(`${text.slice(0, length).trimEnd()}…`).width > room) length -= 1;
  return `${text.slice(0, length).trimEnd()}…`;
}

/** @param {any} zone */
const ground = (zone) => (zone ? `${zone.bounds.min_x} ${zone.bounds.min_z} ${zone.bounds.max_x} ${zone.bounds.max_z}` : "");
