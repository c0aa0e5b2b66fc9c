/** Toasts about people: who asks, who invites, who has come online, who said something in private; and news of the realm. */

import { FRIEND_NEWS, PARTY_ENDS } from "./people_words.js";
import { ConnectionGone, RpcError } from "../rayrealm/pending.js";
import { inWords } from "./words.js";

/** The server topic with news for all players. */
const NEWS = "news";
/** The realm refuses what the operator lets nobody hear. */
const NOT_ALLOWED = -32000;
/** Characters of a text that a toast shows; a realm may say much more. */
const MOST_TEXT = 300;

export class PeopleNews {
  /** Friends whose coming was not news: as they were when the page asked. @type {Map<string, string>} */
  #statuses = new Map();

  /** @param {import("./toasts.js").Toasts} toasts */
  constructor(toasts) {
    this.toasts = toasts;
  }

  /**
   * @param {import("../rayrealm/client.js").RealmClient} client
   * @param {object} page
   * @param {() => boolean} page.isCurrent
   * @param {(userId: string, name: string) => void} page.converse
   * @param {(channel: string) => void} page.join
   * @param {(key: string) => boolean} page.isShown whether a conversation is in front of the player
   */
  attach(client, { isCurrent, converse, join, isShown }) {
    this.toasts.clear();
    this.#statuses.clear();
    const { friends, party, presences } = client.social;
    const on = (/** @type {EventTarget} */ target, /** @type {string} */ type, /** @type {(detail: any) => void} */ heed) => {
      target.addEventListener(type, (event) => {
        if (isCurrent()) heed(/** @type {CustomEvent} */ (event).detail);
      });
    };
    on(friends, "changed", ({ kind, user_id: userId, name }) => {
      const about = `friend ${userId}`;
      this.toasts.dismiss(about);
      if (kind === "request") {
        this.toasts.show(`${name || "Somebody"} wants to be your friend.`, [
          { words: "Accept", run: () => this.#try(friends.accept(userId)) },
          { words: "Decline", run: () => this.#try(friends.decline(userId)) },
        ], about);
      } else if (kind in FRIEND_NEWS) {
        this.toasts.show(FRIEND_NEWS[kind](name || "Somebody"), [], about);
      }
    });
    on(party, "invited", ({ party_id: partyId, name }) => {
      this.toasts.show(`${name || "Somebody"} invites you into a party.`, [
        { words: "Join", run: () => this.#try(party.accept(partyId)) },
        { words: "Decline", run: () => this.#try(party.decline(partyId)) },
      ], `party ${partyId}`);
    });
    on(party, "party", ({ party: current, why }) => {
      if (current) this.toasts.dismiss(`party ${current.party_id}`);
      else if (why in PARTY_ENDS) this.toasts.show(PARTY_ENDS[why]);
    });
    on(presences, "presence", ({ user_id: userId, status, name }) => {
      const before = this.#statuses.get(userId);
      this.#statuses.set(userId, status);
      const friend = friends.lists.friends.find((each) => each.user_id === userId);
      if (friend && before === "offline" && status !== "offline") this.toasts.show(`${name || friend.name} is online.`, [], `online ${userId}`);
    });
    on(client.channels, "invited", ({ channel, name }) => {
      this.toasts.show(`${name || "Somebody"} invites you into the channel ${channel}.`, [{ words: "Join", run: () => join(channel) }], `channel ${channel}`);
    });
    on(client.topics, "topic", ({ topic, data }) => {
      if (topic === NEWS) this.#tell(data?.text);
    });
    on(client.topics, "message", ({ text }) => this.#tell(text));
    on(client.topics, "trouble", (error) => this.toasts.show(inWords(error)));
    this.#listen(client, isCurrent);
    on(client, "chat", ({ channel, from, name }) => {
      if (!channel.startsWith("direct:") || from === client.userId || isShown(`direct:${from}`)) return;
      this.toasts.show(`${name} wrote to you.`, [{ words: "Read", run: () => converse(from, name) }], `direct ${from}`);
    });
  }

  /** From the world on, where a player can read them. @param {import("../rayrealm/client.js").RealmClient} client @param {() => boolean} isCurrent */
  #listen(client, isCurrent) {
    let listening = false;
    client.addEventListener("world", () => {
      if (listening || !client.world || !isCurrent()) return;
      listening = true;
      client.topics.subscribe(NEWS).catch((error) => {
        if (error instanceof RpcError && error.code === NOT_ALLOWED) return; // this realm has no news
        listening = false; // the next world asks again
        if (isCurrent() && !(error instanceof ConnectionGone)) this.toasts.show(inWords(error));
      });
    });
  }

  /** What the realm says to its players, as text. @param {unknown} text */
  #tell(text) {
    if (typeof text !== "string" || !text.trim()) return;
    this.toasts.show(text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT - 1)}…` : text);
  }

  /** @param {Promise<unknown>} work */
  #try(work) {
    work.catch((error) => this.toasts.show(inWords(error)));
  }
}
