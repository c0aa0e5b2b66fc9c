/** Who is called what: names are unique in a realm, and ids are what the realm wants. Learned on the way. */

const MOST = 2_000;

export class Folk {
  /** @type {Map<string, string>} */
  #names = new Map();
  /** @type {Map<string, string>} */
  #ids = new Map();

  /** @param {string} userId @param {string} name */
  note(userId, name) {
    if (!userId || !name) return;
    if (this.#names.size >= MOST) this.clear();
    this.#names.set(userId, name);
    this.#ids.set(name, userId);
  }

  /** @param {string} userId */
  nameOf(userId) {
    return this.#names.get(userId) ?? "";
  }

  /** @param {string} name */
  idOf(name) {
    return this.#ids.get(name) ?? "";
  }

  /** The longest name that a text begins with, whatever its case, and what follows it. @param {string} text */
  split(text) {
    const lower = text.toLowerCase();
    const found = [...this.#ids.keys()]
      .filter((name) => lower.startsWith(`${name.toLowerCase()} `) || lower === name.toLowerCase())
      .sort((a, b) => b.length - a.length)[0];
    return found ? { name: found, rest: text.slice(found.length).trim() } : null;
  }

  clear() {
    this.#names.clear();
    this.#ids.clear();
  }
}
