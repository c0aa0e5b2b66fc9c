/**
 * The live feed: one WebSocket for the whole page. Topics are followed as long as anyone listens; after a break everything is sent
 * anew by the realm, so nobody who listens has to care.
 */

import { BASE } from "./api.js";
import { merge } from "./merge.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** Something must come this often (the realm pings through the topic `clock`); a dead connection is noticed so. */
const SILENCE_MS = 15_000;

/** @typedef {(data: any, change: {full: boolean, changed: string[], gone: string[]}) => void} Handler */

export class Live extends EventTarget {
  /** @type {Map<string, {handlers: Set<Handler>, data: any}>} */
  #topics = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #watch = 0;
  #running = false;
  /** `off`: not started; `connecting`: for the first time; `live`; `away`: what is shown is old. */
  state = "off";
  /** Unix seconds of the newest news. */
  heardAt = 0;

  /** @type {(now: number) => void} the realm's time, Unix seconds */
  onClock = () => {};

  /** @param {() => Promise<boolean>} welcome asked before each new try: whether somebody is still logged in */
  constructor(welcome) {
    super();
    this.welcome = welcome;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#hurry();
    });
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#become("connecting");
    this.#open();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#drop();
    for (const each of this.#topics.values()) each.data = null;
    this.#become("off");
  }

  /**
   * Calls with the topic's whole state now (if it is known) and after each change. @param {string} topic @param {Handler} handler
   * @returns {() => void} stop
   */
  on(topic, handler) {
    const known = this.#topics.get(topic);
    if (known) {
      known.handlers.add(handler);
      if (known.data) handler(known.data, { full: true, changed: [], gone: [] });
    } else {
      this.#topics.set(topic, { handlers: new Set([handler]), data: null });
      this.#send({ subscribe: [topic] });
    }
    return () => {
      const now = this.#topics.get(topic);
      if (!now?.handlers.delete(handler) || now.handlers.size > 0) return;
      this.#topics.delete(topic);
      this.#send({ unsubscribe: [topic] });
    };
  }

  #open() {
    const url = new URL("ws", BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#listen();
    socket.onopen = () => {
      this.#wait = FIRST_WAIT_MS;
      this.#become("live");
      this.#send({ subscribe: [...this.#topics.keys()] });
    };
    socket.onmessage = ({ data }) => {
      this.#listen();
      this.heardAt = Date.now() / 1000;
      this.#hear(JSON.parse(data));
    };
    socket.onclose = () => this.#lost(socket);
  }

  /** @param {{topic: string, data: any}} news */
  #hear({ topic, data }) {
    if (topic === "clock") this.onClock(data.now);
    const known = this.#topics.get(topic);
    if (!known) return;
    const [whole, change] = merge(topic, known.data, data);
    known.data = whole;
    for (const handler of [...known.handlers]) handler(whole, change);
  }

  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#socket && this.#lost(this.#socket), SILENCE_MS);
  }

  /** @param {WebSocket} socket */
  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#drop();
    if (!this.#running) return;
    this.#become("away");
    this.#timer = setTimeout(() => this.#again(), this.#wait * (0.5 + Math.random() / 2));
    this.#wait = Math.min(LONGEST_WAIT_MS, this.#wait * 2);
  }

  async #again() {
    this.#timer = 0;
    if (!(await this.welcome()) || !this.#running || this.#socket) return;
    this.#open();
  }

  #hurry() {
    if (!this.#running || this.#socket || !this.#timer) return;
    clearTimeout(this.#timer);
    this.#wait = FIRST_WAIT_MS;
    this.#again();
  }

  #drop() {
    clearTimeout(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {string} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
