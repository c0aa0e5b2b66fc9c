/** The player's own status: what the realm says it is, and a form to choose another one. */

import { byId, setText } from "./dom.js";
import { placeBeside } from "./floating.js";
import { STATUS } from "./people_words.js";
import { inWords } from "./words.js";

export class StatusMenu {
  opener = byId("own-status", HTMLButtonElement);
  menu = byId("status-menu", HTMLFormElement);
  text = byId("status-text", HTMLInputElement);
  problem = byId("status-problem", HTMLElement);
  /** What was chosen; `shown` is what others make of it, as away when nothing was done for a while. */
  #own = { status: "online", text: "" };

  /** @param {(changes: {status?: string, text?: string}) => Promise<unknown>} update */
  constructor(update) {
    this.update = update;
    this.opener.addEventListener("click", () => this.#open());
    this.menu.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#choose();
    });
    this.menu.addEventListener("change", (event) => {
      if (event.target !== this.text) void this.#choose(true);
    });
    this.menu.addEventListener("toggle", (event) => {
      const open = /** @type {ToggleEvent} */ (event).newState === "open";
      this.opener.setAttribute("aria-expanded", String(open));
    });
    this.show({ status: "online", text: "" });
  }

  /** @param {{status: string, text?: string}} own */
  show({ status, text = "" }) {
    this.#own = { status, text };
    /** @type {HTMLElement} */ (this.opener.querySelector(".presence")).dataset.status = status;
    setText(/** @type {HTMLElement} */ (this.opener.querySelector(".words")), text || STATUS[status] || status);
    this.opener.setAttribute("aria-label", `Your status: ${STATUS[status] ?? status}${text ? `, ${text}` : ""}`);
  }

  #open() {
    const chosen = this.menu.querySelector(`input[value="${this.#own.status}"]`);
    if (chosen instanceof HTMLInputElement) chosen.checked = true;
    this.text.value = this.#own.text;
    this.problem.textContent = "";
    this.menu.showPopover();
    placeBeside(this.menu, this.opener);
    if (chosen instanceof HTMLInputElement) chosen.focus();
  }

  /** @param {boolean} [stay] open */
  async #choose(stay = false) {
    const checked = this.menu.querySelector("input:checked");
    const status = checked instanceof HTMLInputElement ? checked.value : this.#own.status;
    const text = this.text.value.trim();
    /** @type {{status?: string, text?: string}} */
    const changes = {}; // and nothing else: who is away by itself is not to stay so
    if (status !== this.#own.status) changes.status = status;
    if (text !== this.#own.text) changes.text = text;
    try {
      if (Object.keys(changes).length > 0) await this.update(changes);
      this.show({ status, text });
      this.problem.textContent = "";
      if (!stay) {
        this.menu.hidePopover();
        this.opener.blur(); // back to walking
      }
    } catch (error) {
      this.problem.textContent = inWords(error);
    }
  }
}
