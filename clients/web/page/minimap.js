/** The land as a whole in a corner: its zones, what the canvas shows, everyone who is seen. */

import { colourOf, COMPANION, groundOf, ME } from "./palette.js";

export class Minimap {
  /** Members of the party, also those whom the player cannot see. @type {{x: number, z: number}[]} */
  companions = [];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /**
   * @param {import("../rayrealm/client.js").World} world
   * @param {import("../rayrealm/client.js").ZoneInfo[]} zones of the land
   * @param {{x: number, z: number, yaw: number}} me
   * @param {import("../rayrealm/client.js").SeenEntity[]} others
   * @param {import("../rayrealm/prediction.js").Bounds} visible
   */
  draw(world, zones, me, others, visible) {
    const size = this.canvas.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(size * ratio)) {
      this.canvas.width = this.canvas.height = Math.round(size * ratio);
    }
    const { context } = this;
    const bounds = world.land;
    const margin = 9;
    const scale = (size - 2 * margin) / Math.max(bounds.max_x - bounds.min_x, bounds.max_z - bounds.min_z);
    const middleX = (bounds.min_x + bounds.max_x) / 2;
    const middleZ = (bounds.min_z + bounds.max_z) / 2;
    const mapX = (/** @type {number} */ x) => size / 2 + (x - middleX) * scale;
    const mapY = (/** @type {number} */ z) => size / 2 - (z - middleZ) * scale;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size, size);
    const theme = groundOf(`${world.zone} ${world.zoneName}`);
    const width = (bounds.max_x - bounds.min_x) * scale;
    const height = (bounds.max_z - bounds.min_z) * scale;
    context.fillStyle = theme.ground;
    context.fillRect(mapX(bounds.min_x), mapY(bounds.max_z), width, height);
    for (const zone of zones) {
      const { min_x: minX, min_z: minZ, max_x: maxX, max_z: maxZ } = zone.bounds;
      const outline = /** @type {const} */ ([mapX(minX), mapY(maxZ), (maxX - minX) * scale, (maxZ - minZ) * scale]);
      context.fillStyle = groundOf(`${zone.zone} ${zone.name}`).ground;
      context.fillRect(...outline);
      context.strokeStyle = "rgba(220, 232, 226, 0.22)";
      context.lineWidth = 1;
      context.strokeRect(...outline);
    }
    context.strokeStyle = theme.wallTop;
    context.lineWidth = 1.5;
    context.strokeRect(mapX(bounds.min_x), mapY(bounds.max_z), width, height);

    context.save();
    context.beginPath();
    context.rect(mapX(bounds.min_x), mapY(bounds.max_z), width, height);
    context.clip();
    context.strokeStyle = "rgba(230, 240, 245, 0.3)";
    context.lineWidth = 1;
    context.strokeRect(mapX(visible.min_x), mapY(visible.max_z), (visible.max_x - visible.min_x) * scale, (visible.max_z - visible.min_z) * scale);
    for (const other of others) {
      context.fillStyle = colourOf(other);
      context.fillRect(mapX(other.pose.x) - 1.5, mapY(other.pose.z) - 1.5, 3, 3);
    }
    for (const { x, z } of this.companions) {
      context.beginPath();
      context.arc(mapX(x), mapY(z), 4, 0, 2 * Math.PI);
      context.fillStyle = COMPANION;
      context.fill();
      context.strokeStyle = "#0b1014";
      context.lineWidth = 1.5;
      context.stroke();
    }
    context.restore();

    context.save();
    context.translate(mapX(me.x), mapY(me.z));
    context.rotate(me.yaw);
    context.fillStyle = ME;
    context.beginPath();
    context.moveTo(0, -6);
    context.lineTo(4, 4);
    context.lineTo(0, 2);
    context.lineTo(-4, 4);
    context.closePath();
    context.fill();
    context.restore();
  }
}
