/**
 * One lasting connection to a realm over WebSockets that come and go (PROTOCOL.md, "Connecting", "Framing", "Close codes",
 * "Reliable notifications", "Recovery").
 *
 * Events, each a CustomEvent with a `detail`:
 * - `state`: ConnectionState
 * - `ready`: params of `session.ready`, on every new socket
 * - `view`: ViewFrame
 * - `notification`: {method, params}; a reliable one comes once, across sockets
 * - `gap`: {topic}, reliable notifications were missed and will not come; topic null: of everything
 * - `degraded`: string[], other parts of the realm than before do not answer
 * - `fault`: Error, a frame that could not be read
 *
 * @typedef {object} ConnectionState
 * @property {"off" | "connecting" | "ready" | "waiting" | "asleep" | "ended"} name
 *   waiting: for the next attempt; asleep: closed as idle, `connect()` goes on; ended: will not reconnect by itself
 * @property {number} [retryAt] of `waiting`: on the clock, seconds
 * @property {number} [code] of the last close
 * @property {string} [why] in a few words
 * @property {boolean} [moving] on the way to another gateway, as the realm asked: nothing is wrong
 * @property {boolean} [recovered] of `ready`: nothing was missed since the socket before
 */

import { Acks } from "./acks.js";
import { ApiError } from "./api.js";
import { Backoff } from "./backoff.js";
import { systemClock } from "./clock.js";
import { closeRule } from "./close_codes.js";
import { CONNECT_DEADLINE_S, MOVE_BUFFER_BYTES, SETTLE_S, STABLE_S } from "./connection_limits.js";
import { readGap, readGreeting, readMoveOver, readTexts, readToken } from "./greeting.js";
import { Heartbeat } from "./heartbeat.js";
import { Inbox } from "./inbox.js";
import { encodeMove, encodeNotification, encodeRequest, unpackAny } from "./messages.js";
import { ConnectionGone, PendingRequests } from "./pending.js";
import { Recovery } from "./recovery.js";
import { Reliable } from "./reliable.js";
import { SignedSocket } from "./signed_socket.js";
import { Agreement } from "./signing.js";
import { until } from "./until.js";
import { WireError } from "./wire.js";

export const SUBPROTOCOL = "rayrealm.v1+proto";

/** Why the realm closes sockets with 1013 while it is closed to players. */
export const MAINTENANCE = "maintenance";
/** `WebSocket.OPEN`. */
const OPEN = 1;

/** @param {string} url @param {string[]} protocols */
const openSocket = (url, protocols) => new WebSocket(url, protocols);

export class Connection extends EventTarget {
  /** @type {WebSocket | SignedSocket | null} */
  #socket = null;
  /** @type {Inbox | null} */
  #inbox = null;
  /** Grows with every attempt and every end, so that what belongs to an older one is ignored. */
  #attempt = 0;
  #doubted = false;
  /** Handshakes refused in a row. */
  #refused = 0;
  /** Whether this socket is about to be left, as the realm asked. */
  #leaving = false;
  #toldToMove = false;
  /** @type {(() => void)[]} */
  #timers = [];

  /**
   * @param {object} options
   * @param {string} options.url `ws://` or `wss://`, with the path
   * @param {(options: {doubted: boolean}) => Promise<string>} options.token as `Credentials.token`
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} [options.storage] keeps the session over a reload
   * @param {(url: string, protocols: string[]) => WebSocket} [options.open]
   * @param {import("./clock.js").Clock} [options.clock]
   * @param {() => number} [options.wall] as Recovery takes it
   * @param {() => number} [options.random]
   * @param {boolean} [options.sign] all messages, both ways; throws where a browser cannot
   * @param {() => string} [options.trace] the traceparent (W3C Trace Context) of what is being done, or "", asked for each request
   */
  constructor({ url, token, storage = null, open = openSocket, clock = systemClock, wall, random = Math.random, sign = false, trace = () => "" }) {
    super();
    if (sign && !Agreement.possible) throw new Error("signing needs a secure context: https, or this machine");
    this.sign = sign;
    this.trace = trace;
    this.url = url;
    this.token = token;
    this.open = open;
    this.clock = clock;
    this.random = random;
    this.reliable = new Reliable();
    this.recovery = new Recovery({ reliable: this.reliable, storage, wall });
    this.backoff = new Backoff({ random });
    this.pending = new PendingRequests(clock);
    this.heartbeat = new Heartbeat({
      clock,
      ping: () => this.request("system.ping", {}, Heartbeat.DEADLINE_S),
      silent: () => this.#drop(4002, "no answer to pings"),
    });
    this.acks = new Acks({
      clock,
      reliable: this.reliable,
      send: (seq) => {
        this.recovery.save(); // first: the realm forgets what is acknowledged
        this.notify("session.ack", { seq });
      },
    });
    /** Parts of the realm that do not answer at the moment: `redis`, `nats`, `zone:<id>`. @type {string[]} */
    this.degraded = [];
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

  /** The session to resume; empty for a new one. */
  get sessionId() {
    return this.recovery.sessionId;
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
   * @throws {import("./pending.js").RpcError | import("./pending.js").NoAnswer} what the realm said, or that it said nothing
   */
  async request(method, params = {}, deadlineS = 5) {
    const late = this.clock.now() + deadlineS;
    if (this.#moving) await this.#once(() => !this.#moving, late);
    const socket = this.#openSocket;
    if (!socket) throw new ConnectionGone(`${method}: not connected`);
    const { id, result } = this.pending.open(method, late - this.clock.now());
    socket.send(encodeRequest(id, method, params, this.trace()));
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

  /** Something that came could not be understood: a new socket, and with it a whole view. @param {Error} error @param {number} [code] */
  fault(error, code = 1006) {
    this.#emit("fault", error);
    this.#drop(code, error.message);
  }

  /** The socket, if it takes something: one that is closing does not, but tells of its close only later. */
  get #openSocket() {
    return this.ready && this.#socket?.readyState === OPEN ? this.#socket : null;
  }

  /** Whether requests wait for the next socket. */
  get #moving() {
    return this.#leaving || this.state.moving === true;
  }

  /** @param {() => boolean} wanted of the state @param {number} time on the clock, seconds */
  #once(wanted, time) {
    return until(this, "state", wanted, this.clock, time);
  }

  async #connect() {
    this.#leaveSocket();
    const attempt = this.#attempt;
    const { why, moving } = this.state;
    this.#enter({ name: "connecting", why, moving });
    this.#later(CONNECT_DEADLINE_S, () => {
      this.#refused += 1;
      this.#drop(1006, "no answer from the realm");
    });
    const opening = this.recovery.opening(this.#refused);
    let secret = `recovery.${opening.recovery}`;
    if (!opening.recovery) {
      try {
        secret = `token.${await this.token({ doubted: this.#doubted })}`;
      } catch (error) {
        if (attempt === this.#attempt) this.#withoutToken(error);
        return;
      }
      if (attempt !== this.#attempt) return;
    }
    const agreement = this.sign ? await Agreement.create() : null;
    if (attempt !== this.#attempt) return;
    const wanted = { session: opening.sessionId, last: opening.last, sign: agreement?.offer ?? "" };
    const query = Object.entries(wanted).filter(([, value]) => value);
    const asked = query.length > 0 ? `?${new URLSearchParams(query)}` : "";
    const plain = this.open(this.url + asked, [SUBPROTOCOL, `rayrealm.${secret}`]);
    const socket = agreement ? new SignedSocket(plain, agreement, (error) => this.fault(error, 4505)) : plain;
    const inbox = new Inbox({ handle: (message) => this.#handle(message), fault: (error) => this.fault(error) });
    plain.binaryType = "arraybuffer";
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#doubted = false;
      this.#refused = 0;
    };
    socket.onmessage = (/** @type {{data: unknown}} */ event) => inbox.receive(event.data);
    socket.onclose = (/** @type {CloseEvent} */ event) => {
      if (attempt !== this.#attempt) return;
      this.#doubted = !opened;
      if (!opened) this.#refused += 1;
      // A browser is not told why an upgrade is refused: while the realm is closed, that is why.
      const still = !opened && why === MAINTENANCE ? why : closeRule(event.code).name;
      this.#drop(event.code, event.reason || still);
    };
    this.#socket = socket;
    this.#inbox = inbox;
  }

  /** @param {unknown} error why there is no access token */
  #withoutToken(error) {
    const { status, reason, retryAfterS: leastS } = error instanceof ApiError ? error : { status: 0, reason: String(error), retryAfterS: 0 };
    if (status === 401 || status === 403) {
      this.#leaveSocket();
      this.#enter({ name: "ended", code: status === 401 ? 4501 : 4503, why: reason });
      return;
    }
    this.#drop(1006, reason, { leastS });
  }

  /** @param {import("./messages.js").WebSocketMessage} message */
  #handle({ view, response, notification, idNumber }) {
    if (!this.ready) {
      if (notification?.method !== "session.ready") throw new WireError("the first message is no session.ready");
      this.#becomeReady(unpackAny(notification.params));
    } else if (view) {
      this.#emit("view", view);
    } else if (response) {
      this.pending.settle({ jsonrpc: "2.0", response, idNumber });
    } else if (notification) {
      const seq = Number(notification.seq ?? 0);
      const params = unpackAny(notification.params);
      const isNew = seq === 0 || this.reliable.take(seq, this.clock.now());
      if (seq !== 0) this.acks.note();
      if (isNew) this.#heed(notification.method, params);
    }
  }

  /** @param {string} method @param {Record<string, any>} params */
  #heed(method, params) {
    switch (method) {
      case "session.token":
        this.recovery.renewed(readToken(params));
        return;
      case "session.reconnect":
        this.#moveOver(readMoveOver(params));
        return;
      case "session.gap":
        this.#emit("gap", { topic: readGap(params) });
        return;
      case "system.degraded":
        this.#setDegraded(readTexts(params.parts));
        return;
      default:
        this.#emit("notification", { method, params });
    }
  }

  /** @param {Record<string, any>} session params of `session.ready` */
  #becomeReady(session) {
    const greeting = readGreeting(session);
    this.#stopTimers();
    const whole = this.reliable.begin(greeting, this.clock.now());
    this.recovery.attached(greeting.sessionId, greeting.recovery);
    this.pending.limit = greeting.maxPendingRequests;
    this.#toldToMove = false;
    this.#later(STABLE_S, () => this.backoff.reset());
    this.#enter({ name: "ready", recovered: greeting.recovered });
    this.acks.note();
    this.heartbeat.start();
    this.#emit("ready", session);
    this.#setDegraded(greeting.degraded);
    if (!whole) this.#emit("gap", { topic: null });
  }

  /** @param {string[]} parts */
  #setDegraded(parts) {
    if (parts.toSorted().join() === this.degraded.toSorted().join()) return;
    this.degraded = parts;
    this.#emit("degraded", parts);
  }

  /** To another gateway, at a random moment, when what was asked is answered. @param {ReturnType<typeof readMoveOver>} told */
  #moveOver({ recovery, reason, withinS }) {
    this.recovery.renewed(recovery);
    if (this.#toldToMove) return;
    this.#toldToMove = true;
    const attempt = this.#attempt;
    this.#later(this.random() * withinS, () => {
      this.#leaving = true;
      const leave = () => {
        if (attempt === this.#attempt) this.#drop(1012, reason, { moving: true });
      };
      this.#later(SETTLE_S, leave);
      this.pending.whenIdle(leave);
    });
  }

  /**
   * The socket is of no use any more: do what the code asks for.
   * @param {number} code
   * @param {string} why
   * @param {{moving?: boolean, leastS?: number}} [options] moving: it was left because the realm asked for it; leastS: seconds to wait at least
   */
  #drop(code, why, { moving = false, leastS = 0 } = {}) {
    const { action } = closeRule(code);
    this.#leaveSocket();
    if (action === "stop" || action === "renew") this.recovery.forgetToken(); // only a login helps
    if (action === "stop") {
      this.#enter({ name: "ended", code, why });
      return;
    }
    if (action === "sleep") {
      this.#enter({ name: "asleep", code, why });
      return;
    }
    if (action === "afresh") this.recovery.forgetSession();
    if (action === "renew") this.#doubted = true;
    const first = this.backoff.attempts === 0;
    const wait = this.backoff.next();
    const delay = Math.max(leastS, action === "at_once" && first ? 0 : wait);
    this.#enter({ name: "waiting", code, why, moving, retryAt: this.clock.now() + delay });
    this.#later(delay, () => this.connect());
  }

  #leaveSocket() {
    this.#attempt += 1;
    this.#stopTimers();
    this.#leaving = false;
    this.acks.stop();
    this.heartbeat.stop();
    this.#inbox?.close();
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
