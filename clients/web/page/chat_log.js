/** The lines of one conversation on the screen. All text goes through textContent. */

import { byId } from "./dom.js";
import { button, element } from "./keyed_list.js";

/** @type {Record<string, string>} */
const HOW = { say: "says", shout: "shouts" };

export class ChatLog {
  log = byId("chat-log", HTMLOListElement);

  /**
   * @param {object} options
   * @param {() => string} options.me the player's user id
   * @param {() => void} options.older asks for what was said before
   * @param {(anchor: HTMLElement, person: {userId: string, name: string}) => void} options.choose a name was chosen
   */
  constructor({ me, older, choose }) {
    this.me = me;
    this.older = older;
    this.choose = choose;
  }

  /** All of a conversation. @param {import("./conversation.js").Conversation | null} conversation @param {boolean} [atTop] stay with the oldest lines that were there */
  show(conversation, atTop = false) {
    const { log } = this;
    const before = log.scrollHeight - log.scrollTop;
    const lines = conversation?.lines.map((line) => this.#item(line)) ?? [];
    if (conversation?.cursor) lines.unshift(this.#more());
    log.replaceChildren(...lines);
    log.scrollTop = atTop ? log.scrollHeight - before : log.scrollHeight;
  }

  /** One more line. @param {import("./conversation.js").Line} line */
  add(line) {
    const { log } = this;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(this.#item(line));
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  #more() {
    const item = document.createElement("li");
    item.className = "more";
    item.append(button("Earlier messages", "quiet", this.older));
    return item;
  }

  /** @param {import("./conversation.js").Line} line */
  #item({ message, text }) {
    const item = document.createElement("li");
    if (!message) {
      item.className = "notice";
      item.textContent = text;
      return item;
    }
    const own = message.from === this.me();
    item.className = `${own ? "own " : ""}${message.sealed ? "sealed " : ""}${mentions(message, this.me()) ? "mention " : ""}${String(message.channel).split(":")[0]}`;
    item.title = new Date(message.sent_at * 1000).toLocaleTimeString();
    const name = String(message.name) || "somebody";
    const who = own ? element("b", "who", name) : button(name, "who", () => this.choose(who, { userId: String(message.from), name }));
    item.append(who);
    if (message.channel in HOW) item.append(element("i", "how", HOW[message.channel]));
    item.append(marked(text, message.mentions ?? []));
    return item;
  }
}

/** @param {Record<string, any>} message @param {string} me */
export function mentions(message, me) {
  return message.from !== me && (message.mentions ?? []).some((/** @type {{user_id: string}} */ each) => each.user_id === me);
}

/** The text, with the names that it mentions marked. @param {string} text @param {{name: string}[]} names */
function marked(text, names) {
  const span = document.createElement("span");
  let rest = text;
  while (rest) {
    const found = names
      .map(({ name }) => ({ at: rest.toLowerCase().indexOf(`@${name.toLowerCase()}`), length: name.length + 1 }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at || b.length - a.length)[0];
    if (!found) break;
    span.append(rest.slice(0, found.at), element("mark", "", rest.slice(found.at, found.at + found.length)));
    rest = rest.slice(found.at + found.length);
  }
  span.append(rest);
  return span;
}
