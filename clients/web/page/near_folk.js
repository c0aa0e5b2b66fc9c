/** The user ids of those near, whom views name only: asked of a channel that everybody is in, a page at a time and not often. */

const CHANNEL = "global";
const EVERY_S = 4;

export class NearFolk {
  #askedAt = -Infinity;
  #asking = false;
  /** Where the next page begins. @type {string | null} */
  #cursor = null;

  /** @param {import("./folk.js").Folk} folk */
  constructor(folk) {
    this.folk = folk;
  }

  /**
   * @param {import("../rayrealm/client.js").RealmClient} client
   * @param {string[]} names of those near
   * @param {number} now seconds
   */
  look(client, names, now) {
    if (this.#asking || now - this.#askedAt < EVERY_S || names.every((name) => this.folk.idOf(name))) return;
    this.#askedAt = now;
    this.#asking = true;
    client.channels
      .members(CHANNEL, this.#cursor)
      .then(({ members, cursor }) => {
        this.#cursor = cursor;
        for (const { user_id: userId, name } of members) this.folk.note(userId, name);
      })
      .catch((error) => {
        this.#cursor = null;
        console.warn("nobody said who is near", error); // their names are there all the same
      })
      .finally(() => {
        this.#asking = false;
      });
  }
}
