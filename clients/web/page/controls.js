/** Keyboard, wheel and joystick, as a direction to walk and a few actions. */

import { Joystick } from "./joystick.js";

/** Physical keys, so that WASD lies where it should on every layout. @type {Record<string, [number, number]>} */
const DIRECTIONS = {
  KeyW: [0, 1],
  ArrowUp: [0, 1],
  KeyS: [0, -1],
  ArrowDown: [0, -1],
  KeyA: [-1, 0],
  ArrowLeft: [-1, 0],
  KeyD: [1, 0],
  ArrowRight: [1, 0],
};

const ZOOM_STEP = 1.2;

export class Controls {
  /** @type {Set<string>} */
  #held = new Set();
  #joystick;
  /** Keys count only in the world. */
  active = false;
  /** A game's own, by physical key. @type {Map<string, () => void>} */
  actions = new Map();

  /**
   * @param {object} options
   * @param {HTMLElement} options.surface where the wheel zooms
   * @param {HTMLElement} options.joystick
   * @param {(factor: number) => void} options.zoom
   * @param {() => void} options.talk
   * @param {() => void} options.act
   * @param {() => void} options.touched any sign of life
   */
  constructor({ surface, joystick, zoom, talk, act, touched }) {
    this.#joystick = new Joystick(joystick);
    joystick.addEventListener("pointerdown", touched);
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (this.active) zoom(Math.exp(-event.deltaY / 500));
    }, { passive: false });
    window.addEventListener("keydown", (event) => {
      if (!this.active || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      touched();
      if (event.code in DIRECTIONS) {
        this.#held.add(event.code);
        event.preventDefault();
      } else if (this.actions.has(event.code)) {
        if (!event.repeat) this.actions.get(event.code)?.();
        event.preventDefault();
      } else if (event.code === "KeyE" && !event.repeat) {
        act();
      } else if (event.key === "+" || event.key === "=") {
        zoom(ZOOM_STEP);
      } else if (event.key === "-") {
        zoom(1 / ZOOM_STEP);
      } else if ((event.key === "Enter" || event.key === "/") && !isButton(event.target)) {
        event.preventDefault();
        talk();
      }
    });
    window.addEventListener("keyup", (event) => this.#held.delete(event.code));
    window.addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => this.release());
  }

  /** Lets go of everything. */
  release() {
    this.#held.clear();
    this.#joystick.release();
  }

  /** @returns {import("../rayrealm/prediction.js").Steering} length at most 1 */
  get steering() {
    if (!this.active) return { x: 0, z: 0 };
    let { x, z } = this.#joystick.steering;
    for (const code of this.#held) {
      x += DIRECTIONS[code][0];
      z += DIRECTIONS[code][1];
    }
    const length = Math.hypot(x, z);
    return length > 1 ? { x: x / length, z: z / length } : { x, z };
  }
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

/** @param {EventTarget | null} target */
function isButton(target) {
  return target instanceof HTMLButtonElement;
}
