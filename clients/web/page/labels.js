/** Names above figures and what they say. A name that would cover another is left out; the nearest go first. */

const FONT = "600 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const SPEECH_FONT = "13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const SPEECH_WIDTH = 190;
const SPEECH_LINES = 3;

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

export class Labels {
  /** @type {Box[]} */
  #taken = [];

  /** @param {import("./sprites.js").Sprites} sprites */
  constructor(sprites) {
    this.sprites = sprites;
    this.measure = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(1, 1).getContext("2d"));
  }

  /** Begins a frame. */
  clear() {
    this.#taken = [];
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {string} name
   * @param {number} sx middle
   * @param {number} bottom
   * @param {{colour: string, fade: number, always: boolean}} look always: even over another
   * @returns {boolean} whether it was drawn
   */
  drawName(context, name, sx, bottom, { colour, fade, always }) {
    this.measure.font = FONT;
    const width = Math.ceil(this.measure.measureText(name).width) + 8;
    const box = { x: Math.round(sx - width / 2), y: Math.round(bottom - 18), width, height: 18 };
    if (!always && this.#taken.some((other) => touches(box, other))) return false;
    this.#taken.push(box);
    const plate = this.sprites.get(`name ${colour} ${name}`, width, 18, (inner) => {
      inner.font = FONT;
      inner.textAlign = "center";
      inner.textBaseline = "middle";
      inner.lineJoin = "round";
      inner.lineWidth = 3.5;
      inner.strokeStyle = "rgba(7, 11, 14, 0.88)";
      inner.strokeText(name, width / 2, 9.5);
      inner.fillStyle = colour;
      inner.fillText(name, width / 2, 9.5);
    });
    context.globalAlpha = fade;
    context.drawImage(plate.image, box.x, box.y, width, 18);
    context.globalAlpha = 1;
    return true;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {string} text
   * @param {number} sx middle
   * @param {number} bottom
   * @param {number} fade
   * @param {number} room width of the canvas
   */
  drawSpeech(context, text, sx, bottom, fade, room) {
    this.measure.font = SPEECH_FONT;
    const lines = wrap(text, (line) => this.measure.measureText(line).width);
    const width = Math.ceil(Math.max(...lines.map((line) => this.measure.measureText(line).width))) + 20;
    const height = lines.length * 17 + 12;
    const x = Math.round(Math.min(room - width - 6, Math.max(6, sx - width / 2)));
    const y = Math.round(bottom - height - 6);
    const tip = Math.min(x + width - 16, Math.max(x + 16, sx));
    context.globalAlpha = fade;
    context.fillStyle = "rgba(233, 239, 242, 0.95)";
    context.beginPath();
    context.roundRect(x, y, width, height, 9);
    context.moveTo(tip + 6, y + height - 1); // the same way round as the box, or the overlap would be a hole
    context.lineTo(tip, y + height + 6);
    context.lineTo(tip - 6, y + height - 1);
    context.fill();
    context.fillStyle = "#10171c";
    context.font = SPEECH_FONT;
    context.textAlign = "center";
    context.textBaseline = "middle";
    lines.forEach((line, index) => context.fillText(line, x + width / 2, y + 15 + index * 17));
    context.globalAlpha = 1;
  }
}

/** @param {Box} a @param {Box} b */
function touches(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/**
 * @param {string} text
 * @param {(line: string) => number} widthOf
 * @returns {string[]} at least one line
 */
function wrap(text, widthOf) {
  const lines = [""];
  for (const word of text.slice(0, 200).split(/\s+/)) {
    const line = lines[lines.length - 1];
    const longer = line === "" ? word : `${line} ${word}`;
    if (line === "" || widthOf(longer) <= SPEECH_WIDTH) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  if (lines.length > SPEECH_LINES) {
    lines.length = SPEECH_LINES;
    lines[SPEECH_LINES - 1] += " …";
  }
  return lines.map((line) => (line.length > 40 ? `${line.slice(0, 39)}…` : line));
}
