/** Rows of a list that stay who they are while they change: what has the keyboard's focus keeps it. */

/** @template T, R */
export class KeyedList {
  /** @type {Map<string, {item: HTMLLIElement, parts: R}>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} list
   * @param {object} of
   * @param {(thing: T) => string} of.key
   * @param {(item: HTMLLIElement, thing: () => T) => R} of.make fills a new row; `thing` is what the row shows by then
   * @param {(parts: R, thing: T, item: HTMLLIElement) => void} of.update
   */
  constructor(list, { key, make, update }) {
    this.list = list;
    this.key = key;
    this.make = make;
    this.update = update;
    /** @type {Map<string, T>} */
    this.things = new Map();
  }

  /** @param {T[]} things in the order in which they are shown */
  show(things) {
    this.things = new Map(things.map((thing) => [this.key(thing), thing]));
    for (const [key, { item }] of this.#rows) {
      if (this.things.has(key)) continue;
      item.remove();
      this.#rows.delete(key);
    }
    /** @type {Element | null} */
    let before = null;
    for (const [key, thing] of this.things) {
      let row = this.#rows.get(key);
      if (!row) {
        const item = document.createElement("li");
        row = { item, parts: this.make(item, () => /** @type {T} */ (this.things.get(key))) };
        this.#rows.set(key, row);
      }
      const place = /** @type {Element | null} */ (before ? before.nextElementSibling : this.list.firstElementChild);
      if (place !== row.item) this.list.insertBefore(row.item, place);
      this.update(row.parts, thing, row.item);
      before = row.item;
    }
  }
}

/** @param {string} tag @param {string} className @param {string} [text] */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** @param {string} text @param {string} className @param {() => void} action */
export function button(text, className, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = text;
  made.addEventListener("click", action);
  return made;
}
