/** Between a client and the chat: joins the channels of a world, and hands over what is said. */

import { ConnectionGone } from "../rayrealm/pending.js";
import { gapWords, inWords, unopenedWords } from "./words.js";

const CHANNELS = ["global", "zone"];

export class ChatLink {
  #joined = false;
  /** Whose keys are being published. @type {import("../rayrealm/client.js").RealmClient | null} */
  #sealing = null;
  /** All channels are joined, as far as they can be. */
  #open = false;
  #zone = "";

  /** @param {import("./chat_box.js").ChatBox} chat @param {import("../rayrealm/clock.js").Clock} clock */
  constructor(chat, clock) {
    this.chat = chat;
    this.clock = clock;
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.#joined = this.#open = false;
    this.#zone = "";
    this.chat.attach(client);
    if (!client) return;
    const { chat } = this;
    const mine = () => chat.client === client;
    client.addEventListener("chat", (event) => {
      if (mine()) chat.receive(/** @type {CustomEvent} */ (event).detail, this.clock.now());
    });
    client.channels.addEventListener("deleted", (event) => {
      if (mine()) chat.remove(/** @type {CustomEvent} */ (event).detail);
    });
    client.connection.addEventListener("gap", (event) => chat.tell(gapWords(/** @type {CustomEvent} */ (event).detail.topic)));
    const onTrouble = (/** @type {Event} */ event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      if (!(detail instanceof ConnectionGone)) chat.tell(inWords(detail)); // else: LinkNotice tells it, and the next connection asks again
    };
    client.addEventListener("trouble", onTrouble);
    client.sealed.addEventListener("unopened", (event) => {
      const { from, reason } = /** @type {CustomEvent} */ (event).detail;
      const words = unopenedWords(reason, chat.folk.nameOf(from));
      if (mine() && words) chat.tellOf(from, words);
    });
    client.sealed.addEventListener("trouble", onTrouble);
    client.addEventListener("world", () => void this.#follow(client));
  }

  /** @param {import("../rayrealm/client.js").RealmClient} client */
  async #follow(client) {
    const zone = client.world?.zone ?? "";
    if (zone && this.#zone && zone !== this.#zone) this.chat.zoneChanged();
    this.#zone = zone || this.#zone;
    if (zone && this.#open && this.chat.client === client) this.chat.open();
    if (!zone || this.#joined) return;
    this.#joined = true;
    void this.#seal(client);
    for (const channel of CHANNELS) {
      try {
        await client.channels.join(channel);
      } catch (error) {
        if (this.chat.client !== client) return;
        if (error instanceof ConnectionGone) {
          this.#joined = false; // with the world of the next connection again
          return;
        }
        this.chat.tell(inWords(error));
      }
    }
    if (this.chat.client !== client) return;
    this.#open = true;
    this.chat.open();
  }

  /** @param {import("../rayrealm/client.js").RealmClient} client */
  async #seal(client) {
    if (!client.sealed.possible || client.sealed.state !== "off" || this.#sealing === client) return;
    this.#sealing = client;
    try {
      await client.sealed.begin(client.userId);
    } catch (error) {
      console.warn("messages cannot be sealed", error);
    }
    if (this.#sealing === client) this.#sealing = null;
  }
}
