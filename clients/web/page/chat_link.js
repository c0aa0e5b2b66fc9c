/** Between a client and the chat: joins the channels of a world, and hands over what is said. */

import { gapWords, inWords } from "./words.js";

const CHANNELS = ["global", "zone"];

export class ChatLink {
  #joined = false;
  #zone = "";

  /** @param {import("./chat_box.js").ChatBox} chat @param {import("../rayrealm/clock.js").Clock} clock */
  constructor(chat, clock) {
    this.chat = chat;
    this.clock = clock;
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.#joined = false;
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
    client.addEventListener("trouble", (event) => chat.tell(inWords(/** @type {CustomEvent} */ (event).detail)));
    client.addEventListener("world", () => void this.#follow(client));
  }

  /** @param {import("../rayrealm/client.js").RealmClient} client */
  async #follow(client) {
    const zone = client.world?.zone ?? "";
    if (zone && this.#zone && zone !== this.#zone) this.chat.zoneChanged();
    this.#zone = zone || this.#zone;
    if (!zone || this.#joined) return;
    this.#joined = true;
    for (const channel of CHANNELS) {
      try {
        await client.channels.join(channel);
      } catch (error) {
        this.chat.tell(inWords(error));
      }
    }
    if (this.chat.client === client) this.chat.open();
  }
}
