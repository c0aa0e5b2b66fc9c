/**
 * What the next socket is opened with (PROTOCOL.md, "Connecting" and "Recovery"), kept in a storage so that a reload can go on with it.
 *
 * A browser does not tell a page why a handshake was refused. So what is presented depends on how many were refused in a row: two with the
 * recovery token, then one with an access token, which asks the realm over HTTP first; and at long last one without the newest
 * notification seen, in case it is that which the realm would not have.
 *
 * @typedef {{recovery: string, sessionId: string, last: string}} Opening
 *   recovery: a token that needs neither an access token nor the session's id; each may be empty
 */

const KEY = "rayrealm.session";
/** After two handshakes by recovery one with an access token. */
const ROUND = 3;
/** Refused handshakes in a row after which one goes without `last`. */
const WITHOUT_LAST_AFTER = 8;

export class Recovery {
  #token = "";
  #goodUntil = 0;

  /**
   * @param {object} options
   * @param {import("./reliable.js").Reliable} options.reliable
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} [options.storage] `sessionStorage`: one session per tab
   * @param {() => number} [options.wall] seconds of a clock that goes on over a reload
   */
  constructor({ reliable, storage = null, wall = () => Date.now() / 1000 }) {
    this.reliable = reliable;
    this.storage = storage;
    this.wall = wall;
    /** The session to resume; empty for a new one. */
    this.sessionId = "";
    this.#restore();
  }

  /** @param {number} refused handshakes in a row @returns {Opening} */
  opening(refused) {
    const last = this.sessionId && refused < WITHOUT_LAST_AFTER ? this.reliable.last : "";
    const byToken = this.#token !== "" && this.wall() < this.#goodUntil && refused % ROUND !== ROUND - 1;
    if (byToken) return { recovery: this.#token, sessionId: "", last: this.reliable.last };
    return { recovery: "", sessionId: this.sessionId, last };
  }

  /** @param {string} sessionId @param {import("./greeting.js").RecoveryToken} token */
  attached(sessionId, token) {
    this.sessionId = sessionId;
    this.renewed(token);
  }

  /** A newer token. @param {import("./greeting.js").RecoveryToken} token */
  renewed({ token, expiresIn }) {
    this.#token = token;
    this.#goodUntil = this.wall() + expiresIn;
    this.save();
  }

  /** The session is to be resumed with an access token. */
  forgetToken() {
    this.#token = "";
    this.save();
  }

  /** The next socket gets a new session. */
  forgetSession() {
    this.sessionId = "";
    this.reliable.forget();
    this.forgetToken();
  }

  /** Writes down what a reload needs. */
  save() {
    const { stream, seq, last } = this.reliable;
    const kept = { sessionId: this.sessionId, token: this.#token, goodUntil: this.#goodUntil, stream: last && stream, seq };
    this.storage?.setItem(KEY, JSON.stringify(kept));
  }

  #restore() {
    const kept = parsed(this.storage?.getItem(KEY) ?? "");
    if (!kept) return;
    this.sessionId = kept.sessionId;
    this.#token = kept.token;
    this.#goodUntil = kept.goodUntil;
    if (kept.stream) this.reliable.remember(kept.stream, kept.seq);
  }
}

/** Nothing is left of what a storage has kept. @param {Pick<Storage, "removeItem">} storage */
export function forgetKept(storage) {
  storage.removeItem(KEY);
}

/**
 * @param {string} text
 * @returns {{sessionId: string, token: string, goodUntil: number, stream: string, seq: number} | null} null for what `save` did not write
 */
function parsed(text) {
  if (!text.startsWith("{")) return null;
  try {
    const kept = JSON.parse(text);
    const { sessionId, token, goodUntil, stream, seq } = kept;
    const texts = [sessionId, token, stream].every((value) => typeof value === "string");
    return texts && Number.isFinite(goodUntil) && Number.isSafeInteger(seq) ? kept : null;
  } catch {
    return null;
  }
}
