/**
 * The party that the player is in, and those that the player is invited to (PROTOCOL.md, "Parties").
 *
 * Events, each a CustomEvent: `party`, detail {party, why}; `invited`, detail Invitation; `invitations`; `positions`; `trouble`.
 *
 * @typedef {{user_id: string, name: string}} Member
 * @typedef {{party_id: string, leader: string, members: Member[], version: number}} PartyState
 * @typedef {{party_id: string, from: string, name: string, expires_at: number}} Invitation expires_at: Unix seconds
 * @typedef {{user_id: string, name: string, zone: string, x: number, z: number}} Whereabouts
 */

import { Asker } from "./asker.js";

/** Parties whose newest version is remembered. */
const REMEMBERED = 64;

export class Party extends EventTarget {
  /** By party id: changes are told each on its own, and an older one may come after a newer one. @type {Map<string, number>} */
  #newest = new Map();
  /** @type {PartyState | null} */
  current = null;
  /** By party id. @type {Map<string, Invitation>} */
  invitations = new Map();
  /** Where the members are. @type {Whereabouts[]} */
  positions = [];

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    super();
    this.connection = connection;
    this.asker = new Asker({
      connection,
      method: "party.get",
      take: ({ party, invitations = [] }) => {
        this.invitations = new Map(invitations.map((/** @type {Invitation} */ each) => [each.party_id, each]));
        this.#adopt(party ?? null, "");
        this.#emit("invitations", null);
      },
      trouble: (error) => this.#emit("trouble", error),
    });
  }

  refresh() {
    this.asker.ask();
  }

  /** Into one's own party, which is made if there is none. @param {{user_id: string} | {name: string}} whom */
  async invite(whom) {
    if (!this.current) await this.#do("create", {});
    await this.#do("invite", whom);
  }

  /** @param {string} partyId */
  async accept(partyId) {
    await this.#do("accept", { party_id: partyId });
    this.#forget(partyId);
  }

  /** @param {string} partyId */
  async decline(partyId) {
    this.#forget(partyId);
    await this.connection.request("party.decline", { party_id: partyId });
  }

  async leave() {
    const left = this.current;
    await this.connection.request("party.leave");
    if (left) this.#isNews(left.party_id, left.version + 1); // what was told of it as it was is over
    this.#adopt(null, "left");
  }

  /** @param {string} userId */
  async kick(userId) {
    await this.#do("kick", { user_id: userId });
  }

  /** The leader hands over. @param {string} userId */
  async lead(userId) {
    await this.#do("lead", { user_id: userId });
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params of a notification
   * @returns {boolean} whether it was one of a party
   */
  receive(method, params) {
    switch (method) {
      case "party.changed":
        if (params.party_id !== undefined && !this.#isNews(params.party_id, params.version)) return true;
        // The end of another party than the present one is old.
        if (params.party || !this.current || params.party_id === this.current.party_id) this.#adopt(params.party ?? null, params.why);
        return true;
      case "party.invited":
        this.invitations.set(params.party_id, /** @type {Invitation} */ (params));
        this.#emit("invited", params);
        this.#emit("invitations", null);
        return true;
      case "party.positions":
        this.positions = this.current ? params.members : [];
        this.#emit("positions", this.positions);
        return true;
      default:
        return false;
    }
  }

  /** Invitations end by themselves. @param {number} now Unix seconds */
  expire(now) {
    const late = [...this.invitations.values()].filter((each) => each.expires_at <= now);
    for (const { party_id: partyId } of late) this.#forget(partyId);
  }

  /** @param {string} what @param {Record<string, any>} params */
  async #do(what, params) {
    const { party } = await this.connection.request(`party.${what}`, params);
    if (party) this.#adopt(party, what);
  }

  /** @param {PartyState | null} party @param {string} why */
  #adopt(party, why) {
    if (party && !this.#isNews(party.party_id, party.version)) return; // it was overtaken
    this.current = party && party.members.length > 0 ? party : null;
    const members = new Set(this.current?.members.map((member) => member.user_id));
    this.positions = this.positions.filter((each) => members.has(each.user_id));
    if (this.current) this.invitations.delete(this.current.party_id);
    this.#emit("party", { party: this.current, why });
  }

  /** Whether nothing newer of the party was known; from now on this is. @param {string} partyId @param {number} version */
  #isNews(partyId, version) {
    if (version < (this.#newest.get(partyId) ?? 0)) return false;
    this.#newest.delete(partyId);
    this.#newest.set(partyId, version);
    if (this.#newest.size > REMEMBERED) this.#newest.delete(/** @type {string} */ (this.#newest.keys().next().value)); // the oldest
    return true;
  }

  /** @param {string} partyId */
  #forget(partyId) {
    if (this.invitations.delete(partyId)) this.#emit("invitations", null);
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
