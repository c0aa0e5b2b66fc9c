/**
 * The protobuf wire format (https://protobuf.dev/programming-guides/encoding/): a reader and a writer of its primitives.
 *
 * Knows nothing of messages; `schema.js` builds those on top.
 */

/** Bytes that are no protobuf, or a value that its type cannot hold. */
export class WireError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "WireError";
  }
}

/** Wire types: how the bytes after a tag are laid out. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const GROUP_START = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;

/** Messages inside messages, at most; the same limit as the reference implementations. */
export const MAX_DEPTH = 100;

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** Reads primitives from bytes. Every method throws WireError rather than read past the end. */
export class Reader {
  /**
   * @param {Uint8Array} bytes
   * @param {number} [start]
   * @param {number} [end]
   */
  constructor(bytes, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    /** Halves of the varint read last, unsigned. */
    this.low = 0;
    this.high = 0;
  }

  /** Whether there is more to read. */
  get more() {
    return this.position < this.end;
  }

  /**
   * Steps over `count` bytes and returns where they began.
   * @param {number} count
   */
  take(count) {
    const start = this.position;
    if (count > this.end - start) throw new WireError(`truncated: ${count} bytes wanted, ${this.end - start} left`);
    this.position = start + count;
    return start;
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  varint() {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.bytes[this.take(1)];
      const bits = byte & 0x7f;
      if (index < 4) {
        low |= bits << (7 * index);
      } else if (index === 4) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else {
        high |= bits << (7 * index - 32);
      }
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new WireError("a varint is longer than 10 bytes");
  }

  /** A tag: the field number times 8, plus the wire type. */
  tag() {
    this.varint();
    if (this.high !== 0 || this.low < 8) throw new WireError("a tag with an impossible field number");
    return this.low;
  }

  uint32() {
    this.varint();
    return this.low;
  }

  int32() {
    this.varint();
    return this.low | 0;
  }

  bool() {
    this.varint();
    return this.low !== 0 || this.high !== 0;
  }

  /** A number where it is exact, else a bigint. */
  int64() {
    this.varint();
    return narrow(BigInt.asIntN(64, (BigInt(this.high) << 32n) | BigInt(this.low)));
  }

  /** A number where it is exact, else a bigint. */
  uint64() {
    this.varint();
    return narrow((BigInt(this.high) << 32n) | BigInt(this.low));
  }

  fixed32() {
    return this.view.getUint32(this.take(4), true);
  }

  /** A number where it is exact, else a bigint. */
  fixed64() {
    return narrow(this.view.getBigUint64(this.take(8), true));
  }

  float() {
    return this.view.getFloat32(this.take(4), true);
  }

  double() {
    return this.view.getFloat64(this.take(8), true);
  }

  /** The length of what follows, checked against what is left. */
  length() {
    this.varint();
    if (this.high !== 0 || this.low > this.end - this.position) {
      throw new WireError(`truncated: a length of ${this.low} with ${this.end - this.position} bytes left`);
    }
    return this.low;
  }

  /** A view of the bytes, not a copy. */
  chunk() {
    const length = this.length();
    const start = this.take(length);
    return this.bytes.subarray(start, start + length);
  }

  string() {
    try {
      return utf8Decoder.decode(this.chunk());
    } catch (error) {
      if (error instanceof WireError) throw error;
      throw new WireError("a string that is not UTF-8");
    }
  }

  /** A reader over the length-delimited bytes that follow. */
  nested() {
    const length = this.length();
    const start = this.take(length);
    return new Reader(this.bytes, start, start + length);
  }

  /**
   * Steps over a field that is not known.
   * @param {number} tag as `tag()` returned it
   * @param {number} [depth]
   */
  skip(tag, depth = 0) {
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.take(8);
        return;
      case LENGTH:
        this.take(this.length());
        return;
      case FIXED32:
        this.take(4);
        return;
      case GROUP_START:
        if (depth >= MAX_DEPTH) throw new WireError("groups nested too deep");
        for (;;) {
          const inner = this.tag();
          if ((inner & 7) === GROUP_END) {
            if (inner >>> 3 !== tag >>> 3) throw new WireError("a group ends that did not start");
            return;
          }
          this.skip(inner, depth + 1);
        }
      default:
        throw new WireError(`wire type ${tag & 7} does not fit here`);
    }
  }
}

/** @param {bigint} value */
function narrow(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Collects primitives into bytes; grows as needed. */
export class Writer {
  constructor(capacity = 64) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
    this.length = 0;
  }

  /** What was written, as a copy of exactly that size. */
  finish() {
    return this.buffer.slice(0, this.length);
  }

  /**
   * Makes room for `count` more bytes and returns where they go.
   * @param {number} count
   */
  reserve(count) {
    const start = this.length;
    const needed = start + count;
    if (needed > this.buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.buffer.length * 2));
      grown.set(this.buffer);
      this.buffer = grown;
      this.view = new DataView(grown.buffer);
    }
    this.length = needed;
    return start;
  }

  /** @param {number} value 0 to 255 */
  byte(value) {
    const start = this.reserve(1); // first: it may replace the buffer
    this.buffer[start] = value;
  }

  /** @param {number} value 0 to 2^32 - 1 */
  uint32(value) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new WireError(`${value} is no uint32`);
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** @param {number} value */
  int32(value) {
    if (!Number.isInteger(value) || value !== (value | 0)) throw new WireError(`${value} is no int32`);
    if (value >= 0) this.uint32(value);
    else this.int64(value); // negative numbers are sign-extended to 64 bits
  }

  /** @param {number | bigint} value */
  int64(value) {
    if (typeof value === "number" && !Number.isInteger(value)) throw new WireError(`${value} is no int64`);
    const whole = BigInt(value);
    if (BigInt.asIntN(64, whole) !== whole) throw new WireError(`${value} is no int64`);
    this.uint64(BigInt.asUintN(64, whole));
  }

  /** @param {number | bigint} value */
  uint64(value) {
    if (typeof value === "number" && !Number.isInteger(value)) throw new WireError(`${value} is no uint64`);
    let rest = BigInt(value);
    if (BigInt.asUintN(64, rest) !== rest) throw new WireError(`${value} is no uint64`);
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  /** @param {boolean} value */
  bool(value) {
    this.uint32(value ? 1 : 0);
  }

  /** @param {number} value */
  fixed32(value) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new WireError(`${value} is no fixed32`);
    const start = this.reserve(4);
    this.view.setUint32(start, value, true);
  }

  /** @param {number | bigint} value */
  fixed64(value) {
    const whole = BigInt(value);
    if (BigInt.asUintN(64, whole) !== whole) throw new WireError(`${value} is no fixed64`);
    const start = this.reserve(8);
    this.view.setBigUint64(start, whole, true);
  }

  /** @param {number} value */
  float(value) {
    const start = this.reserve(4);
    this.view.setFloat32(start, value, true);
  }

  /** @param {number} value */
  double(value) {
    const start = this.reserve(8);
    this.view.setFloat64(start, value, true);
  }

  /** @param {Uint8Array} bytes */
  chunk(bytes) {
    this.uint32(bytes.length);
    const start = this.reserve(bytes.length);
    this.buffer.set(bytes, start);
  }

  /** @param {string} text */
  string(text) {
    this.chunk(utf8Encoder.encode(text));
  }
}
