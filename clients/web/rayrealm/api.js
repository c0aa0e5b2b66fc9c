/**
 * The HTTP API of PROTOCOL.md: accounts and characters. Errors are RFC 9457 problem details, turned into ApiError.
 *
 * @typedef {{user_id: string, access_token: string, token_type: string, expires_in: number, refresh_token: string}} Tokens
 * @typedef {{character_id: string, name: string, zone: string | null, position: {x: number, y: number, z: number} | null, created_at?: string}} Character
 */

/** What the realm refused, or that it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {object} problem
   * @param {number} problem.status HTTP status; 0 when there was no answer
   * @param {string} problem.reason a stable word for programs; `unreachable` or `timeout` without an answer
   * @param {string} [problem.detail] for people
   * @param {{field: string, reason: string}[]} [problem.errors] wrong fields
   * @param {number} [problem.retryAfterS] seconds
   */
  constructor({ status, reason, detail = "", errors = [], retryAfterS }) {
    super(detail || reason);
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.detail = detail;
    this.errors = errors;
    this.retryAfterS = retryAfterS;
  }
}

export class RealmApi {
  /**
   * @param {object} [options]
   * @param {string} [options.base] where the realm is, without a slash at the end; empty: the page's own origin
   * @param {typeof globalThis.fetch} [options.send] what makes an HTTP request
   * @param {number} [options.deadlineS] seconds per call
   */
  constructor({ base = "", send = globalThis.fetch.bind(globalThis), deadlineS = 10 } = {}) {
    this.base = base;
    this.send = send;
    this.deadlineS = deadlineS;
  }

  /** What the realm says to everybody. @returns {Promise<{realm: string, zones: object[], websocket: string, sign: boolean}>} */
  realm() {
    return this.#call("GET", "/v1/realm", {});
  }

  /** @param {string} username @param {string} password @returns {Promise<Tokens>} */
  register(username, password) {
    return this.#call("POST", "/v1/auth/register", { body: { username, password } });
  }

  /** @param {string} username @param {string} password @returns {Promise<Tokens>} */
  login(username, password) {
    return this.#call("POST", "/v1/auth/login", { body: { username, password } });
  }

  /**
   * Every login of the user's ends, on every device; the answer is a new one.
   * @param {string} token @param {string} current @param {string} next @returns {Promise<Tokens>}
   */
  changePassword(token, current, next) {
    return this.#call("POST", "/v1/auth/password", { token, body: { current, new: next } });
  }

  /** A refresh token works once: keep the new one. @param {string} refreshToken @returns {Promise<Tokens>} */
  refresh(refreshToken) {
    return this.#call("POST", "/v1/auth/refresh", { body: { refresh_token: refreshToken } });
  }

  /** @param {string} refreshToken @returns {Promise<void>} */
  async logout(refreshToken) {
    await this.#call("POST", "/v1/auth/logout", { body: { refresh_token: refreshToken } });
  }

  /** @param {string} token access token @returns {Promise<Character[]>} */
  async characters(token) {
    return (await this.#call("GET", "/v1/characters", { token })).characters;
  }

  /** @param {string} token @param {string} name @returns {Promise<Character>} */
  createCharacter(token, name) {
    return this.#call("POST", "/v1/characters", { token, body: { name } });
  }

  /** @param {string} token @param {string} characterId @returns {Promise<void>} */
  async deleteCharacter(token, characterId) {
    await this.#call("DELETE", `/v1/characters/${encodeURIComponent(characterId)}`, { token });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{body?: object, token?: string}} options
   * @returns {Promise<any>} the parsed body; null for 204
   */
  async #call(method, path, { body, token }) {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    let response;
    let text;
    try {
      response = await this.send(this.base + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.timeout(this.deadlineS * 1000),
      });
      text = await response.text();
    } catch (error) {
      const late = error instanceof DOMException && error.name === "TimeoutError";
      throw new ApiError({ status: 0, reason: late ? "timeout" : "unreachable" });
    }
    const parsed = parseJson(text);
    if (!response.ok) throw problemOf(response, parsed);
    if (response.status === 204) return null;
    if (parsed === null || typeof parsed !== "object") {
      throw new ApiError({ status: response.status, reason: "bad_answer", detail: "The answer is no JSON object." });
    }
    return parsed;
  }
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy in between may answer with a page; the status still says what happened
  }
}

/**
 * @param {Response} response
 * @param {any} body
 */
function problemOf(response, body) {
  const retryAfter = Number(response.headers.get("Retry-After") ?? NaN);
  const errors = Array.isArray(body?.errors) ? body.errors : [];
  return new ApiError({
    status: response.status,
    reason: typeof body?.reason === "string" ? body.reason : `http_${response.status}`,
    detail: typeof body?.detail === "string" ? body.detail : "",
    errors: errors.map((/** @type {any} */ each) => ({ field: String(each?.field ?? ""), reason: String(each?.reason ?? "") })),
    retryAfterS: Number.isFinite(retryAfter) ? retryAfter : undefined,
  });
}
