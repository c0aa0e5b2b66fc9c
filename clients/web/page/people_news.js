/** Toasts about people: who asks, who invites, who has come online, who said something in private. */

import { FRIEND_NEWS, PARTY_ENDS } from "./people_words.js";
import { inWords } from "./words.js";

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
    on(client, "chat", ({ channel, from, name }) => {
      if (!channel.startsWith("direct:") || from === client.userId || isShown(`direct:${from}`)) return;
      this.toasts.show(`${name} wrote to you.`, [{ words: "Read", run: () => converse(from, name) }], `direct ${from}`);
    });
  }

  /** @param {Promise<unknown>} work */
  #try(work) {
    work.catch((error) => this.toasts.show(inWords(error)));
  }
}
