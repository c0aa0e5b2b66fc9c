/** Pictures that are drawn once and then copied: figures and name plates. Keeps the newest few hundred. */

/** @typedef {{image: OffscreenCanvas, width: number, height: number}} Sprite size in CSS pixels */

const MOST = 400;

export class Sprites {
  /** @type {Map<string, Sprite>} */
  #made = new Map();
  #ratio = 1;

  /** Everything is drawn anew for another pixel ratio. @param {number} ratio */
  setRatio(ratio) {
    if (ratio === this.#ratio) return;
    this.#ratio = ratio;
    this.#made.clear();
  }

  /**
   * @param {string} key
   * @param {number} width CSS pixels
   * @param {number} height
   * @param {(context: OffscreenCanvasRenderingContext2D) => void} draw
   * @returns {Sprite}
   */
  get(key, width, height, draw) {
    const known = this.#made.get(key);
    if (known) return known;
    const image = new OffscreenCanvas(Math.ceil(width * this.#ratio), Math.ceil(height * this.#ratio));
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (image.getContext("2d"));
    context.scale(this.#ratio, this.#ratio);
    draw(context);
    const sprite = { image, width, height };
    if (this.#made.size >= MOST) this.#made.delete(/** @type {string} */ (this.#made.keys().next().value));
    this.#made.set(key, sprite);
    return sprite;
  }
}
