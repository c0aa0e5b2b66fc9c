/** The chat: what was said, and a line to say something. All text goes through textContent. */

import { byId, setText } from "./dom.js";
import { inWords } from "./words.js";

const MOST_LINES = 100;
/** How long words stand over a head, seconds. */
const SPEECH_S = 6;

export class ChatBox {
  log = byId("chat-log", HTMLOListElement);
  form = byId("chat-form", HTMLFormElement);
  input = byId("chat-text", HTMLInputElement);
  channel = byId("chat-channel", HTMLSelectElement);
  unreadCount = byId("dock-chat", HTMLElement);
  #unread = 0;
  /** What stands over whose head. @type {Map<string, {text: string, until: number}>} */
  speech = new Map();

  /**
   * @param {object} options
   * @param {(channel: string, text: string) => Promise<void>} options.say channel: `zone` or `global`
   * @param {() => boolean} options.isVisible
   */
  constructor({ say, isVisible }) {
    this.say = say;
    this.isVisible = isVisible;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.input.blur();
    });
  }

  focus() {
    this.input.focus();
    this.markRead();
  }

  clear() {
    this.log.replaceChildren();
    this.speech.clear();
    this.markRead();
  }

  markRead() {
    this.#unread = 0;
    this.#showUnread();
  }

  /**
   * @param {Record<string, any>} message params of `chat.message`
   * @param {number} now seconds
   */
  receive(message, now) {
    const zone = String(message.channel).startsWith("zone:");
    const line = document.createElement("li");
    line.className = zone ? "zone" : "global";
    const name = document.createElement("b");
    name.textContent = String(message.name);
    const text = document.createElement("span");
    text.textContent = String(message.text);
    line.append(name, text);
    this.#add(line);
    if (zone) this.speech.set(String(message.name), { text: String(message.text), until: now + SPEECH_S });
    if (!this.isVisible()) {
      this.#unread += 1;
      this.#showUnread();
    }
  }

  /** A line that nobody said. @param {string} text */
  tell(text) {
    const line = document.createElement("li");
    line.className = "notice";
    line.textContent = text;
    this.#add(line);
  }

  /** @param {number} now seconds */
  forgetSpeech(now) {
    for (const [name, { until }] of this.speech) if (until <= now) this.speech.delete(name);
  }

  async #send() {
    const text = this.input.value.trim();
    if (text === "") {
      this.input.blur();
      return;
    }
    this.input.value = "";
    try {
      await this.say(this.channel.value, text);
    } catch (error) {
      if (this.input.value === "") this.input.value = text;
      this.tell(`Not sent: ${inWords(error)}`);
    }
  }

  /** @param {HTMLLIElement} line */
  #add(line) {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    this.log.append(line);
    while (this.log.childElementCount > MOST_LINES) this.log.firstElementChild?.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #showUnread() {
    this.unreadCount.hidden = this.#unread === 0;
    setText(this.unreadCount, String(this.#unread));
  }
}
