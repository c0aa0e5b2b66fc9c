/**
 * A WebSocket whose messages are signed, both ways: looks like a WebSocket as far as `Connection` uses one. The order of messages stays
 * what it was, although Web Crypto answers later; a close comes after the messages before it.
 */

import { openBatch } from "./batch.js";
import { decodeMessage, unpackAny } from "./messages.js";
import { BadSignature } from "./signing.js";

/** Close code (PROTOCOL.md). */
const BAD_SIGNATURE = 4505;

/** Messages that may wait to be verified. */
const MAX_WAITING = 1_000;

export class SignedSocket {
  /** @type {((event: Event) => void) | null} */
  onopen = null;
  /** @type {((event: {data: unknown}) => void) | null} */
  onmessage = null;
  /** @type {((event: CloseEvent) => void) | null} */
  onclose = null;
  /** @type {import("./signing.js").Signer | null} */
  #signer = null;
  #closed = false;
  #waiting = 0;
  #unsentBytes = 0;
  #incoming = Promise.resolve();
  #outgoing = Promise.resolve();

  /**
   * @param {WebSocket} socket
   * @param {import("./signing.js").Agreement} agreement whose offer the upgrade had
   * @param {(error: Error) => void} doubt called once, for what must not be believed; nothing is handed on after it
   */
  constructor(socket, agreement, doubt) {
    this.socket = socket;
    this.agreement = agreement;
    this.doubt = doubt;
    socket.onopen = (event) => this.onopen?.(event);
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => {
      this.#incoming = this.#incoming.then(() => this.onclose?.(event));
    };
  }

  get readyState() {
    return this.socket.readyState;
  }

  get bufferedAmount() {
    return this.socket.bufferedAmount + this.#unsentBytes;
  }

  /** @param {Uint8Array<ArrayBuffer>} message */
  send(message) {
    if (!this.#signer) throw new Error("nothing can be signed before session.ready");
    const sealing = this.#signer.seal(message);
    this.#unsentBytes += message.length;
    this.#outgoing = this.#outgoing.then(async () => {
      try {
        this.socket.send(await sealing);
      } catch (error) {
        this.#doubt(error);
      } finally {
        this.#unsentBytes -= message.length;
      }
    });
  }

  /** After what was sent before. @param {number} [code] @param {string} [reason] */
  close(code, reason) {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.#outgoing = this.#outgoing.then(() => this.socket.close(code, reason));
  }

  /** @param {unknown} data */
  #take(data) {
    this.#waiting += 1;
    if (this.#waiting > MAX_WAITING) {
      this.#doubt(new Error("too many messages wait to be verified"));
      return;
    }
    this.#incoming = this.#incoming.then(async () => {
      if (this.#closed) return;
      try {
        const verified = await this.#verified(data);
        if (!this.#closed) this.onmessage?.({ data: verified });
      } catch (error) {
        this.#doubt(error);
      } finally {
        this.#waiting -= 1;
      }
    });
  }

  /** @param {unknown} data @returns {Promise<ArrayBuffer>} */
  async #verified(data) {
    if (!(data instanceof ArrayBuffer)) throw new Error("a text frame in the binary subprotocol");
    const bytes = new Uint8Array(data);
    if (this.#signer) return (await this.#signer.open(bytes)).buffer;
    const message = decodeMessage(bytes);
    // A long one comes as a compressed batch. The keys are made from the bytes as they came.
    const notification = message.batch ? (await openBatch(message.batch))[0]?.notification : message.notification;
    if (notification?.method !== "session.ready") throw new Error("the first message is no session.ready");
    this.#signer = await this.agreement.agree(bytes, unpackAny(notification.params));
    return data;
  }

  /** @param {unknown} error */
  #doubt(error) {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(BAD_SIGNATURE, error instanceof BadSignature ? error.reason : "");
    this.doubt(/** @type {Error} */ (error));
  }
}
