/** What players are to each other: presences, friends and parties, kept right over lost connections and sessions. */

import { Friends } from "./friends.js";
import { Party } from "./party.js";
import { Presences } from "./presences.js";

export class Social {
  /** Whether the lists were asked for at all: a page that was loaded again knows nothing, even if its session missed nothing. */
  #begun = false;

  /** @param {import("./connection.js").Connection} connection */
  constructor(connection) {
    this.presences = new Presences(connection);
    this.friends = new Friends(connection);
    this.party = new Party(connection);
    connection.addEventListener("ready", (event) => this.#begin(/** @type {CustomEvent} */ (event).detail));
    connection.addEventListener("gap", () => {
      this.presences.askAnew();
      this.#refresh();
    });
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} params
   * @returns {boolean} whether the notification was for here
   */
  heed(method, params) {
    if (method === "presence.changed") this.presences.note(/** @type {import("./presences.js").Presence} */ (params));
    else if (method === "friends.changed") this.friends.receive(params);
    else return this.party.receive(method, params);
    return true;
  }

  /** @param {Record<string, any>} session params of `session.ready` */
  #begin({ resumed }) {
    if (resumed) this.presences.goOn();
    else this.presences.startOver();
    if (!this.#begun) this.#refresh();
    this.#begun = true;
  }

  #refresh() {
    this.friends.refresh();
    this.party.refresh();
  }
}
