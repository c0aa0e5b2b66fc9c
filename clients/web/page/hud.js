/** The figures in the corner: zone, position, latency, frames per second, state of the connection. */

import { byId, setText } from "./dom.js";

const FRAME_WINDOW_S = 0.5;

export class Hud {
  zoneName = byId("zone-name", HTMLElement);
  position = byId("position", HTMLElement);
  connection = byId("connection", HTMLElement);
  latency = byId("latency", HTMLElement);
  fps = byId("fps", HTMLElement);
  #frames = 0;
  #windowAt = 0;
  /** Frames drawn in the last second. */
  framesPerSecond = 0;

  /** @param {string} words */
  showConnection(words) {
    setText(this.connection, words);
  }

  /** Call once per frame. @param {number} now seconds */
  countFrame(now) {
    this.#frames += 1;
    const elapsed = now - this.#windowAt;
    if (elapsed < FRAME_WINDOW_S) return;
    this.framesPerSecond = Math.round(this.#frames / elapsed);
    this.#frames = 0;
    this.#windowAt = now;
  }

  /**
   * @param {object} facts
   * @param {string} facts.zone
   * @param {{x: number, z: number}} facts.me metres
   * @param {number | null} facts.latencyS seconds
   */
  show({ zone, me, latencyS }) {
    setText(this.zoneName, zone);
    setText(this.position, `x ${me.x.toFixed(1)}   z ${me.z.toFixed(1)}`);
    setText(this.latency, latencyS === null ? "– ms" : `${Math.max(1, Math.round(latencyS * 1000))} ms`);
    setText(this.fps, `${this.framesPerSecond} fps`);
  }
}
