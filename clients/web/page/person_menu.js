/**
 * What one can do about somebody, beside the name that was chosen.
 *
 * @typedef {{userId: string, name: string}} Person userId: empty where it is not known
 * @typedef {{words: string, run: () => Promise<unknown> | void}} Deed
 */

import { byId } from "./dom.js";
import { placeBeside } from "./floating.js";
import { button, element } from "./keyed_list.js";

export class PersonMenu {
  menu = byId("person-menu", HTMLElement);
  /** @type {HTMLElement | null} */
  #anchor = null;

  /**
   * @param {object} options
   * @param {(person: Person) => Deed[]} options.deeds
   * @param {(error: unknown) => void} options.trouble
   */
  constructor({ deeds, trouble }) {
    this.deeds = deeds;
    this.trouble = trouble;
    this.menu.addEventListener("keydown", (event) => {
      const items = /** @type {HTMLElement[]} */ ([...this.menu.querySelectorAll("button")]);
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (step === 0) return;
      event.preventDefault();
      event.stopPropagation();
      const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      items[(at + step + items.length) % items.length]?.focus();
    });
  }

  /** @param {HTMLElement} anchor @param {Person} person */
  open(anchor, person) {
    this.#anchor = anchor;
    const items = this.deeds(person).map(({ words, run }) => {
      const item = button(words, "", () => void this.#do(run));
      item.setAttribute("role", "menuitem");
      return item;
    });
    this.menu.setAttribute("aria-label", person.name);
    this.menu.replaceChildren(element("b", "", person.name), ...items);
    this.menu.showPopover();
    placeBeside(this.menu, anchor);
    items[0]?.focus();
  }

  /** @param {Deed["run"]} run */
  async #do(run) {
    this.menu.hidePopover();
    this.#anchor?.blur(); // back to walking
    try {
      await run();
    } catch (error) {
      this.trouble(error);
    }
  }
}
