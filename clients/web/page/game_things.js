/**
 * What stands on the ground in the example game: trees, stones, campfires, huts, pouches. Drawn from above, in the page's colours.
 *
 * @typedef {import("../rayrealm/client.js").SeenEntity} SeenEntity
 * @typedef {OffscreenCanvasRenderingContext2D} Inner
 * @typedef {{metres: number, draw: (context: Inner, radius: number, full: boolean) => void}} Look metres: from its middle to its edge
 */

import { Sprites } from "./sprites.js";

const INK = "rgba(6, 10, 13, 0.85)";
const ACCENT = "#f3b85c";
const FONT = "600 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
/** Names of what players have built are written so near, metres. */
const NAMED_M = 9;

/** @type {Record<string, Look>} by the property `kind` */
const LOOKS = {
  tree: { metres: 1.5, draw: drawTree },
  stone: { metres: 0.9, draw: drawStone },
  campfire: { metres: 0.75, draw: drawCampfire },
  hut: { metres: 1.7, draw: drawHut },
  pouch: { metres: 0.45, draw: drawPouch },
};

/** Whether it is one of these. @param {SeenEntity} entity */
export function isThing({ properties }) {
  return typeof properties.kind === "string" && properties.kind in LOOKS;
}

export class GameThings {
  #sprites = new Sprites();
  /** The entity that the player may do something with. @type {SeenEntity | null} */
  target = null;

  /** A layer of the renderer, below the figures. @type {import("./renderer.js").Layer} */
  draw = (context, camera, scene, now) => {
    this.#sprites.setRatio(window.devicePixelRatio || 1);
    for (const entity of scene.others) {
      if (!isThing(entity)) continue;
      const { kind, left } = entity.properties;
      const radius = Math.max(6, Math.round(LOOKS[kind].metres * camera.scale));
      const sx = camera.screenX(entity.pose.x);
      const sy = camera.screenY(entity.pose.z);
      if (sx < -radius || sy < -radius || sx > camera.width + radius || sy > camera.height + radius) continue;
      this.#drawThing(context, kind, left !== 0, sx, sy, radius);
      if (kind === "campfire") drawFlame(context, sx, sy, radius, now);
      if (entity.entityId === this.target?.entityId) drawRing(context, sx, sy, radius);
      const near = scene.me && Math.hypot(entity.pose.x - scene.me.x, entity.pose.z - scene.me.z) < NAMED_M;
      if (entity.properties.owner && near) drawName(context, entity.name, sx, sy - radius - 6);
    }
  };

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {string} kind
   * @param {boolean} full there is something to gather
   * @param {number} sx
   * @param {number} sy
   * @param {number} radius
   */
  #drawThing(context, kind, full, sx, sy, radius) {
    const size = Math.ceil(radius * 2.6);
    const sprite = this.#sprites.get(`${kind} ${full} ${radius}`, size, size, (inner) => {
      inner.translate(size / 2, size / 2);
      inner.lineJoin = "round";
      inner.lineWidth = Math.max(1.2, radius * 0.07);
      inner.strokeStyle = INK;
      LOOKS[kind].draw(inner, radius, full);
    });
    const shadow = full ? radius * 0.95 : radius * 0.4;
    context.fillStyle = "rgba(0, 0, 0, 0.28)";
    context.beginPath();
    context.ellipse(sx + shadow * 0.12, sy + shadow * 0.18, shadow, shadow * 0.9, 0, 0, 2 * Math.PI);
    context.fill();
    context.drawImage(sprite.image, sx - size / 2, sy - size / 2, size, size);
  }
}

/** @param {Inner} context @param {number} x @param {number} y @param {number} radius @param {string} colour */
function disc(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

/** @param {Inner} context @param {[number, number][]} points @param {string} colour */
function shape(context, points, colour) {
  context.fillStyle = colour;
  context.beginPath();
  points.forEach(([x, y], index) => (index === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  context.closePath();
  context.fill();
  context.stroke();
}

/** A crown of leaves, or a stump. @type {Look["draw"]} */
function drawTree(context, radius, full) {
  if (!full) {
    disc(context, 0, 0, radius * 0.34, "#6b4f33");
    context.stroke();
    disc(context, 0, 0, radius * 0.22, "#a5825a");
    return;
  }
  const lobes = 7;
  context.beginPath();
  for (let lobe = 0; lobe <= lobes; lobe += 1) {
    const angle = (lobe / lobes) * 2 * Math.PI;
    const bulge = angle - Math.PI / lobes;
    if (lobe === 0) context.moveTo(radius * 0.78, 0);
    else context.quadraticCurveTo(Math.cos(bulge) * radius * 1.22, Math.sin(bulge) * radius * 1.22, Math.cos(angle) * radius * 0.78, Math.sin(angle) * radius * 0.78);
  }
  context.fillStyle = "#2e6b4a";
  context.fill();
  context.stroke();
  disc(context, -radius * 0.16, -radius * 0.18, radius * 0.62, "#3b8259");
  disc(context, -radius * 0.26, -radius * 0.3, radius * 0.34, "#57a374");
}

/** A boulder, or pebbles. @type {Look["draw"]} */
function drawStone(context, radius, full) {
  if (!full) {
    for (const [x, y, size] of [[-0.35, 0.1, 0.2], [0.2, -0.25, 0.16], [0.3, 0.3, 0.22]]) {
      disc(context, x * radius, y * radius, size * radius, "#6f7a83");
      context.stroke();
    }
    return;
  }
  const r = radius;
  shape(context, [[-0.9 * r, 0.2 * r], [-0.55 * r, -0.62 * r], [0.2 * r, -0.85 * r], [0.9 * r, -0.2 * r], [0.66 * r, 0.62 * r], [-0.35 * r, 0.8 * r]], "#7d8993");
  shape(context, [[-0.55 * r, -0.62 * r], [0.2 * r, -0.85 * r], [0.32 * r, -0.1 * r], [-0.3 * r, 0.1 * r]], "#a3afb8");
}

/** Logs in a ring of stones; the flame moves, and is no sprite. @type {Look["draw"]} */
function drawCampfire(context, radius) {
  for (let stone = 0; stone < 9; stone += 1) {
    const angle = (stone / 9) * 2 * Math.PI;
    disc(context, Math.cos(angle) * radius * 0.85, Math.sin(angle) * radius * 0.85, radius * 0.2, "#66717a");
    context.stroke();
  }
  context.strokeStyle = "#5b4128";
  context.lineWidth = Math.max(2, radius * 0.2);
  context.lineCap = "round";
  for (const angle of [0.4, 1.5, 2.6]) {
    context.beginPath();
    context.moveTo(Math.cos(angle) * radius * 0.5, Math.sin(angle) * radius * 0.5);
    context.lineTo(-Math.cos(angle) * radius * 0.5, -Math.sin(angle) * radius * 0.5);
    context.stroke();
  }
}

/** A roof. @type {Look["draw"]} */
function drawHut(context, radius) {
  const w = radius * 0.95;
  const h = radius * 0.78;
  shape(context, [[-w, -h], [w, -h], [w, 0], [-w, 0]], "#8a5f3a");
  shape(context, [[-w, 0], [w, 0], [w, h], [-w, h]], "#6f4a2c");
  context.lineWidth = Math.max(1, radius * 0.04);
  context.strokeStyle = "rgba(6, 10, 13, 0.4)";
  for (const share of [-0.6, -0.2, 0.2, 0.6]) {
    context.beginPath();
    context.moveTo(w * share, -h);
    context.lineTo(w * share, h);
    context.stroke();
  }
  context.lineWidth = Math.max(2, radius * 0.1);
  context.strokeStyle = "#b98a58";
  context.beginPath();
  context.moveTo(-w, 0);
  context.lineTo(w, 0);
  context.stroke();
}

/** @type {Look["draw"]} */
function drawPouch(context, radius) {
  disc(context, 0, radius * 0.12, radius * 0.75, "#a5773f");
  context.stroke();
  shape(context, [[-radius * 0.3, -radius * 0.5], [radius * 0.3, -radius * 0.5], [radius * 0.16, -radius * 0.95], [-radius * 0.16, -radius * 0.95]], ACCENT);
}

/** @param {CanvasRenderingContext2D} context @param {number} sx @param {number} sy @param {number} radius @param {number} now */
function drawFlame(context, sx, sy, radius, now) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const size = radius * (0.5 + (still ? 0 : 0.07 * Math.sin(now * 9 + sx)));
  const light = context.createRadialGradient(sx, sy, 0, sx, sy, radius * 4);
  light.addColorStop(0, "rgba(243, 160, 70, 0.4)");
  light.addColorStop(1, "rgba(243, 160, 70, 0)");
  context.fillStyle = light;
  context.beginPath();
  context.arc(sx, sy, radius * 4, 0, 2 * Math.PI);
  context.fill();
  for (const [share, colour] of /** @type {[number, string][]} */ ([[1, "#e8702a"], [0.66, ACCENT], [0.32, "#fff0c2"]])) {
    context.fillStyle = colour;
    context.beginPath();
    context.arc(sx, sy, size * share, 0, 2 * Math.PI);
    context.fill();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} sx @param {number} sy @param {number} radius */
function drawRing(context, sx, sy, radius) {
  context.strokeStyle = ACCENT;
  context.lineWidth = 2;
  context.setLineDash([7, 6]);
  context.beginPath();
  context.arc(sx, sy, radius * 1.2 + 3, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} context @param {string} name @param {number} sx @param {number} bottom */
function drawName(context, name, sx, bottom) {
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = "rgba(7, 11, 14, 0.88)";
  context.strokeText(name, sx, bottom);
  context.fillStyle = "#cdbfa4";
  context.fillText(name, sx, bottom);
}
