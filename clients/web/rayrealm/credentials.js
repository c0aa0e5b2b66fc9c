/**
 * Who is logged in: keeps the tokens, refreshes the access token before it ends, remembers the refresh token in a storage.
 */

import { ApiError } from "./api.js";
import { systemClock } from "./clock.js";

/** Refresh this long before the access token ends, in seconds: more than the realm's grace, within which it opens no socket. */
const MARGIN_S = 40;
/** By so much a token must last longer than another to be a newer one, seconds. */
const NEWER_S = 1;

const KEY = "rayrealm.login";

/** Events: `lost`, when the realm no longer accepts the refresh token. */
export class Credentials extends EventTarget {
  /** @type {import("./api.js").Tokens | null} */
  #tokens = null;
  #endsAt = 0;
  /** @type {Promise<void> | null} */
  #refreshing = null;

  /**
   * @param {object} options
   * @param {import("./api.js").RealmApi} options.api
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem">} options.storage `sessionStorage`: one login per tab
   * @param {import("./clock.js").Clock} [options.clock]
   */
  constructor({ api, storage, clock = systemClock }) {
    super();
    this.api = api;
    this.storage = storage;
    this.clock = clock;
    this.username = "";
  }

  get loggedIn() {
    return this.#tokens !== null;
  }

  /**
   * Takes the tokens of a login or registration.
   * @param {import("./api.js").Tokens} tokens
   * @param {string} username
   */
  adopt(tokens, username) {
    this.#tokens = tokens;
    this.#endsAt = this.clock.now() + tokens.expires_in;
    this.username = username;
    this.storage.setItem(KEY, JSON.stringify({ username, refreshToken: tokens.refresh_token }));
  }

  /**
   * Logs in again with what the storage remembers.
   * @returns {Promise<boolean>} false when it remembers nothing, or nothing that still works
   * @throws {ApiError} when the realm cannot be asked; what is remembered stays
   */
  async restore() {
    const remembered = this.storage.getItem(KEY);
    if (!remembered) return false;
    try {
      const { username, refreshToken } = JSON.parse(remembered);
      this.adopt(await this.api.refresh(refreshToken), username);
    } catch (error) {
      if (error instanceof ApiError && error.status !== 401) throw error;
      this.forget();
      return false;
    }
    return true;
  }

  /**
   * An access token that still works.
   * @param {{doubted?: boolean}} [options] doubted: the last handshake failed, and a browser does not say why. So ask the realm
   *   with one cheap call, because refreshing on every failure would burn single-use tokens while the realm is away.
   * @returns {Promise<string>}
   * @throws {ApiError} status 401: log in again; else: try again later
   */
  async token({ doubted = false } = {}) {
    if (!this.#tokens) throw new ApiError({ status: 401, reason: "token_missing" });
    if (this.clock.now() > this.#endsAt - MARGIN_S) {
      await this.#refresh();
    } else if (doubted) {
      try {
        await this.api.characters(this.#tokens.access_token);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        await this.#refresh();
      }
    }
    if (!this.#tokens) throw new ApiError({ status: 401, reason: "token_missing" });
    return this.#tokens.access_token;
  }

  /**
   * A newer access token for a socket that is open.
   * @param {(method: string, params: Record<string, any>) => Promise<Record<string, any>>} ask as `Connection.request`
   * @param {number} endsAt when the socket's own token ends, on the clock
   * @throws {Error} what `ask` throws
   */
  async renew(ask, endsAt) {
    await this.#refreshing?.catch(() => {}); // whoever began it hears of its failure
    const tokens = this.#tokens;
    if (!tokens) return;
    if (this.#endsAt > endsAt + NEWER_S) {
      await ask("auth.renew", { access_token: tokens.access_token });
      return;
    }
    const exchanged = ask("auth.refresh", { refresh_token: tokens.refresh_token }).then((fresh) => {
      if (this.#tokens === tokens) this.adopt({ ...tokens, .../** @type {any} */ (fresh) }, this.username); // else: logged out meanwhile
    });
    this.#refreshing = exchanged.finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
  }

  /** Ends the login here and at the realm. An unreachable realm does not keep anyone logged in here. */
  async logout() {
    const tokens = this.#tokens;
    this.forget();
    if (!tokens) return;
    try {
      await this.api.logout(tokens.refresh_token);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Ends the login here only. */
  forget() {
    this.#tokens = null;
    this.username = "";
    this.storage.removeItem(KEY);
  }

  /** One refresh at a time: the second user of a refresh token would end the whole family. */
  #refresh() {
    this.#refreshing ??= this.#refreshOnce().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refreshOnce() {
    const before = this.#tokens;
    if (!before) throw new ApiError({ status: 401, reason: "token_missing" });
    try {
      const tokens = await this.api.refresh(before.refresh_token);
      if (this.#tokens === before) this.adopt(tokens, this.username); // else: logged out meanwhile
    } catch (error) {
      if (error instanceof ApiError && error.status === 401 && this.#tokens === before) {
        this.forget();
        this.dispatchEvent(new Event("lost"));
      }
      throw error;
    }
  }
}
