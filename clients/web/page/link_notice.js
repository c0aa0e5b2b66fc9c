/** Tells how the connection is: a banner while it comes back, a dialog when it will not by itself. */

import { MAINTENANCE } from "../rayrealm/connection.js";
import { byId, setText } from "./dom.js";
import { backWords } from "./words.js";

/** How long the page says that the connection is back, seconds. */
const BACK_S = 3;

/** @type {Record<number, [string, string]>} close code: title and text */
const ENDED = {
  1000: ["The realm closed the connection", "You can connect again when you like."],
  4500: ["You are playing in another window", "Only one window can hold a session, and another one has taken it."],
  4502: ["The realm hung up on this page", "It sent too much that the realm could not understand. Reload the page."],
  4503: ["You were removed from the realm", "An operator did that, or the realm itself because of what was sent. You cannot come back at the moment."],
  4504: ["That was too much for the realm", "Far more was sent from here than it takes. Wait a little before you connect again. If it happens again, load the page anew."],
  4505: ["A message could not be trusted", "On the way between this page and the realm it was changed, or came twice. Connect again. If it happens again, use another network."],
};
/** @type {[string, string]} */
const BARRED = ["You cannot enter from here", "The realm takes nobody from your network at the moment. Try again later, or from another network."];

export class LinkNotice {
  notice = byId("notice", HTMLElement);
  text = byId("notice-text", HTMLElement);
  action = byId("notice-action", HTMLButtonElement);
  ended = byId("ended", HTMLDialogElement);
  title = byId("ended-title", HTMLElement);
  reason = byId("ended-text", HTMLElement);
  again = byId("ended-again", HTMLButtonElement);
  logout = byId("ended-logout", HTMLButtonElement);
  /** Whether a loss was told, so that its end is news. */
  #lost = false;
  #back = { words: "", until: -Infinity };

  /**
   * @param {object} options
   * @param {() => void} options.reconnect
   * @param {() => void} options.logout
   */
  constructor({ reconnect, logout }) {
    this.action.addEventListener("click", reconnect);
    this.again.addEventListener("click", () => {
      this.ended.close();
      reconnect();
    });
    this.logout.addEventListener("click", () => {
      this.ended.close();
      logout();
    });
    this.ended.addEventListener("cancel", (event) => event.preventDefault());
  }

  /**
   * @param {import("../rayrealm/connection.js").ConnectionState} state
   * @param {number} now seconds
   * @param {boolean} wasReady whether there was a connection before, so that its loss is news
   */
  show(state, now, wasReady) {
    const trouble = wasReady ? wordsFor(state, now) : "";
    const back = this.#wordsBack(state, now, trouble !== "");
    const words = trouble || back;
    const visible = words !== "";
    this.notice.hidden = !visible;
    this.notice.dataset.kind = trouble ? "lost" : "back";
    if (visible) setText(this.text, words);
    this.action.hidden = state.name !== "waiting" && state.name !== "asleep";
    setText(this.action, state.name === "asleep" ? "Come back" : "Try now");
    if (state.name === "ended" && !this.ended.open) this.#showEnded(state);
    if (state.name !== "ended" && this.ended.open) this.ended.close();
  }

  /** @param {import("../rayrealm/connection.js").ConnectionState} state @param {number} now @param {boolean} trouble */
  #wordsBack(state, now, trouble) {
    if (state.name === "ready") {
      if (this.#lost) this.#back = { words: backWords(state.recovered === true), until: now + BACK_S };
      this.#lost = false;
      return now < this.#back.until ? this.#back.words : "";
    }
    this.#lost = trouble || (this.#lost && state.name !== "off");
    this.#back.until = -Infinity;
    return "";
  }

  /** @param {import("../rayrealm/connection.js").ConnectionState} state */
  #showEnded(state) {
    const [title, text] = state.why === "address_banned" ? BARRED : ENDED[state.code ?? 0] ?? ["The connection has ended", `The realm said: ${state.why || "nothing"}.`];
    this.title.textContent = title;
    this.reason.textContent = text;
    this.again.textContent = state.code === 4500 ? "Play here instead" : "Connect again";
    this.again.hidden = state.code === 4503;
    this.ended.showModal();
  }
}

/**
 * @param {import("../rayrealm/connection.js").ConnectionState} state
 * @param {number} now seconds
 */
export function wordsFor(state, now) {
  if (state.moving) return ""; // to another gateway, in a moment
  if (state.why === MAINTENANCE && (state.name === "waiting" || state.name === "connecting")) {
    return "The realm is closed for maintenance. You are back as soon as it opens.";
  }
  switch (state.name) {
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((state.retryAt ?? now) - now));
      return `Connection lost. Trying again ${seconds === 0 ? "now" : `in ${seconds} s`}.`;
    }
    case "connecting":
      return "Connection lost. Trying again now.";
    case "asleep":
      return "You were away for a while. Press a key to come back.";
    default:
      return "";
  }
}

/**
 * A few words for the corner.
 * @param {import("../rayrealm/connection.js").ConnectionState} state
 * @param {number} now seconds
 */
export function shortWordsFor(state, now) {
  if (state.moving) return "connected";
  switch (state.name) {
    case "ready":
      return "connected";
    case "connecting":
      return "connecting";
    case "waiting":
      return `reconnecting in ${Math.max(0, Math.ceil((state.retryAt ?? now) - now))} s`;
    case "asleep":
      return "asleep";
    default:
      return "offline";
  }
}
