/**
 * Keeps a login good while its socket is open (PROTOCOL.md, "Renewing access"): told that the access token will end, gets a newer one over
 * the socket, at a random moment before. Whatever fails is tried again; if nothing helps, the realm closes the socket with 4501, and the
 * next one asks `Credentials.token`.
 */

import { systemClock } from "./clock.js";
import { RpcError } from "./pending.js";

/** Of the time that is left, at most: those who logged in together do not all renew together. */
const SPREAD = 0.5;
const RETRY_S = 5;
const UNAUTHORIZED = -32000;

export class Renewal {
  /** Grows with each reminder: an older one is not tried again. */
  #reminder = 0;

  /**
   * @param {object} options
   * @param {import("./connection.js").Connection} options.connection
   * @param {import("./credentials.js").Credentials} options.credentials
   * @param {import("./clock.js").Clock} [options.clock]
   * @param {() => number} [options.random]
   */
  constructor({ connection, credentials, clock = systemClock, random = Math.random }) {
    this.connection = connection;
    this.credentials = credentials;
    this.clock = clock;
    this.random = random;
    connection.addEventListener("notification", (event) => {
      const { method, params } = /** @type {CustomEvent} */ (event).detail;
      if (method === "auth.expiring") this.#remind(Number(params.expires_in));
    });
  }

  /** @param {number} expiresIn seconds */
  #remind(expiresIn) {
    if (!(expiresIn >= 0)) return;
    const reminder = ++this.#reminder;
    const endsAt = this.clock.now() + expiresIn;
    this.clock.after(this.random() * SPREAD * expiresIn, () => void this.#renew(reminder, endsAt));
  }

  /** @param {number} reminder @param {number} endsAt on the clock, seconds */
  async #renew(reminder, endsAt) {
    if (reminder !== this.#reminder || !this.connection.ready) return;
    try {
      await this.credentials.renew((method, params) => this.connection.request(method, params), endsAt);
    } catch (error) {
      const refused = error instanceof RpcError && error.code === UNAUTHORIZED;
      if (!refused && this.clock.now() < endsAt) this.clock.after(RETRY_S, () => void this.#renew(reminder, endsAt));
    }
  }
}
