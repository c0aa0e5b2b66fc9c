/**
 * One lasting connection to a realm over WebSockets that come and go (PROTOCOL.md, "Connecting", "Framing", "Close codes").
 *
 * Events, each a CustomEvent with a `detail`:
 * - `state`: ConnectionState
 * - `ready`: params of `session.ready`, on every new socket
 * - `view`: ViewFrame
 * - `notification`: {method, params}
 * - `fault`: Error, a frame that could not be read
 *
 * @typedef {object} ConnectionState
 * @property {"off" | "connecting" | "ready" | "waiting" | "asleep" | "ended"} name
 *   waiting: for the next attempt; asleep: closed as idle, `connect()` goes on; ended: will not reconnect by itself
 * @property {number} [retryAt] of `waiting`: on the clock, seconds
 * @property {number} [code] of the last close
 * @property {string} [why] in a few words
 */

import { ApiError } from "./api.js";
import { Backoff } from "./backoff.js";
import { openBatch } from "./batch.js";
import { systemClock } from "./clock.js";
import { closeRule } from "./close_codes.js";
import { Heartbeat } from "./heartbeat.js";
import { decodeMessage, encodeMove, encodeNotification, encodeRequest, unpackAny } from "./messages.js";
import { NoAnswer, PendingRequests } from "./pending.js";
import { WireError } from "./wire.js";

export const SUBPROTOCOL = "rayrealm.v1+proto";

/** From the start of an attempt to `session.ready`, seconds. */
const CONNECT_DEADLINE_S = 10;
/** A socket that lived this long resets the backoff, seconds. */
const STABLE_S = 5;
/** Moves are left out while more than this waits to be sent, bytes: the next one is newer anyway. */
const MOVE_BUFFER_BYTES = 16 * 1024;
/** `WebSocket.OPEN`. */
const OPEN = 1;
/** Frames that may wait behind a batch that is being inflated. */
const MAX_WAITING_FRAMES = 1_000;

/** @param {string} url @param {string[]} protocols */
const openSocket = (url, protocols) => new WebSocket(url, protocols);

export class Connection extends EventTarget {
  /** @type {WebSocket | null} */
  #socket = null;
  /** Grows with every attempt and every end, so that what belongs to an older one is ignored. */
  #attempt = 0;
  #doubted = false;
  /** @type {(() => void)[]} */
  #timers = [];
  /** While a batch is being opened, what came after it waits here, so that it does not overtake. */
  #opening = false;
  /** @type {Uint8Array[]} */
  #behind = [];

  /**
   * @param {object} options
   * @param {string} options.url `ws://` or `wss://`, with the path
   * @param {(options: {doubted: boolean}) => Promise<string>} options.token as `Credentials.token`
   * @param {string} [options.sessionId] a session to resume
   * @param {(url: string, protocols: string[]) => WebSocket} [options.open]
   * @param {import("./clock.js").Clock} [options.clock]
   * @param {() => number} [options.random]
   */
  constructor({ url, token, sessionId = "", open = openSocket, clock = systemClock, random = Math.random }) {
    super();
    this.url = url;
    this.token = token;
    this.sessionId = sessionId;
    this.open = open;
    this.clock = clock;
    this.backoff = new Backoff({ random });
    this.pending = new PendingRequests(clock);
    this.heartbeat = new Heartbeat({
      clock,
      ping: () => this.request("system.ping", {}, Heartbeat.DEADLINE_S),
      silent: () => this.#drop(4002, "no answer to pings"),
    });
    /** @type {ConnectionState} */
    this.state = { name: "off" };
  }

  /** Seconds from a ping to its answer, the median of the last few; null before the first. */
  get latency() {
    return this.heartbeat.latency;
  }

  get ready() {
    return this.state.name === "ready";
  }

  /** Connects now, unless it is connected or about to be. */
  connect() {
    if (this.state.name === "connecting" || this.state.name === "ready") return;
    void this.#connect();
  }

  /** Closes, for good until `connect()`. @param {string} [why] */
  disconnect(why = "closed by the player") {
    this.#leaveSocket();
    this.#enter({ name: "off", why });
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} [params] plain JSON
   * @param {number} [deadlineS] seconds
   * @returns {Promise<Record<string, any>>} the result
   * @throws {import("./pending.js").RpcError | NoAnswer} what the realm said, or that it said nothing
   */
  async request(method, params = {}, deadlineS = 5) {
    const socket = this.#openSocket;
    if (!socket) throw new NoAnswer(`${method}: not connected`);
    const { id, result } = this.pending.open(method, deadlineS);
    socket.send(encodeRequest(id, method, params));
    return result;
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} [params] plain JSON
   * @returns {boolean} whether it was handed to the socket
   */
  notify(method, params = {}) {
    const socket = this.#openSocket;
    socket?.send(encodeNotification(method, params));
    return socket !== null;
  }

  /**
   * @param {import("./messages.js").PositionUpdate} move
   * @returns {boolean} whether it was handed to the socket
   */
  sendMove(move) {
    const socket = this.#openSocket;
    if (!socket || socket.bufferedAmount > MOVE_BUFFER_BYTES) return false;
    socket.send(encodeMove(move));
    return true;
  }

  /** The socket, if it takes something: one that is closing does not, but tells of its close only later. */
  get #openSocket() {
    return this.ready && this.#socket?.readyState === OPEN ? this.#socket : null;
  }

  async #connect() {
    this.#leaveSocket();
    const attempt = this.#attempt;
    this.#enter({ name: "connecting", why: this.state.why });
    this.#later(CONNECT_DEADLINE_S, () => this.#drop(1006, "no answer from the realm"));
    let token;
    try {
      token = await this.token({ doubted: this.#doubted });
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error instanceof ApiError && error.status === 401) {
        this.#leaveSocket();
        this.#enter({ name: "ended", code: 4501, why: "the login has ended" });
        return;
      }
      this.#drop(1006, error instanceof ApiError ? error.reason : String(error));
      return;
    }
    if (attempt !== this.#attempt) return;
    const query = this.sessionId ? `?session=${encodeURIComponent(this.sessionId)}` : "";
    const socket = this.open(this.url + query, [SUBPROTOCOL, `rayrealm.token.${token}`]);
    socket.binaryType = "arraybuffer";
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#doubted = false;
    };
    socket.onmessage = (event) => {
      if (attempt === this.#attempt) this.#receive(event.data, attempt);
    };
    socket.onclose = (event) => {
      if (attempt !== this.#attempt) return;
      this.#doubted = !opened;
      this.#drop(event.code, event.reason || closeRule(event.code).name);
    };
    this.#socket = socket;
  }

  /**
   * @param {unknown} data
   * @param {number} attempt
   */
  #receive(data, attempt) {
    if (!(data instanceof ArrayBuffer)) {
      this.#fault(new WireError("a text frame in the binary subprotocol"));
      return;
    }
    if (!this.#opening) {
      this.#read(new Uint8Array(data), attempt);
    } else if (this.#behind.push(new Uint8Array(data)) > MAX_WAITING_FRAMES) {
      this.#fault(new WireError("too many frames behind a batch"));
    }
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} attempt
   */
  #read(bytes, attempt) {
    try {
      const message = decodeMessage(bytes);
      if (message.batch) void this.#open(message.batch, attempt);
      else this.#handle(message);
    } catch (error) {
      this.#fault(/** @type {Error} */ (error));
    }
  }

  /**
   * @param {import("./messages.js").BatchMessage} batch
   * @param {number} attempt
   */
  async #open(batch, attempt) {
    this.#opening = true;
    try {
      const messages = await openBatch(batch);
      for (const message of messages) {
        if (attempt === this.#attempt) this.#handle(message);
      }
    } catch (error) {
      if (attempt === this.#attempt) this.#fault(/** @type {Error} */ (error));
    }
    if (attempt !== this.#attempt) return;
    this.#opening = false;
    while (!this.#opening && attempt === this.#attempt) {
      const next = this.#behind.shift();
      if (!next) return;
      this.#read(next, attempt);
    }
  }

  /** @param {import("./messages.js").WebSocketMessage} message */
  #handle(message) {
    if (message.view) {
      this.#emit("view", message.view);
    } else if (message.response) {
      this.pending.settle(message);
    } else if (message.notification) {
      const { method } = message.notification;
      const params = unpackAny(message.notification.params);
      if (method === "session.ready") this.#becomeReady(params);
      else this.#emit("notification", { method, params });
    }
  }

  /** @param {Record<string, any>} session params of `session.ready` */
  #becomeReady(session) {
    this.#stopTimers();
    this.sessionId = session.session_id;
    this.pending.limit = session.limits?.max_pending_requests ?? this.pending.limit;
    this.#later(STABLE_S, () => this.backoff.reset());
    this.#enter({ name: "ready" });
    this.heartbeat.start();
    this.#emit("ready", session);
  }

  /** @param {Error} error */
  #fault(error) {
    this.#emit("fault", error);
    this.#drop(1006, error.message);
  }

  /**
   * The socket is of no use any more: do what the code asks for.
   * @param {number} code
   * @param {string} why
   */
  #drop(code, why) {
    const { action } = closeRule(code);
    this.#leaveSocket();
    if (action === "stop") {
      this.#enter({ name: "ended", code, why });
      return;
    }
    if (action === "sleep") {
      this.#enter({ name: "asleep", code, why });
      return;
    }
    if (action === "afresh") this.sessionId = "";
    if (action === "renew") this.#doubted = true;
    const first = this.backoff.attempts === 0;
    const wait = this.backoff.next();
    const delay = action === "at_once" && first ? 0 : wait;
    this.#enter({ name: "waiting", code, why, retryAt: this.clock.now() + delay });
    this.#later(delay, () => this.connect());
  }

  #leaveSocket() {
    this.#attempt += 1;
    this.#stopTimers();
    this.heartbeat.stop();
    this.#opening = false;
    this.#behind = [];
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
    this.pending.abandon("the connection is gone");
  }

  /** @param {number} seconds @param {() => void} action */
  #later(seconds, action) {
    this.#timers.push(this.clock.after(seconds, action));
  }

  #stopTimers() {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    this.state = state;
    this.#emit("state", state);
  }

  /** @param {string} type @param {any} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
