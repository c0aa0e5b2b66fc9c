/** Acknowledges reliable notifications in time. */

export class Acks {
  /** @type {(() => void) | null} */
  #cancel = null;

  /**
   * @param {object} options
   * @param {import("./clock.js").Clock} options.clock
   * @param {import("./reliable.js").Reliable} options.reliable
   * @param {(seq: number) => void} options.send
   */
  constructor({ clock, reliable, send }) {
    this.clock = clock;
    this.reliable = reliable;
    this.send = send;
  }

  /** Something came: says so now or a little later, as the rules are. */
  note() {
    const seconds = this.reliable.ackIn(this.clock.now());
    if (seconds === null) return;
    if (seconds > 0) {
      this.#cancel ??= this.clock.after(seconds, () => this.#sendNow());
    } else {
      this.#sendNow();
    }
  }

  /** There is no socket any more. */
  stop() {
    this.#cancel?.();
    this.#cancel = null;
  }

  #sendNow() {
    this.stop();
    this.send(this.reliable.ack());
  }
}
