/** A stick for a thumb: its offset from the middle is the direction and the pace. */

/** Share of the radius that counts as the middle. */
const DEAD = 0.18;

export class Joystick {
  /** @type {import("../rayrealm/prediction.js").Steering} */
  steering = { x: 0, z: 0 };
  /** @type {number | null} */
  #pointer = null;

  /** @param {HTMLElement} base its first child is the stick */
  constructor(base) {
    this.base = base;
    this.stick = /** @type {HTMLElement} */ (base.firstElementChild);
    base.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#pointer = event.pointerId;
      base.setPointerCapture(event.pointerId);
      this.#follow(event);
    });
    base.addEventListener("pointermove", (event) => {
      if (event.pointerId === this.#pointer) this.#follow(event);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      base.addEventListener(end, () => this.release());
    }
  }

  release() {
    this.#pointer = null;
    this.steering = { x: 0, z: 0 };
    this.stick.style.transform = "";
  }

  /** @param {PointerEvent} event */
  #follow(event) {
    const box = this.base.getBoundingClientRect();
    const radius = box.width / 2;
    let x = (event.clientX - box.left - radius) / radius;
    let y = (event.clientY - box.top - radius) / radius;
    const length = Math.hypot(x, y);
    if (length > 1) {
      x /= length;
      y /= length;
    }
    this.stick.style.transform = `translate(${x * radius * 0.6}px, ${y * radius * 0.6}px)`;
    const pace = Math.min(1, Math.max(0, (length - DEAD) / (1 - DEAD)));
    const share = length === 0 ? 0 : pace / Math.min(1, length);
    this.steering = { x: x * share, z: -y * share };
  }
}
