/** Who is near, the nearest first. Also what a screen reader knows of the canvas. */

import { byId, setText } from "./dom.js";
import { button, element } from "./keyed_list.js";
import { colourOf } from "./palette.js";
import { LINK_DEAD } from "./words.js";

const MOST_SHOWN = 20;

/** @typedef {{item: HTMLLIElement, dot: HTMLElement, name: HTMLElement, status: HTMLElement, arrow: HTMLElement, distance: HTMLElement}} Row */

export class Roster {
  list = byId("roster", HTMLOListElement);
  more = byId("roster-more", HTMLElement);
  counts = [byId("near-count", HTMLElement), byId("dock-near", HTMLElement)];
  /** @type {Row[]} */
  #rows = [];

  /** @param {(anchor: HTMLElement, person: {userId: string, name: string}) => void} choose a name was chosen */
  constructor(choose) {
    this.choose = choose;
  }

  /**
   * @param {{x: number, z: number}} me
   * @param {import("../rayrealm/client.js").SeenEntity[]} others
   * @param {(name: string) => string} statusOf how somebody is, "" where it is not known
   * @returns {{name: string}[]} the nearest first
   */
  show(me, others, statusOf) {
    const near = others
      .map((other) => ({
        other,
        distance: Math.hypot(other.pose.x - me.x, other.pose.z - me.z),
        bearing: Math.atan2(other.pose.x - me.x, other.pose.z - me.z),
      }))
      .sort((a, b) => a.distance - b.distance);
    const shown = near.slice(0, MOST_SHOWN);
    while (this.#rows.length < shown.length) this.#rows.push(this.#addRow());
    this.#rows.forEach((row, index) => {
      const entry = shown[index];
      row.item.hidden = !entry;
      if (!entry) return;
      setText(row.name, entry.other.name || entry.other.entityId);
      row.dot.dataset.status = statusOf(entry.other.name);
      row.item.classList.toggle("link-dead", entry.other.linkDead);
      setText(row.status, entry.other.linkDead ? LINK_DEAD : "");
      setText(row.distance, `${Math.round(entry.distance)} m`);
      row.arrow.style.transform = `rotate(${entry.bearing}rad)`;
      row.arrow.style.color = colourOf(entry.other);
    });
    for (const count of this.counts) setText(count, String(near.length));
    setText(this.more, near.length > MOST_SHOWN ? `and ${near.length - MOST_SHOWN} more` : near.length === 0 ? "Nobody in sight." : "");
    return shown.map(({ other }) => other);
  }

  /** @returns {Row} */
  #addRow() {
    const item = document.createElement("li");
    const arrow = document.createElement("span");
    arrow.className = "arrow";
    arrow.setAttribute("aria-hidden", "true");
    const dot = element("span", "presence");
    dot.setAttribute("aria-hidden", "true");
    const name = button("", "name", () => this.choose(name, { userId: "", name: name.textContent ?? "" }));
    const status = document.createElement("span");
    status.className = "status";
    const distance = document.createElement("span");
    distance.className = "distance";
    item.append(arrow, dot, name, status, distance);
    this.list.append(item);
    return { item, dot, name, status, arrow, distance };
  }
}
