/** Draws the ground: the zones' surfaces and their growth, the grid, the borders, and the walls at the land's bounds. */

import { TILE } from "./ground_tile.js";
import { VOID } from "./palette.js";

/** Metres between lines of the grid. */
const FINE = 5;
const COARSE = 25;
/** Below this many pixels per metre only the coarse lines are drawn. */
const LEAST_SCALE = 8;
/** Metres of wall outside the bounds. */
const WALL = 1.2;

/**
 * @typedef {import("../rayrealm/prediction.js").Bounds} Bounds
 * @typedef {{bounds: Bounds, theme: import("./palette.js").Ground}} Patch the ground of a zone
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} bounds of the land
 * @param {import("./palette.js").Ground} theme of the walls
 * @param {Patch[]} patches what the land is made of
 * @param {(theme: import("./palette.js").Ground) => OffscreenCanvas} tileOf its surface
 */
export function drawGround(context, camera, bounds, theme, patches, tileOf) {
  context.fillStyle = VOID;
  context.fillRect(0, 0, camera.width, camera.height);
  const left = camera.screenX(bounds.min_x);
  const right = camera.screenX(bounds.max_x);
  const top = camera.screenY(bounds.max_z);
  const bottom = camera.screenY(bounds.min_z);

  const thickness = WALL * camera.scale;
  context.fillStyle = theme.wall;
  context.fillRect(left - thickness, top - thickness, right - left + 2 * thickness, bottom - top + 2 * thickness);

  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  const part = overlap(camera.visible, bounds);
  if (part) {
    for (const patch of patches) drawPatch(context, camera, patch, tileOf);
    drawGrid(context, camera, part);
    if (patches.length > 1) drawBorders(context, camera, patches);
  }
  context.restore();
  drawWallTops(context, camera, bounds, theme, thickness);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Patch} patch
 * @param {(theme: import("./palette.js").Ground) => OffscreenCanvas} tileOf
 */
function drawPatch(context, camera, { bounds, theme }, tileOf) {
  const part = overlap(camera.visible, bounds);
  if (!part) return;
  context.save();
  context.beginPath();
  // Rounded as its neighbour's edge is: no seam between two zones.
  const [left, right] = [Math.round(camera.screenX(bounds.min_x)), Math.round(camera.screenX(bounds.max_x))];
  const [top, bottom] = [Math.round(camera.screenY(bounds.max_z)), Math.round(camera.screenY(bounds.min_z))];
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  drawSurface(context, camera, part, tileOf(theme));
  context.restore();
}

/**
 * Where one zone ends and the next begins: a fine dotted line, for a border is no wall.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Patch[]} patches
 */
function drawBorders(context, camera, patches) {
  context.save();
  context.strokeStyle = "rgba(220, 232, 226, 0.16)";
  context.lineWidth = 1.5;
  context.setLineDash([2, 8]);
  for (const { bounds } of patches) {
    if (!overlap(camera.visible, bounds)) continue;
    const left = camera.screenX(bounds.min_x);
    const top = camera.screenY(bounds.max_z);
    context.strokeRect(left, top, camera.screenX(bounds.max_x) - left, camera.screenY(bounds.min_z) - top);
  }
  context.restore();
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
 * Copies the tile as often as it is needed.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} part
 * @param {OffscreenCanvas} tile
 */
function drawSurface(context, camera, part, tile) {
  for (let x = Math.floor(part.min_x / TILE) * TILE; x < part.max_x; x += TILE) {
    for (let z = Math.floor(part.min_z / TILE) * TILE; z < part.max_z; z += TILE) {
      // Rounded on both sides: no seam between two copies.
      const left = Math.round(camera.screenX(x));
      const right = Math.round(camera.screenX(x + TILE));
      const top = Math.round(camera.screenY(z + TILE));
      const bottom = Math.round(camera.screenY(z));
      context.drawImage(tile, left, top, right - left, bottom - top);
    }
  }
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
}

/**
 * The coordinates of the coarse lines' crossings.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./camera.js").Camera} camera
 * @param {Bounds} bounds of the land
 */
export function drawCoordinates(context, camera, bounds) {
  const part = overlap(camera.visible, bounds);
  if (!part) return;
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
