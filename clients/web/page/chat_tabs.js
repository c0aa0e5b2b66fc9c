/** The channels above the chat: which one is shown, and how much is unread in the others. */

import { byId, setText } from "./dom.js";
import { button, element } from "./keyed_list.js";
import { markTab, walkByArrows } from "./tabs.js";

export class ChatTabs {
  list = byId("chat-tabs", HTMLElement);
  /** @type {Map<string, {tab: HTMLButtonElement, title: HTMLElement, count: HTMLElement, close: HTMLButtonElement | null}>} */
  #tabs = new Map();

  /** @param {{select: (key: string) => void, close: (key: string) => void}} options */
  constructor({ select, close }) {
    this.select = select;
    this.close = close;
    walkByArrows(this.list);
  }

  /** @param {import("./conversation.js").Conversation[]} conversations @param {string} active key */
  show(conversations, active) {
    const keys = new Set(conversations.map(({ key }) => key));
    for (const [key, { tab, close }] of this.#tabs) {
      if (keys.has(key)) continue;
      tab.remove();
      close?.remove();
      this.#tabs.delete(key);
    }
    for (const conversation of conversations) {
      const { tab, title, count } = this.#tabs.get(conversation.key) ?? this.#add(conversation);
      const selected = conversation.key === active;
      markTab(tab, selected);
      setText(title, conversation.title);
      count.hidden = conversation.unread === 0;
      setText(count, String(conversation.unread));
      count.classList.toggle("news", conversation.mentioned || conversation.isDirect);
      if (selected) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  /** @param {import("./conversation.js").Conversation} conversation */
  #add({ key, title, isOwn }) {
    const tab = button("", "", () => this.select(key));
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "chat-log");
    tab.dataset.channel = key;
    const made = { tab, title: element("span", "title", title), count: element("span", "count"), close: /** @type {HTMLButtonElement | null} */ (null) };
    tab.append(made.title, made.count);
    this.list.insertBefore(tab, key === "party" ? this.list.children[2] ?? null : null); // beside those that are always there
    if (isOwn) {
      made.close = button("×", "close", () => this.close(key));
      made.close.setAttribute("aria-label", `Close ${title}`);
      tab.after(made.close);
    }
    this.#tabs.set(key, made);
    return made;
  }
}
