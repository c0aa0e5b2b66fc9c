/** Heat maps of all zones in one picture: 16 x 16 pixels each, painted when a zone's figures change and only copied when it is drawn. */

const CELLS = 16;
const ACROSS = 32;

/** Transparent to strong, in one hue: readable on every ground, with any kind of colour vision. */
const STEPS = [0, 70, 110, 150, 190, 225];

export class Heat {
  /** @type {Map<string, number>} zone -> its place in the picture */
  #places = new Map();
  /** @type {number[]} */
  #free = [];
  #rows = 0;
  #canvas = document.createElement("canvas");
  #colour = [90, 16, 110];

  /** @param {boolean} dark the theme */
  tint(dark) {
    this.#colour = dark ? [255, 214, 120] : [90, 16, 110];
  }

  /** @param {string} zone @param {[cell: number, count: number][]} cells */
  paint(zone, cells) {
    const place = this.#place(zone);
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    const image = context.createImageData(CELLS, CELLS);
    const [red = 0, green = 0, blue = 0] = this.#colour;
    for (const [cell, count] of cells) {
      const row = CELLS - 1 - Math.floor(cell / CELLS); // row 0 is in the south
      const at = (row * CELLS + (cell % CELLS)) * 4;
      const step = Math.min(STEPS.length - 1, 1 + Math.floor(Math.log2(Math.max(1, count))));
      image.data.set([red, green, blue, STEPS[step] ?? 0], at);
    }
    context.putImageData(image, (place % ACROSS) * CELLS, Math.floor(place / ACROSS) * CELLS);
  }

  /** @param {string} zone */
  drop(zone) {
    const place = this.#places.get(zone);
    if (place === undefined) return;
    this.#places.delete(zone);
    this.#free.push(place);
  }

  /** @param {CanvasRenderingContext2D} context @param {string} zone @param {number} x @param {number} y @param {number} w @param {number} h */
  draw(context, zone, x, y, w, h) {
    const place = this.#places.get(zone);
    if (place === undefined) return;
    context.drawImage(this.#canvas, (place % ACROSS) * CELLS, Math.floor(place / ACROSS) * CELLS, CELLS, CELLS, x, y, w, h);
  }

  /** @param {string} zone */
  #place(zone) {
    const known = this.#places.get(zone);
    if (known !== undefined) return known;
    const place = this.#free.pop() ?? this.#places.size;
    this.#places.set(zone, place);
    const rows = Math.floor(place / ACROSS) + 1;
    if (rows > this.#rows) this.#grow(rows * 2);
    return place;
  }

  /** @param {number} rows */
  #grow(rows) {
    const before = this.#canvas;
    this.#canvas = document.createElement("canvas");
    this.#canvas.width = ACROSS * CELLS;
    this.#canvas.height = rows * CELLS;
    if (this.#rows > 0) this.#canvas.getContext("2d")?.drawImage(before, 0, 0);
    this.#rows = rows;
  }
}
