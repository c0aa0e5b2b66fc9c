/** Draws the ground: the zone's surface, its growth, the grid and the walls at its bounds. */

import { VOID } from "./palette.js";

/** Metres between lines of the grid. */
const FINE = 5;
const COARSE = 25;
/** Metres between the middles of lighter patches. */
const CLEARING = 14;
/** Metres of a square that has at most one tuft, stone or flower. */
const SQUARE = 3;
/** Below this many pixels per metre nothing grows. */
const LEAST_SCALE = 8;
/** Metres of wall outside the bounds. */
const WALL = 1.2;

/**
 * @typedef {import("../rayrealm/prediction.js").Bounds} Bounds
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} bounds
 * @param {import("./palette.js").Ground} theme
 */
export function drawGround(context, camera, bounds, theme) {
  context.fillStyle = VOID;
  context.fillRect(0, 0, camera.width, camera.height);
  const left = camera.screenX(bounds.min_x);
  const right = camera.screenX(bounds.max_x);
  const top = camera.screenY(bounds.max_z);
  const bottom = camera.screenY(bounds.min_z);

  const thickness = WALL * camera.scale;
  context.fillStyle = theme.wall;
  context.fillRect(left - thickness, top - thickness, right - left + 2 * thickness, bottom - top + 2 * thickness);
  context.fillStyle = theme.ground;
  context.fillRect(left, top, right - left, bottom - top);

  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  const part = overlap(camera.visible, bounds);
  if (part) {
    drawPatches(context, camera, part, theme);
    if (camera.scale >= LEAST_SCALE) drawGrowth(context, camera, part, theme);
    drawGrid(context, camera, part);
  }
  context.restore();
  drawWallTops(context, camera, bounds, theme, thickness);
}

/**
 * @param {Bounds} a
 * @param {Bounds} b
 * @returns {Bounds | null}
 */
function overlap(a, b) {
  const part = {
    min_x: Math.max(a.min_x, b.min_x),
    max_x: Math.min(a.max_x, b.max_x),
    min_z: Math.max(a.min_z, b.min_z),
    max_z: Math.min(a.max_z, b.max_z),
  };
  return part.min_x < part.max_x && part.min_z < part.max_z ? part : null;
}

/**
 * Soft lighter places, so that the ground is not one colour.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} part
 * @param {import("./palette.js").Ground} theme
 */
function drawPatches(context, camera, part, theme) {
  context.fillStyle = theme.patch;
  for (const share of [1, 0.72, 0.45]) {
    const patches = new Path2D();
    for (let column = Math.floor(part.min_x / CLEARING) - 1; (column - 1) * CLEARING <= part.max_x; column += 1) {
      for (let row = Math.floor(part.min_z / CLEARING) - 1; (row - 1) * CLEARING <= part.max_z; row += 1) {
        const chance = scatter(column + 7919, row - 104_729);
        if ((chance & 3) === 0) continue;
        const x = camera.screenX((column + ((chance >>> 8) & 0xff) / 255) * CLEARING);
        const y = camera.screenY((row + ((chance >>> 16) & 0xff) / 255) * CLEARING);
        const radius = share * camera.scale * CLEARING * (0.3 + ((chance >>> 24) & 0xff) / 600);
        patches.moveTo(x + radius, y);
        patches.ellipse(x, y, radius, radius * 0.7, 0, 0, 2 * Math.PI);
      }
    }
    context.globalAlpha = 0.22;
    context.fill(patches);
  }
  context.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} part
 * @param {import("./palette.js").Ground} theme
 */
function drawGrowth(context, camera, part, theme) {
  const tufts = new Path2D();
  const stones = new Path2D();
  const flowers = new Path2D();
  const { scale } = camera;
  for (let column = Math.floor(part.min_x / SQUARE) - 1; column * SQUARE <= part.max_x; column += 1) {
    for (let row = Math.floor(part.min_z / SQUARE) - 1; row * SQUARE <= part.max_z; row += 1) {
      const chance = scatter(column, row);
      const x = camera.screenX((column + 0.1 + ((chance >>> 8) & 0xff) / 320) * SQUARE);
      const y = camera.screenY((row + 0.1 + ((chance >>> 16) & 0xff) / 320) * SQUARE);
      const kind = chance & 0xff;
      const size = scale * (0.16 + ((chance >>> 24) & 0xff) / 1600);
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
    }
  }
  context.lineCap = "round";
  context.lineWidth = Math.max(1, scale * 0.08);
  context.strokeStyle = theme.tuft;
  context.stroke(tufts);
  context.fillStyle = theme.stone;
  context.fill(stones);
  context.fillStyle = theme.flower;
  context.fill(flowers);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} part
 */
function drawGrid(context, camera, part) {
  const fine = new Path2D();
  const coarse = new Path2D();
  const fineToo = camera.scale >= LEAST_SCALE;
  const step = fineToo ? FINE : COARSE;
  for (let x = Math.ceil(part.min_x / step) * step; x <= part.max_x; x += step) {
    const at = Math.round(camera.screenX(x)) + 0.5;
    const path = x % COARSE === 0 ? coarse : fine;
    path.moveTo(at, 0);
    path.lineTo(at, camera.height);
  }
  for (let z = Math.ceil(part.min_z / step) * step; z <= part.max_z; z += step) {
    const at = Math.round(camera.screenY(z)) + 0.5;
    const path = z % COARSE === 0 ? coarse : fine;
    path.moveTo(0, at);
    path.lineTo(camera.width, at);
  }
  context.lineWidth = 1;
  context.strokeStyle = "rgba(200, 225, 215, 0.045)";
  context.stroke(fine);
  context.strokeStyle = "rgba(200, 225, 215, 0.12)";
  context.stroke(coarse);
  context.fillStyle = "rgba(200, 225, 215, 0.3)";
  context.font = "10px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  for (let x = Math.ceil(part.min_x / COARSE) * COARSE; x <= part.max_x; x += COARSE) {
    for (let z = Math.ceil(part.min_z / COARSE) * COARSE; z <= part.max_z; z += COARSE) {
      context.fillText(`${x}, ${z}`, camera.screenX(x) + 5, camera.screenY(z) - 5);
    }
  }
}

/**
 * The light edge of the walls, and a post every 25 m.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} bounds
 * @param {import("./palette.js").Ground} theme
 * @param {number} thickness pixels
 */
function drawWallTops(context, camera, bounds, theme, thickness) {
  const left = camera.screenX(bounds.min_x);
  const right = camera.screenX(bounds.max_x);
  const top = camera.screenY(bounds.max_z);
  const bottom = camera.screenY(bounds.min_z);
  context.strokeStyle = theme.wallTop;
  context.lineWidth = 2;
  context.strokeRect(left - 1, top - 1, right - left + 2, bottom - top + 2);
  context.strokeStyle = "rgba(0, 0, 0, 0.35)";
  context.lineWidth = Math.max(2, camera.scale * 0.35);
  const inset = context.lineWidth / 2;
  context.strokeRect(left + inset, top + inset, right - left - 2 * inset, bottom - top - 2 * inset);
  context.fillStyle = theme.wallTop;
  const post = thickness * 0.8;
  const visible = camera.visible;
  const offset = (thickness - post) / 2 + post;
  for (let x = bounds.min_x; x <= bounds.max_x; x += COARSE) {
    if (x < visible.min_x - 2 || x > visible.max_x + 2) continue;
    context.fillRect(camera.screenX(x) - post / 2, top - offset, post, post);
    context.fillRect(camera.screenX(x) - post / 2, bottom + offset - post, post, post);
  }
  for (let z = bounds.min_z; z <= bounds.max_z; z += COARSE) {
    if (z < visible.min_z - 2 || z > visible.max_z + 2) continue;
    context.fillRect(left - offset, camera.screenY(z) - post / 2, post, post);
    context.fillRect(right + offset - post, camera.screenY(z) - post / 2, post, post);
  }
}

/** The same 32 bits for the same patch, with no pattern to see. @param {number} column @param {number} row */
function scatter(column, row) {
  let bits = Math.imul(column, 0x27d4eb2d) ^ Math.imul(row, 0x165667b1);
  bits = Math.imul(bits ^ (bits >>> 15), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
