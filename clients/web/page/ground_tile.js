/**
 * The surface of the ground as one picture that repeats: lighter clearings, tufts, stones, flowers.
 *
 * Drawn once per zone and zoom, then copied; thousands of shapes a frame would cost more than everything else together.
 */

/** Metres that the picture covers each way. */
export const TILE = 63;
/** Metres of a square that has at most one tuft, stone or flower; a whole number of them fills the tile. */
const SQUARE = 3;
/** Metres between the middles of clearings, likewise. */
const CLEARING = 12.6;
/** Steps of zoom with a picture of their own; in between it is stretched. */
const ZOOM_STEP = 1.3;

/** Kinds of ground kept, each at one zoom: where four zones meet, four are visible. */
const MOST_KINDS = 4;

export class GroundTile {
  /** The one used last is last. @type {Map<string, {scale: number, image: OffscreenCanvas}>} */
  #kept = new Map();

  /**
   * @param {import("./palette.js").Ground} theme
   * @param {number} scale pixels per metre, device pixels
   * @returns {OffscreenCanvas} to be drawn TILE metres wide and high
   */
  get(theme, scale) {
    const rounded = ZOOM_STEP ** Math.round(Math.log(scale) / Math.log(ZOOM_STEP));
    const kept = this.#kept.get(theme.ground);
    const tile = kept?.scale === rounded ? kept : { scale: rounded, image: drawTile(theme, rounded) };
    this.#kept.delete(theme.ground);
    this.#kept.set(theme.ground, tile);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KINDS) break;
      this.#kept.delete(oldest);
    }
    return tile.image;
  }
}

/**
 * @param {import("./palette.js").Ground} theme
 * @param {number} scale
 */
function drawTile(theme, scale) {
  const size = Math.round(TILE * scale);
  const image = new OffscreenCanvas(size, size);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (image.getContext("2d", { alpha: false }));
  context.fillStyle = theme.ground;
  context.fillRect(0, 0, size, size);
  context.scale(size / TILE, size / TILE);
  drawClearings(context, theme);
  drawGrowth(context, theme);
  return image;
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {import("./palette.js").Ground} theme */
function drawClearings(context, theme) {
  context.fillStyle = theme.patch;
  context.globalAlpha = 0.2;
  for (const share of [1, 0.78, 0.56, 0.34]) {
    const patches = new Path2D();
    eachCell(CLEARING, 104_729, (x, y, chance) => {
      if ((chance & 3) === 0) return;
      const radius = share * CLEARING * (0.32 + ((chance >>> 24) & 0xff) / 500);
      patches.moveTo(x + radius, y);
      patches.ellipse(x, y, radius, radius * 0.7, 0, 0, 2 * Math.PI);
    });
    context.fill(patches);
  }
  context.globalAlpha = 1;
}

/** @param {OffscreenCanvasRenderingContext2D} context @param {import("./palette.js").Ground} theme */
function drawGrowth(context, theme) {
  const tufts = new Path2D();
  const stones = new Path2D();
  const flowers = new Path2D();
  eachCell(SQUARE, 1, (x, y, chance) => {
    const kind = chance & 0xff;
    const size = 0.16 + ((chance >>> 24) & 0xff) / 1600;
    if (kind < 130) {
      for (const lean of [-0.7, 0, 0.7]) {
        tufts.moveTo(x + lean * size * 0.6, y);
        tufts.lineTo(x + lean * size * 1.5, y - size * (2 - Math.abs(lean)));
      }
    } else if (kind < 152) {
      stones.moveTo(x + size * 1.4, y);
      stones.ellipse(x, y, size * 1.4, size, 0, 0, 2 * Math.PI);
    } else if (kind < 170) {
      flowers.moveTo(x + size * 0.5, y);
      flowers.arc(x, y, size * 0.5, 0, 2 * Math.PI);
    }
  });
  context.lineCap = "round";
  context.lineWidth = 0.08;
  context.strokeStyle = theme.tuft;
  context.stroke(tufts);
  context.fillStyle = theme.stone;
  context.fill(stones);
  context.fillStyle = theme.flower;
  context.fill(flowers);
}

/**
 * A place in every cell of the tile and one cell around it, the same on opposite sides, so that the tile has no seams.
 * @param {number} cell metres
 * @param {number} seed
 * @param {(x: number, y: number, chance: number) => void} draw chance: 32 bits
 */
function eachCell(cell, seed, draw) {
  const count = Math.round(TILE / cell);
  for (let column = -1; column <= count; column += 1) {
    for (let row = -1; row <= count; row += 1) {
      const chance = scatter((column + count) % count, ((row + count) % count) + seed);
      const x = (column + 0.1 + ((chance >>> 8) & 0xff) / 320) * cell;
      const y = (row + 0.1 + ((chance >>> 16) & 0xff) / 320) * cell;
      draw(x, y, chance);
    }
  }
}

/** The same 32 bits for the same cell, with no pattern to see. @param {number} column @param {number} row */
function scatter(column, row) {
  let bits = Math.imul(column + 1, 0x27d4eb2d) ^ Math.imul(row + 1, 0x165667b1);
  bits = Math.imul(bits ^ (bits >>> 15), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
