/** What part of the world is seen: zoom and pan by wheel, drag, pinch and keys. North (+z) is up. */

/** @typedef {{min_x: number, min_z: number, max_x: number, max_z: number}} Bounds */

const MARGIN_PX = 16;
const STEP = 1.25;
const PAN_PX = 80;
const CLICK_PX = 5;
const MOST = 60;

export class Lens {
  width = 0;
  height = 0;
  /** Pixels for a metre, and the world's point at the middle. */
  scale = 1;
  x = 0;
  z = 0;
  /** @type {Bounds} */
  #all = { min_x: 0, min_z: 0, max_x: 100, max_z: 100 };
  /** @type {AbortController} */
  #listening = new AbortController();
  /** @type {Map<number, {x: number, y: number}>} */
  #fingers = new Map();
  #travelled = 0;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  close() {
    this.#listening.abort();
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** All of it, as large as it fits. @param {Bounds} bounds */
  show(bounds) {
    this.#all = bounds;
    this.scale = this.#least();
    this.x = (bounds.min_x + bounds.max_x) / 2;
    this.z = (bounds.min_z + bounds.max_z) / 2;
    this.changed();
  }

  /** Moves and zooms no more than it takes to see it well. @param {Bounds} bounds */
  reveal(bounds) {
    const box = this.box(bounds);
    const inside = box.x >= 0 && box.y >= 0 && box.x + box.w <= this.width && box.y + box.h <= this.height;
    if (inside && box.w >= 24) return;
    if (box.w < 24) this.scale = Math.min(MOST, 120 / (bounds.max_x - bounds.min_x));
    this.x = (bounds.min_x + bounds.max_x) / 2;
    this.z = (bounds.min_z + bounds.max_z) / 2;
    this.changed();
  }

  /** @param {Bounds} b @returns {{x: number, y: number, w: number, h: number}} pixels */
  box(b) {
    return {
      x: (b.min_x - this.x) * this.scale + this.width / 2,
      y: (this.z - b.max_z) * this.scale + this.height / 2,
      w: (b.max_x - b.min_x) * this.scale,
      h: (b.max_z - b.min_z) * this.scale,
    };
  }

  /** @param {number} px @param {number} py */
  toWorld(px, py) {
    return { x: (px - this.width / 2) / this.scale + this.x, z: this.z - (py - this.height / 2) / this.scale };
  }

  /** By a factor, around a point of the canvas that stays where it is. @param {number} factor @param {number} [px] @param {number} [py] */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const before = this.toWorld(px, py);
    this.scale = Math.max(this.#least() / 2, Math.min(MOST, this.scale * factor));
    const after = this.toWorld(px, py);
    this.#move(before.x - after.x, before.z - after.z);
  }

  /** @param {number} dx pixels to the right @param {number} dy pixels down */
  pan(dx, dy) {
    this.#move(-dx / this.scale, dy / this.scale);
  }

  /** @param {HTMLElement} element @param {{point: (x: number, y: number) => void, press: (x: number, y: number) => void}} to */
  listen(element, { point, press }) {
    const { signal } = this.#listening;
    /** @param {PointerEvent | WheelEvent} event */
    const place = (event) => {
      const box = element.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const { x, y } = place(event);
      this.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY)) / 400), x, y);
    }, { signal, passive: false });
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      if (this.#fingers.size === 0) this.#travelled = 0;
      this.#fingers.set(event.pointerId, place(event));
    }, { signal });
    element.addEventListener("pointermove", (event) => {
      const now = place(event);
      if (this.#fingers.has(event.pointerId)) this.#drag(event.pointerId, now);
      else point(now.x, now.y);
    }, { signal });
    element.addEventListener("pointerup", (event) => {
      if (this.#fingers.delete(event.pointerId) && this.#fingers.size === 0 && this.#travelled < CLICK_PX) {
        const { x, y } = place(event);
        press(x, y);
      }
    }, { signal });
    element.addEventListener("pointercancel", (event) => this.#fingers.delete(event.pointerId), { signal });
    element.addEventListener("pointerleave", () => point(-1, -1), { signal });
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.#key(event.key)) return;
      event.preventDefault();
    }, { signal });
  }

  /** @param {string} key @returns {boolean} whether it means something here */
  #key(key) {
    if (key === "+" || key === "=") this.zoom(STEP);
    else if (key === "-") this.zoom(1 / STEP);
    else if (key === "0") this.show(this.#all);
    else if (key === "ArrowLeft") this.pan(PAN_PX, 0);
    else if (key === "ArrowRight") this.pan(-PAN_PX, 0);
    else if (key === "ArrowUp") this.pan(0, PAN_PX);
    else if (key === "ArrowDown") this.pan(0, -PAN_PX);
    else return false;
    return true;
  }

  /** @param {number} id @param {{x: number, y: number}} now */
  #drag(id, now) {
    const before = /** @type {{x: number, y: number}} */ (this.#fingers.get(id));
    this.#travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (this.#fingers.size === 1) {
      this.pan(now.x - before.x, now.y - before.y);
    } else {
      const other = [...this.#fingers].find(([each]) => each !== id)?.[1] ?? before;
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(now.x - other.x, now.y - other.y);
      if (was > 0) this.zoom(is / was, (now.x + other.x) / 2, (now.y + other.y) / 2);
      this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    }
    this.#fingers.set(id, now);
  }

  /** @param {number} dx metres @param {number} dz metres */
  #move(dx, dz) {
    this.x = Math.max(this.#all.min_x, Math.min(this.#all.max_x, this.x + dx));
    this.z = Math.max(this.#all.min_z, Math.min(this.#all.max_z, this.z + dz));
    this.changed();
  }

  /** All of the world fits. */
  #least() {
    const wide = Math.max(1, this.#all.max_x - this.#all.min_x);
    const deep = Math.max(1, this.#all.max_z - this.#all.min_z);
    return Math.max(1e-6, Math.min((this.width - 2 * MARGIN_PX) / wide, (this.height - 2 * MARGIN_PX) / deep));
  }
}
