/** The chat: channels with what was said in them, and a line to say something. */

import { understand } from "./chat_commands.js";
import { ChatLog, mentions } from "./chat_log.js";
import { ChatTabs } from "./chat_tabs.js";
import { Conversation, isNearby, keyOf } from "./conversation.js";
import { ConnectionGone } from "../rayrealm/pending.js";
import { byId, setText } from "./dom.js";
import { SealLock } from "./seal_lock.js";
import { inWords } from "./words.js";

/** How long words stand over a head, seconds. */
const SPEECH_S = 6;
/** @type {Record<string, string>} */
const TITLES = { zone: "Zone", global: "Global", party: "Party" };

export class ChatBox {
  form = byId("chat-form", HTMLFormElement);
  input = byId("chat-text", HTMLInputElement);
  range = byId("chat-channel", HTMLSelectElement);
  unreadCount = byId("dock-chat", HTMLElement);
  lock = new SealLock();
  /** What stands over whose head. @type {Map<string, {text: string, until: number}>} */
  speech = new Map();
  /** @type {Map<string, Conversation>} */
  conversations = new Map();
  active = "zone";
  /** @type {import("../rayrealm/client.js").RealmClient | null} */
  client = null;

  /**
   * @param {object} options
   * @param {() => boolean} options.isVisible
   * @param {import("./folk.js").Folk} options.folk
   * @param {(anchor: HTMLElement, person: {userId: string, name: string}) => void} options.choose a name was chosen
   */
  constructor({ isVisible, folk, choose }) {
    this.isVisible = isVisible;
    this.folk = folk;
    this.log = new ChatLog({ me: () => this.client?.userId ?? "", older: () => void this.#load(this.#current, true), choose });
    this.tabs = new ChatTabs({ select: (key) => this.select(key), close: (key) => this.#close(key) });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.input.blur();
    });
    this.clear();
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.client = client;
    this.lock.attach(client);
    this.clear();
  }

  focus() {
    this.input.focus();
    this.markRead();
  }

  clear() {
    this.speech.clear();
    this.conversations = new Map(["zone", "global"].map((key) => [key, new Conversation(key, TITLES[key])]));
    this.active = "zone";
    this.#show();
  }

  /** Shows a channel; its history is asked for when it is opened for the first time. @param {string} key */
  select(key) {
    this.active = this.conversations.has(key) ? key : "zone";
    this.markRead();
    this.#show();
    if (this.#current.cursor === undefined) void this.#load(this.#current, false);
  }

  /** A conversation with somebody. @param {string} userId @param {string} name */
  converse(userId, name) {
    this.folk.note(userId, name);
    this.#conversation(`direct:${userId}`);
    this.select(`direct:${userId}`);
    this.input.focus();
  }

  /** A channel by name. @param {string} name */
  async join(name) {
    try {
      await this.client?.channels.join(name);
      this.#conversation(name);
      this.select(name);
    } catch (error) {
      this.tell(`You cannot join ${name}: ${inWords(error)}`);
    }
  }

  /** Whether there is a party to talk to; another one begins with nothing. @param {string | null} partyId */
  setParty(partyId) {
    if (partyId === this.#partyId) return;
    this.#partyId = partyId;
    this.conversations.delete("party");
    if (partyId) this.#conversation("party");
    if (this.active === "party") this.select(partyId ? "party" : "zone");
    else this.#showTabs();
  }

  #partyId = /** @type {string | null} */ (null);

  /** What was said where the player is from now on has nothing to do with what was said before. */
  zoneChanged() {
    const zone = this.#conversation("zone");
    if (zone.cursor !== undefined) zone.cursor = null;
    if (this.active === "zone") this.#show();
  }

  /** History of what is shown, if it did not come yet: after channels have been joined, or a lost connection is back. */
  open() {
    this.select(this.active);
  }

  markRead() {
    if (!this.isVisible()) return;
    const current = this.#current;
    current.unread = 0;
    current.mentioned = false;
    this.#showTabs();
    const ids = current.waiting.splice(0);
    const sealed = current.sealedWaiting.splice(0);
    const untold = (/** @type {unknown} */ error) => console.warn("the realm was not told what was read", error);
    if (ids.length > 0) this.client?.channels.markRead(ids).catch(untold);
    if (sealed.length > 0) this.client?.sealed.markRead(sealed).catch(untold);
  }

  /**
   * @param {Record<string, any>} message params of `chat.message`
   * @param {number} now seconds
   */
  receive(message, now) {
    const me = this.client?.userId ?? "";
    const name = String(message.name);
    this.folk.note(String(message.from), name);
    const conversation = this.#conversation(keyOf(message, me));
    if (!conversation.add(message)) return;
    const others = message.from !== me;
    if (conversation.isDirect && (others || message.sealed)) (message.sealed ? conversation.sealedWaiting : conversation.waiting).push(message.message_id);
    if (isNearby(String(message.channel)) && !message.waited) this.speech.set(name, { text: String(message.text), until: now + SPEECH_S });
    if (conversation === this.#current) this.log.add(/** @type {import("./conversation.js").Line} */ (conversation.lines.at(-1)));
    if (conversation === this.#current && this.isVisible()) {
      this.markRead();
    } else if (others) {
      conversation.unread += 1;
      conversation.mentioned = conversation.mentioned || mentions(message, me);
      this.#showTabs();
    }
  }

  /** @param {Record<string, any>} deletion params of `chat.deleted` */
  remove({ channel, message_id: messageId }) {
    const conversation = this.conversations.get(keyOf({ channel }, ""));
    conversation?.remove(messageId);
    if (conversation === this.#current) this.log.show(conversation, true);
  }

  /** About somebody's sealed messages, in the conversation with them. @param {string} userId @param {string} text */
  tellOf(userId, text) {
    const conversation = this.#conversation(`direct:${userId}`);
    conversation.tell(text);
    if (conversation === this.#current) this.log.add({ message: null, text });
  }

  /** A line that nobody said, where the player looks. @param {string} text */
  tell(text) {
    this.#current.tell(text);
    this.log.add({ message: null, text });
  }

  /** @param {number} now seconds */
  forgetSpeech(now) {
    for (const [name, { until }] of this.speech) if (until <= now) this.speech.delete(name);
  }

  get #current() {
    return this.#conversation(this.active);
  }

  /** @param {string} key @returns {Conversation} */
  #conversation(key) {
    let found = this.conversations.get(key);
    if (!found) {
      const who = key.startsWith("direct:") ? this.folk.nameOf(key.slice(7)) || "somebody" : key;
      found = new Conversation(key, TITLES[key] ?? who);
      this.conversations.set(key, found);
      this.#showTabs();
    }
    return found;
  }

  /** @param {string} key */
  #close(key) {
    if (key in TITLES || !this.conversations.delete(key)) return;
    if (!key.startsWith("direct:")) this.client?.channels.leave(key).catch((error) => this.tell(inWords(error)));
    if (key === this.active) this.select("zone");
    else this.#showTabs();
  }

  /** @param {Conversation} conversation @param {boolean} older than what is shown */
  async #load(conversation, older) {
    const { client } = this;
    if (conversation.loading || !client?.connection.ready || !client.world) return;
    conversation.loading = true;
    try {
      const { messages, cursor } = await client.channels.history(conversation.key, conversation.cursor ?? null);
      conversation.addOlder(messages, cursor);
    } catch (error) {
      if (error instanceof ConnectionGone) return; // the next connection asks again: `open`
      conversation.tell(`What was said before cannot be shown: ${inWords(error)}`);
    } finally {
      conversation.loading = false;
    }
    if (conversation === this.#current) this.log.show(conversation, older);
  }

  async #send() {
    const text = this.input.value.trim();
    if (text === "") {
      this.input.blur();
      return;
    }
    const meant = understand(text, this.active === "zone" ? this.range.value : this.active, this.folk);
    if ("problem" in meant) {
      this.tell(meant.problem);
      return;
    }
    this.input.value = "";
    if ("join" in meant) {
      await this.join(meant.join);
      return;
    }
    if ("leave" in meant) {
      this.#close(meant.leave);
      return;
    }
    const channel = "whisperTo" in meant ? `direct:${meant.whisperTo}` : meant.channel;
    if ("whisperTo" in meant) this.converse(meant.whisperTo, this.folk.nameOf(meant.whisperTo));
    else if (keyOf({ channel }, "") !== this.active && this.conversations.has(keyOf({ channel }, ""))) this.select(keyOf({ channel }, ""));
    if (meant.text === "") return;
    try {
      if (!this.client?.world) return;
      const { sealed, world } = this.client;
      const other = channel.startsWith("direct:") ? channel.slice("direct:".length) : "";
      if (other && sealed.isChosen(other)) await sealed.tell(other, meant.text, { name: world.name });
      else await this.client.channels.say(channel, meant.text, world.name);
    } catch (error) {
      if (this.input.value === "") this.input.value = text;
      this.tell(`Not sent: ${inWords(error)}`);
    }
  }

  #show() {
    this.range.hidden = this.active !== "zone";
    this.form.classList.toggle("ranged", this.active === "zone");
    this.form.classList.toggle("direct", this.#current.isDirect);
    this.lock.show(this.#current.other, this.#current.title);
    this.input.placeholder = this.active.startsWith("direct:") ? `To ${this.#current.title}` : "Say something";
    this.#showTabs();
    this.log.show(this.#current);
  }

  #showTabs() {
    this.tabs.show([...this.conversations.values()], this.active);
    const unread = [...this.conversations.values()].reduce((sum, each) => sum + each.unread, 0);
    this.unreadCount.hidden = unread === 0;
    setText(this.unreadCount, String(unread));
  }
}
