/**
 * The client's end of the reliable lane (PROTOCOL.md, "Reliable notifications" and "Recovery"): which numbers have come, and when to say
 * so. Plain rules: the time is an argument, nothing is sent from here.
 */

/** The protocol grants 1 s; the rest is for the way there. */
export const ACK_AFTER_S = 0.8;
export const ACK_COUNT = 64;

export class Reliable {
  #acked = 0;
  /** @type {number | null} when to acknowledge, on the clock */
  #due = null;
  /** Whether the server may be told of `seq`. */
  #presentable = false;

  constructor() {
    /** Names the numbering. */
    this.stream = "";
    /** The newest number seen in it. */
    this.seq = 0;
    /** Numbered notifications that were new. */
    this.received = 0;
    /** Those that had come before, and were dropped. */
    this.duplicates = 0;
    /** How often numbers were left out, which a server never does. */
    this.gaps = 0;
  }

  /** What to resume after; empty when there is nothing to go by. */
  get last() {
    return this.#presentable ? `${this.stream}.${this.seq}` : "";
  }

  /** Goes on with what an earlier page has seen. @param {string} stream @param {number} seq */
  remember(stream, seq) {
    this.stream = stream;
    this.seq = seq;
    this.#presentable = true;
  }

  /** What was seen is no longer presented: the session is another one. */
  forget() {
    this.#presentable = false;
  }

  /**
   * A socket is ready, and says where it goes on. A resumed session is acknowledged to at once: that tells the server that the client got through.
   * @param {{stream: string, seq: number, recovered: boolean, resumed: boolean}} greeting
   * @param {number} now seconds
   * @returns {boolean} false: notifications were missed, and will not come
   */
  begin({ stream, seq, recovered, resumed }, now) {
    let whole = this.stream === ""; // nothing was ever seen, so nothing can be missed
    let newest = seq;
    if (recovered && stream === this.stream) {
      whole = true;
      if (seq > this.seq) this.gaps += 1;
      newest = Math.max(seq, this.seq);
    }
    this.remember(stream, newest);
    this.#acked = newest;
    this.#due = resumed ? now : null;
    return whole;
  }

  /**
   * A numbered notification came.
   * @param {number} seq
   * @param {number} now seconds
   * @returns {boolean} false: it is a duplicate, and to be dropped
   */
  take(seq, now) {
    this.#due ??= now + ACK_AFTER_S; // a duplicate, too: its acknowledgement may be what got lost
    if (seq <= this.seq) {
      this.duplicates += 1;
      return false;
    }
    if (seq > this.seq + 1) this.gaps += 1;
    this.seq = seq;
    this.received += 1;
    return true;
  }

  /** Seconds until an acknowledgement is due; null while there is nothing to acknowledge. @param {number} now */
  ackIn(now) {
    if (this.#due === null) return null;
    return this.seq - this.#acked >= ACK_COUNT ? 0 : Math.max(0, this.#due - now);
  }

  /** The number to acknowledge now: all up to it have come. */
  ack() {
    this.#acked = this.seq;
    this.#due = null;
    return this.seq;
  }
}
