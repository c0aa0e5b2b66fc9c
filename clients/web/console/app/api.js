/** The console's HTTP API: JSON, problem details (RFC 9457), a cookie for the session and a header against forged requests. */

/** The folder that the page is served from; everything is relative to it. */
export const BASE = new URL("../", import.meta.url);
const DEADLINE_MS = 20_000;

/** What the realm refused, or that it could not be reached (`status` 0). `message` is for people. */
export class ApiError extends Error {
  /** @param {number} status @param {string} reason @param {string} message @param {Record<string, any>} [body] */
  constructor(status, reason, message, body = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.body = body;
  }
}

export class Api {
  /** Sent back with everything that changes something. */
  csrf = "";
  /** How far this machine's clock is ahead of the realm's, in seconds. */
  ahead = 0;
  /** Called when the realm says that nobody is logged in any more. */
  onLoggedOut = () => {};
  /** Who is logged in, as the session that is sent along may become another operator's in another tab. */
  name = "";
  /** While the session is changed for another one, what was asked by the old one may be refused. */
  #renewing = false;

  /**
   * @param {string} method
   * @param {string} path below api/v1/
   * @param {{body?: unknown, query?: Record<string, unknown>, quiet?: boolean, again?: boolean}} [options] quiet: a 401 is the
   *   caller's affair; again: it was refused once for its token
   * @returns {Promise<any>}
   */
  async ask(method, path, { body, query = {}, quiet = false, again = false } = {}) {
    const url = new URL(`api/v1/${path}`, BASE);
    for (const [name, value] of Object.entries(query)) {
      if (value === null || value === undefined || value === "") continue;
      for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
    }
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET") headers["X-CSRF-Token"] = this.csrf;
    let response;
    try {
      response = await fetch(url, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
    } catch {
      throw new ApiError(0, "unreachable", "The realm cannot be reached.");
    }
    const answer = await read(response);
    if (response.ok) return answer;
    if (response.status === 401 && !quiet && !this.#renewing) this.onLoggedOut();
    const refused = refusal(response.status, answer);
    // Another tab has changed the session, by a new password or a new login: what was asked was not begun, and is asked again once.
    if (refused.reason === "csrf" && !again && await this.#follow(headers["X-CSRF-Token"])) {
      return this.ask(method, path, { body, query, quiet, again: true });
    }
    throw refused;
  }

  /**
   * Whether this tab has the token of the session that the browser has now. Another operator's is not taken over: then nobody is
   * logged in here. @param {string | undefined} sent the token that was refused
   */
  async #follow(sent) {
    if (this.csrf !== sent) return true; // fetched meanwhile
    const me = await this.ask("GET", "me");
    if (me.name !== this.name) {
      this.onLoggedOut();
      return false;
    }
    this.csrf = me.csrf;
    return me.csrf !== sent;
  }

  /** @param {string} path @param {Record<string, unknown>} [query] */
  get(path, query = {}) {
    return this.ask("GET", path, { query });
  }

  /** @param {string} path @param {unknown} [body] */
  post(path, body = {}) {
    return this.ask("POST", path, { body });
  }

  /** What ends this session and begins another one. @param {string} path @param {unknown} body */
  async renew(path, body) {
    this.#renewing = true;
    try {
      const me = await this.post(path, body);
      this.csrf = me.csrf;
      return me;
    } finally {
      this.#renewing = false;
    }
  }

  /** A look: `zones.list` is asked at `zones/list`. @param {string} name @param {Record<string, unknown>} [params] */
  look(name, params = {}) {
    return this.get(name.replaceAll(".", "/"), params);
  }
}

/** @param {Response} response */
async function read(response) {
  const text = await response.text();
  if (!text) return {};
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** @param {number} status @param {Record<string, any>} body problem details */
function refusal(status, body) {
  const fields = Array.isArray(body.errors) ? body.errors.map((each) => `${each.field}: ${each.reason}`).join("; ") : "";
  const words = fields || body.detail || body.title || (status >= 500 ? "The realm could not answer." : "The realm refused it.");
  return new ApiError(status, body.reason ?? body.type ?? "", capital(String(words)), body);
}

/** @param {string} words */
const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** What went wrong, for people. @param {unknown} error */
export const words = (error) => (error instanceof Error ? error.message : String(error));
