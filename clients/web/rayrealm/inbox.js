/**
 * Frames of one socket, read in the order they came: what follows a compressed batch waits until that is open.
 */

import { openBatch } from "./batch.js";
import { checkMessage, decodeMessage } from "./messages.js";
import { WireError } from "./wire.js";

/** Frames that may wait behind a batch that is being inflated. */
const MAX_WAITING_FRAMES = 1_000;

export class Inbox {
  #opening = false;
  #closed = false;
  /** @type {Uint8Array[]} */
  #behind = [];

  /**
   * @param {object} options
   * @param {(message: import("./messages.js").WebSocketMessage) => void} options.handle called for each message
   * @param {(error: Error) => void} options.fault called for a frame that is no message, and for what `handle` throws
   */
  constructor({ handle, fault }) {
    this.handle = handle;
    this.fault = fault;
  }

  /** Nothing is handled any more. */
  close() {
    this.#closed = true;
    this.#behind = [];
  }

  /** @param {unknown} data of a message event */
  receive(data) {
    if (!(data instanceof ArrayBuffer)) {
      this.#refuse(new WireError("a text frame in the binary subprotocol"));
      return;
    }
    if (!this.#opening) {
      this.#read(new Uint8Array(data));
    } else if (this.#behind.push(new Uint8Array(data)) > MAX_WAITING_FRAMES) {
      this.#refuse(new WireError("too many frames behind a batch"));
    }
  }

  /** @param {Uint8Array} bytes */
  #read(bytes) {
    try {
      const message = decodeMessage(bytes);
      if (message.batch) void this.#open(message.batch);
      else this.#take(message);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** @param {import("./messages.js").BatchMessage} batch */
  async #open(batch) {
    this.#opening = true;
    try {
      for (const message of await openBatch(batch)) this.#take(message);
    } catch (error) {
      this.#refuse(error);
    }
    this.#opening = false;
    while (!this.#opening && !this.#closed) {
      const next = this.#behind.shift();
      if (!next) return;
      this.#read(next);
    }
  }

  /** @param {import("./messages.js").WebSocketMessage} message */
  #take(message) {
    if (this.#closed) return;
    checkMessage(message);
    this.handle(message);
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (!this.#closed) this.fault(/** @type {Error} */ (error));
  }
}
