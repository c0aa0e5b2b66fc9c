/** Which part of the ground is on the canvas. North, +z, is up; east, +x, is right. Sizes are CSS pixels. */

const NEAREST = 36;
const FARTHEST = 5;

export class Camera {
  x = 0;
  z = 0;
  width = 1;
  height = 1;
  /** Pixels per metre. */
  scale = 15;
  #wanted = 15;

  /** @param {number} width @param {number} height */
  resize(width, height) {
    if (this.width === 1) {
      // About 40 m across the shorter side: faces and names stay legible; the map and the roster show the rest.
      this.#wanted = Math.min(22, Math.max(13, Math.min(width, height) / 40));
      this.scale = this.#wanted;
    }
    this.width = width;
    this.height = height;
  }

  /** @param {number} factor above 1 comes nearer */
  zoom(factor) {
    this.#wanted = Math.min(NEAREST, Math.max(FARTHEST, this.#wanted * factor));
  }

  /** Lets the zoom glide. @param {number} elapsed seconds */
  settle(elapsed) {
    this.scale += (this.#wanted - this.scale) * (1 - Math.exp(-elapsed * 10));
  }

  /** @param {number} x metres */
  screenX(x) {
    return this.width / 2 + (x - this.x) * this.scale;
  }

  /** @param {number} z metres */
  screenY(z) {
    return this.height / 2 - (z - this.z) * this.scale;
  }

  /** The part of the ground that is visible, metres. */
  get visible() {
    const halfX = this.width / 2 / this.scale;
    const halfZ = this.height / 2 / this.scale;
    return { min_x: this.x - halfX, max_x: this.x + halfX, min_z: this.z - halfZ, max_z: this.z + halfZ };
  }
}
