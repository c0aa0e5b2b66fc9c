/** Everything about people around the canvas: tabs with who is near, friends and party; own status; menus and news. */

import { byId, setText } from "./dom.js";
import { Folk } from "./folk.js";
import { FriendsPanel } from "./friends_panel.js";
import { NearFolk } from "./near_folk.js";
import { PartyPanel } from "./party_panel.js";
import { PeopleNews } from "./people_news.js";
import { PersonMenu } from "./person_menu.js";
import { StatusMenu } from "./status_menu.js";
import { markTab, walkByArrows } from "./tabs.js";
import { Toasts } from "./toasts.js";
import { inWords } from "./words.js";

/** The realm lets one watch 200. */
const MOST_FOLLOWED = 200;
/** Whom one follows because they are near changes as they walk; not more often than this, seconds. */
const NEAR_EVERY_S = 2;
const TABS = ["near", "friends", "party"];

export class PeoplePanels {
  folk = new Folk();
  /** @type {import("../rayrealm/client.js").RealmClient | null} */
  client = null;
  badge = byId("dock-news", HTMLElement);
  #near = new NearFolk(this.folk);
  /** @type {string[]} */
  #nearby = [];
  #followed = "";
  #shownAt = 0;
  #nearAt = 0;

  /**
   * @param {object} options
   * @param {import("../rayrealm/clock.js").Clock} options.clock
   * @param {(userId: string, name: string) => void} options.converse opens a conversation
   * @param {(channel: string) => void} options.join a channel
   * @param {(key: string) => boolean} options.isShown whether a conversation is in front of the player
   * @param {(partyId: string | null) => void} options.partyChanged
   */
  constructor({ clock, converse, join, isShown, partyChanged }) {
    this.clock = clock;
    this.converse = converse;
    this.join = join;
    this.isShown = isShown;
    this.partyChanged = partyChanged;
    this.toasts = new Toasts(clock);
    this.news = new PeopleNews(this.toasts);
    this.menu = new PersonMenu({ deeds: (person) => this.#deeds(person), trouble: (error) => this.toasts.show(inWords(error)) });
    const choose = (/** @type {HTMLElement} */ anchor, /** @type {import("./person_menu.js").Person} */ person) => this.menu.open(anchor, person);
    this.choose = choose;
    this.friends = new FriendsPanel({ choose });
    this.party = new PartyPanel({ choose });
    this.status = new StatusMenu(async (changes) => this.client?.social.presences.update(changes));
    walkByArrows(byId("people-tabs", HTMLElement));
    for (const tab of TABS) byId(`tab-${tab}`, HTMLButtonElement).addEventListener("click", () => this.open(tab));
    this.open("near");
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.client = client;
    this.folk.clear();
    this.#followed = "";
    this.#nearby = [];
    const social = client?.social ?? null;
    for (const panel of [this.friends, this.party]) {
      panel.zoneName = (zone) => client?.knownZones.find((each) => each.zone === zone)?.name ?? zone;
      panel.attach(social);
    }
    this.toasts.clear();
    this.open("near");
    if (!client || !social) return;
    const show = () => {
      if (this.client === client) this.#show();
    };
    for (const [target, type] of /** @type {[EventTarget, string][]} */ ([
      [social.friends, "lists"], [social.party, "party"], [social.party, "invitations"], [social.presences, "presence"],
    ])) target.addEventListener(type, show);
    for (const target of [social.friends, social.party, social.presences]) {
      target.addEventListener("trouble", (event) => this.toasts.show(inWords(/** @type {CustomEvent} */ (event).detail)));
    }
    const { converse, join, isShown } = this;
    this.news.attach(client, { isCurrent: () => this.client === client, converse, join, isShown });
    show();
  }

  /** @param {string} chosen tab */
  open(chosen) {
    for (const tab of TABS) {
      markTab(byId(`tab-${tab}`, HTMLButtonElement), tab === chosen);
      byId(`people-${tab}`, HTMLElement).hidden = tab !== chosen;
    }
  }

  /** Whenever the panels change. @param {{name: string}[]} near the nearest first */
  update(near) {
    const { client } = this;
    if (!client?.connection.ready || !client.world) return;
    const now = this.clock.now();
    const names = near.slice(0, MOST_FOLLOWED / 4).map(({ name }) => name).filter(Boolean);
    this.#near.look(client, names, now);
    if (now - this.#nearAt > NEAR_EVERY_S) {
      this.#nearAt = now;
      this.#nearby = names.map((name) => this.folk.idOf(name)).filter(Boolean);
      this.#follow();
    }
    client.social.party.expire(Date.now() / 1000);
    if (now - this.#shownAt > 10) this.#show(); // "5 min ago" grows
  }

  /** How somebody near is, by name. @param {string} name */
  statusOf(name) {
    return this.client?.social.presences.known.get(this.folk.idOf(name))?.status ?? "";
  }

  #show() {
    const { client } = this;
    if (!client) return;
    this.#shownAt = this.clock.now();
    const { friends, party, presences } = client.social;
    for (const { user_id: userId, name } of [...friends.lists.friends, ...(party.current?.members ?? [])]) this.folk.note(userId, name);
    this.party.userId = client.userId;
    this.friends.show();
    this.party.show();
    this.partyChanged(party.current?.party_id ?? null);
    const own = presences.known.get(client.userId);
    if (own && own.status !== "offline") this.status.show(own);
    const news = this.friends.news + this.party.news;
    this.badge.hidden = news === 0;
    setText(this.badge, String(news));
    this.#follow();
  }

  #follow() {
    const { client } = this;
    if (!client?.userId) return;
    const { friends, party, presences } = client.social;
    const ids = [client.userId, ...friends.lists.friends.map((each) => each.user_id), ...(party.current?.members ?? []).map((each) => each.user_id), ...this.#nearby];
    const wanted = [...new Set(ids)].slice(0, MOST_FOLLOWED);
    const key = wanted.toSorted().join();
    if (key === this.#followed) return;
    this.#followed = key;
    presences.follow(wanted);
  }

  /** @param {import("./person_menu.js").Person} person @returns {import("./person_menu.js").Deed[]} */
  #deeds({ userId, name }) {
    const { client } = this;
    if (!client) return [];
    const { friends, party } = client.social;
    const id = userId || this.folk.idOf(name);
    const whom = id ? { user_id: id } : { name };
    const has = (/** @type {{user_id: string}[]} */ list) => list.some((each) => each.user_id === id);
    const { lists } = friends;
    /** @type {import("./person_menu.js").Deed[]} */
    const deeds = [];
    if (id) deeds.push({ words: "Write", run: () => this.converse(id, name) });
    const together = party.current && has(party.current.members);
    const leads = party.current?.leader === client.userId;
    if (!together) deeds.push({ words: "Invite into the party", run: () => party.invite(whom) });
    if (together && leads) {
      deeds.push({ words: "Make leader", run: () => party.lead(id) }, { words: "Send away from the party", run: () => party.kick(id) });
    }
    if (id && has(lists.friends)) deeds.push({ words: "Remove friend", run: () => friends.remove(id) });
    else if (!(id && has(lists.outgoing))) deeds.push({ words: "Add friend", run: () => this.#ask(whom, name) });
    if (id && has(lists.blocked)) deeds.push({ words: "Unblock", run: () => friends.unblock(id) });
    else deeds.push({ words: "Block", run: () => friends.block(whom) });
    return deeds;
  }

  /** @param {{user_id: string} | {name: string}} whom @param {string} name */
  async #ask(whom, name) {
    const { result } = (await this.client?.social.friends.request(whom)) ?? {};
    if (result === "requested" || result === "already_requested") this.toasts.show(`${name} was asked.`);
  }
}
