/**
 * Opens a `BatchMessage`, compressed (zlib, RFC 1950) or not, without letting a small frame become a large heap.
 */

import { BatchMessageMessage } from "./messages.js";
import { WireError } from "./wire.js";

/** PROTOCOL.md, "Framing": at most this towards the client. */
export const MAX_INFLATED_BYTES = 10 * 1024 * 1024;

/**
 * The messages inside, in order.
 * @param {import("./messages.js").BatchMessage} batch
 * @param {number} [limit] bytes
 * @returns {Promise<import("./messages.js").WebSocketMessage[]>}
 * @throws {WireError} too large, not zlib, of another size than announced, or nested
 */
export async function openBatch(batch, limit = MAX_INFLATED_BYTES) {
  let messages = batch.messages;
  if (batch.compressed) {
    if (batch.originalSize > limit) throw new WireError(`a batch of ${batch.originalSize} bytes, over ${limit}`);
    const bytes = await inflate(batch.payload, Math.min(limit, batch.originalSize));
    if (bytes.length !== batch.originalSize) {
      throw new WireError(`a batch of ${bytes.length} bytes that announced ${batch.originalSize}`);
    }
    const inner = BatchMessageMessage.decode(bytes);
    if (inner.compressed) throw new WireError("a compressed batch inside a compressed batch");
    messages = inner.messages;
  }
  if (messages.some((message) => message.batch)) throw new WireError("a batch inside a batch");
  return messages;
}

/**
 * @param {Uint8Array} payload
 * @param {number} limit
 */
async function inflate(payload, limit) {
  const source = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (payload)]).stream();
  const reader = source.pipeThrough(new DecompressionStream("deflate")).getReader();
  /** @type {Uint8Array[]} */
  const chunks = [];
  let total = 0;
  for (;;) {
    let step;
    try {
      step = await reader.read();
    } catch {
      throw new WireError("a batch whose payload is no zlib stream");
    }
    if (step.done) break;
    total += step.value.length;
    if (total > limit) {
      await reader.cancel();
      throw new WireError(`a batch that inflates to more than ${limit} bytes`);
    }
    chunks.push(step.value);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
