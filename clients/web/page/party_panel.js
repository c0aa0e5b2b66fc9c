/** The party: who is in it, who leads, how they are; invitations; a line to invite somebody by name. */

import { byId, setText } from "./dom.js";
import { button, element, KeyedList } from "./keyed_list.js";
import { aboutPresence } from "./people_words.js";
import { inWords } from "./words.js";

/**
 * @typedef {import("../rayrealm/party.js").Member} Member
 * @typedef {import("../rayrealm/party.js").Invitation} Invitation
 */

export class PartyPanel {
  form = byId("party-form", HTMLFormElement);
  input = byId("party-name", HTMLInputElement);
  problem = byId("party-problem", HTMLElement);
  none = byId("party-none", HTMLElement);
  leave = byId("party-leave", HTMLButtonElement);
  count = byId("party-count", HTMLElement);
  /** @type {import("../rayrealm/social.js").Social | null} */
  social = null;
  /** The player's. */
  userId = "";
  /** @type {(zone: string) => string} */
  zoneName = (zone) => zone;

  /** @param {{choose: (anchor: HTMLElement, person: import("./person_menu.js").Person) => void}} options */
  constructor({ choose }) {
    /** @type {KeyedList<Member, {dot: HTMLElement, name: HTMLButtonElement, leads: HTMLElement, about: HTMLElement}>} */
    this.members = new KeyedList(byId("party-list", HTMLOListElement), {
      key: (member) => member.user_id,
      make: (item, member) => {
        const dot = element("span", "presence");
        const name = button("", "name", () => choose(name, { userId: member().user_id, name: member().name }));
        const leads = element("span", "leads", "leader");
        const about = element("span", "about");
        item.append(dot, name, leads, about);
        return { dot, name, leads, about };
      },
      update: ({ dot, name, leads, about }, member) => {
        const presence = this.social?.presences.known.get(member.user_id);
        const isMe = member.user_id === this.userId;
        dot.dataset.status = presence?.status ?? "offline";
        setText(name, isMe ? `${member.name} (you)` : member.name);
        name.disabled = isMe;
        leads.hidden = this.social?.party.current?.leader !== member.user_id;
        setText(about, aboutPresence(presence, this.zoneName, Date.now() / 1000));
      },
    });
    /** @type {KeyedList<Invitation, HTMLElement>} */
    this.invitations = new KeyedList(byId("party-invitations", HTMLOListElement), {
      key: (invitation) => invitation.party_id,
      make: (item, invitation) => {
        const name = element("span", "name");
        const join = button("Join", "quiet", () => void this.#try(() => this.social?.party.accept(invitation().party_id)));
        const decline = button("Decline", "quiet", () => void this.#try(() => this.social?.party.decline(invitation().party_id)));
        item.append(name, join, decline);
        return name;
      },
      update: (name, invitation) => setText(name, invitation.name || "somebody"),
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#invite();
    });
    this.leave.addEventListener("click", () => void this.#try(() => this.social?.party.leave()));
  }

  /** @param {import("../rayrealm/social.js").Social | null} social */
  attach(social) {
    this.social = social;
    this.input.value = this.problem.textContent = "";
    this.show();
  }

  /** How many parties want the player. */
  get news() {
    return this.social?.party.invitations.size ?? 0;
  }

  show() {
    const party = this.social?.party;
    const members = party?.current?.members ?? [];
    this.members.show(members);
    this.invitations.show([...(party?.invitations.values() ?? [])]);
    this.none.hidden = members.length > 0;
    this.leave.hidden = members.length === 0;
    this.count.hidden = members.length + this.news === 0;
    this.count.classList.toggle("news", this.news > 0);
    setText(this.count, String(this.news || members.length));
  }

  async #invite() {
    const name = this.input.value.trim();
    if (!name) return;
    await this.#try(async () => {
      await this.social?.party.invite({ name });
      this.input.value = "";
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
