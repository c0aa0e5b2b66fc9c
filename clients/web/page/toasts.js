/** News that come and go: a line each, with a button or two where there is something to decide. */

import { byId } from "./dom.js";
import { button, element } from "./keyed_list.js";

const SECONDS = 5;
/** With buttons. */
const DECIDE_S = 20;
const MOST = 3;

export class Toasts {
  list = byId("toasts", HTMLOListElement);

  /** @param {import("../rayrealm/clock.js").Clock} clock */
  constructor(clock) {
    this.clock = clock;
  }

  /**
   * @param {string} text
   * @param {{words: string, run: () => void}[]} [choices]
   * @param {string} [about] a newer one about the same takes the place of the older one
   */
  show(text, choices = [], about = "") {
    if (about) this.dismiss(about);
    const item = document.createElement("li");
    item.dataset.about = about;
    item.append(element("span", "", text));
    for (const { words, run } of choices) {
      item.append(button(words, "quiet", () => {
        item.remove();
        run();
      }));
    }
    this.list.append(item);
    while (this.list.childElementCount > MOST) this.list.firstElementChild?.remove();
    this.clock.after(choices.length > 0 ? DECIDE_S : SECONDS, () => item.remove());
  }

  /** What it was about has been decided. @param {string} about */
  dismiss(about) {
    for (const item of [...this.list.children]) if (item instanceof HTMLElement && item.dataset.about === about) item.remove();
  }

  clear() {
    this.list.replaceChildren();
  }
}
