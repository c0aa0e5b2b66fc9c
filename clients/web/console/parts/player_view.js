/** What a player sees now, on a canvas and as a list. Nothing here can do anything: it asks `sessions.view` once a second. */

import { words } from "../app/api.js";
import { button, h, put, setText } from "../app/dom.js";
import { colour } from "../app/theme.js";
import { facts } from "./words.js";

const AGAIN_MS = 1_000;
const MOST_LISTED = 200;
const MARGIN_PX = 14;
const LABELLED = 40; // entities whose names are drawn

export class PlayerView {
  #timer = 0;
  #closed = false;
  /** @type {any} */
  #seen = null;

  /** @param {import("../app/shell.js").App} app @param {string} session @param {() => void} onclose */
  constructor(app, session, onclose) {
    this.app = app;
    this.session = session;
    this.onclose = onclose;
    this.canvas = h("canvas", { role: "img", "aria-label": "What the player sees, from above" });
    this.said = h("p", { class: "muted", role: "status" }, "Looking…");
    this.people = h("div", { class: "seen-list", tabindex: 0, role: "region", "aria-label": "Who and what the player sees" });
    this.rest = h("div", {});
    this.root = h("section", { class: "panel player-view", "aria-label": "View as player" },
      h("header", {}, h("h2", {}, "View as player"), button("Close", () => this.close(), { class: "quiet" })),
      h("p", { class: "notice read-only" }, h("b", {}, "Read-only. "), "Nothing here reaches the realm or the player. The audit log says that you look."),
      h("div", { class: "seen" }, this.canvas, h("div", { class: "seen-side" }, this.said, this.people, this.rest)));
    this.sizing = new ResizeObserver(() => this.#draw());
    this.sizing.observe(this.canvas);
    this.themed = () => this.#draw();
    addEventListener("themed", this.themed);
    void this.#look();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.sizing.disconnect();
    removeEventListener("themed", this.themed);
    this.onclose();
  }

  async #look() {
    try {
      if (!document.hidden) this.#seen = await this.app.look("sessions.view", { session: this.session });
      if (this.#closed) return;
      if (this.#seen) this.#tell();
    } catch (error) {
      if (this.#closed) return;
      setText(this.said, words(error));
    }
    this.#timer = setTimeout(() => void this.#look(), AGAIN_MS);
  }

  #tell() {
    const { entities, number, zone, place, radius, party, friends_online: friends, channels } = this.#seen;
    const where = place ? `${zone || "Between zones"}, at ${place.x.toFixed(1)}, ${place.z.toFixed(1)}; sees ${Math.round(radius)} m far` : "Not in the world";
    setText(this.said, `${where}. ${this.app.format.time(this.app.now())}`);
    const others = entities.filter((/** @type {any} */ each) => each.number !== number).map((/** @type {any} */ each) => ({ ...each, away: place ? Math.hypot(each.x - place.x, each.z - place.z) : 0 }))
      .sort((/** @type {any} */ a, /** @type {any} */ b) => a.away - b.away).slice(0, MOST_LISTED);
    const rows = others.length === 0 ? h("p", { class: "empty-line" }, "Nobody and nothing else is near.") : h("ul", {}, others.map((/** @type {any} */ each) => h("li", {},
      h("span", { class: "name" }, each.name || each.type), h("span", { class: "muted" }, each.type), h("span", { class: "number" }, `${each.away.toFixed(1)} m`))));
    if (!this.people.firstElementChild?.isEqualNode(rows)) put(this.people, rows);
    const members = party ? (party.members ?? party).map((/** @type {any} */ each) => each.name).join(", ") : "None";
    put(this.rest, facts([
      ["Party", members],
      ["Friends", friends.map((/** @type {any} */ each) => each.name || each.user).join(", ") || "None online"],
      ["Channels", channels.join(", ") || "None"],
    ]));
    this.#draw();
  }

  #draw() {
    const { canvas } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = devicePixelRatio || 1;
    if (width === 0) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = colour("--raised");
    context.fillRect(0, 0, width, height);
    if (!this.#seen?.place) return;
    const { entities, place, radius, number } = this.#seen;
    const reach = Math.max(radius, ...entities.map((/** @type {any} */ each) => Math.hypot(each.x - place.x, each.z - place.z)), 1);
    const scale = (Math.min(width, height) / 2 - MARGIN_PX) / reach;
    const x = (/** @type {number} */ east) => width / 2 + (east - place.x) * scale;
    const y = (/** @type {number} */ north) => height / 2 - (north - place.z) * scale;
    context.beginPath();
    context.arc(width / 2, height / 2, radius * scale, 0, 2 * Math.PI);
    context.fillStyle = colour("--surface");
    context.fill();
    context.strokeStyle = colour("--line-strong");
    context.lineWidth = 1;
    context.stroke();
    context.font = "12px system-ui, sans-serif";
    entities.forEach((/** @type {any} */ each, /** @type {number} */ index) => {
      if (each.number === number) return;
      const isPlayer = (each.kind ?? each.type) === "player";
      context.fillStyle = colour(isPlayer ? "--chart-1" : "--muted");
      context.beginPath();
      if (isPlayer) arrow(context, x(each.x), y(each.z), each.yaw, 5);
      else context.rect(x(each.x) - 2.5, y(each.z) - 2.5, 5, 5);
      context.fill();
      if (!isPlayer || index > LABELLED) return;
      context.fillStyle = colour("--text");
      const name = String(each.name).slice(0, 20);
      const at = Math.min(width - context.measureText(name).width - 4, x(each.x) + 8);
      context.fillText(name, at, y(each.z) + 4);
    });
    const me = entities.find((/** @type {any} */ each) => each.number === number);
    context.beginPath();
    arrow(context, width / 2, height / 2, me?.yaw ?? place.yaw ?? 0, 8);
    context.fillStyle = colour("--accent");
    context.fill();
  }
}

/** Points to where it looks: yaw 0 is north, clockwise. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} yaw @param {number} size */
function arrow(context, x, y, yaw, size) {
  const turn = (/** @type {number} */ right, /** @type {number} */ up) =>
    /** @type {const} */ ([x + right * Math.cos(yaw) + up * Math.sin(yaw), y + right * Math.sin(yaw) - up * Math.cos(yaw)]);
  context.moveTo(...turn(0, size));
  context.lineTo(...turn(size * 0.7, -size * 0.7));
  context.lineTo(...turn(0, -size * 0.3));
  context.lineTo(...turn(-size * 0.7, -size * 0.7));
  context.closePath();
}
