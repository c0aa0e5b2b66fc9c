/** Friends with how they are, who asks to be one, who was asked, who is blocked; a line to add somebody by name. */

import { byId, setText } from "./dom.js";
import { button, element, KeyedList } from "./keyed_list.js";
import { aboutPresence } from "./people_words.js";
import { inWords } from "./words.js";

/**
 * @typedef {import("../rayrealm/friends.js").Known} Known
 * @typedef {import("../rayrealm/friends.js").Friend} Friend
 * @typedef {{dot: HTMLElement, name: HTMLButtonElement, about: HTMLElement}} FriendRow
 */

export class FriendsPanel {
  form = byId("friend-form", HTMLFormElement);
  input = byId("friend-name", HTMLInputElement);
  problem = byId("friend-problem", HTMLElement);
  none = byId("friends-none", HTMLElement);
  count = byId("friends-count", HTMLElement);
  /** @type {import("../rayrealm/social.js").Social | null} */
  social = null;
  /** @type {(zone: string) => string} */
  zoneName = (zone) => zone;

  /** @param {{choose: (anchor: HTMLElement, person: import("./person_menu.js").Person) => void}} options */
  constructor({ choose }) {
    /** @type {KeyedList<Friend, FriendRow>} */
    this.friends = new KeyedList(byId("friend-list", HTMLOListElement), {
      key: (friend) => friend.user_id,
      make: (item, friend) => {
        const dot = element("span", "presence");
        const name = button("", "name", () => choose(name, { userId: friend().user_id, name: name.textContent ?? "" }));
        const about = element("span", "about");
        item.append(dot, name, about);
        return { dot, name, about };
      },
      update: ({ dot, name, about }, friend) => {
        const presence = this.#presenceOf(friend);
        dot.dataset.status = presence.status;
        setText(name, presence.name || friend.name || "somebody");
        setText(about, aboutPresence(presence, this.zoneName, Date.now() / 1000));
      },
    });
    this.requests = this.#names("friend-requests", [
      ["Accept", (userId) => this.social?.friends.accept(userId)],
      ["Decline", (userId) => this.social?.friends.decline(userId)],
    ]);
    this.asked = this.#names("asked-list", [["Take back", (userId) => this.social?.friends.cancel(userId)]]);
    this.blocked = this.#names("blocked-list", [["Unblock", (userId) => this.social?.friends.unblock(userId)]]);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#add();
    });
  }

  /** @param {import("../rayrealm/social.js").Social | null} social */
  attach(social) {
    this.social = social;
    this.input.value = this.problem.textContent = "";
    this.show();
  }

  /** How many ask to be friends. */
  get news() {
    return this.social?.friends.lists.incoming.length ?? 0;
  }

  show() {
    const { friends = [], incoming = [], outgoing = [], blocked = [] } = this.social?.friends.lists ?? {};
    const rank = (/** @type {Friend} */ friend) => Number(this.#presenceOf(friend).status === "offline");
    this.friends.show(friends.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name)));
    this.requests.show(incoming);
    this.asked.show(outgoing);
    this.blocked.show(blocked);
    this.none.hidden = friends.length + incoming.length > 0;
    for (const [id, list] of /** @type {const} */ ([["friends-asked", outgoing], ["friends-blocked", blocked]])) {
      const details = byId(id, HTMLDetailsElement);
      details.hidden = list.length === 0;
      setText(/** @type {HTMLElement} */ (details.querySelector(".count")), String(list.length));
    }
    this.count.hidden = friends.length + incoming.length === 0;
    this.count.classList.toggle("news", incoming.length > 0);
    setText(this.count, String(incoming.length || friends.filter((friend) => rank(friend) === 0).length));
  }

  /** @param {Friend} friend */
  #presenceOf(friend) {
    const newer = this.social?.presences.known.get(friend.user_id);
    return newer && (newer.version ?? 0) >= (friend.presence.version ?? 0) ? newer : friend.presence;
  }

  /** A list of names with something to do about each. @param {string} id @param {[string, (userId: string) => unknown][]} deeds */
  #names(id, deeds) {
    /** @type {KeyedList<Known, HTMLElement>} */
    const list = new KeyedList(byId(id, HTMLOListElement), {
      key: (known) => known.user_id,
      make: (item, known) => {
        const name = element("span", "name");
        item.append(name, ...deeds.map(([words, run]) => button(words, "quiet", () => void this.#try(() => run(known().user_id)))));
        return name;
      },
      update: (name, known) => setText(name, known.name || "somebody"),
    });
    return list;
  }

  async #add() {
    const name = this.input.value.trim();
    if (!name) return;
    await this.#try(async () => {
      const { result } = (await this.social?.friends.request({ name })) ?? {};
      this.input.value = "";
      if (result === "already_friends") this.problem.textContent = `${name} and you are friends already.`;
    });
  }

  /** @param {() => unknown} work */
  async #try(work) {
    this.problem.textContent = "";
    try {
      await work();
    } catch (error) {
      this.problem.textContent = inWords(error);
    }
  }
}
