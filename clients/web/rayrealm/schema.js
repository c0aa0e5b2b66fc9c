/**
 * Messages as tables: a list of fields is enough to encode and decode.
 *
 * A decoded message is a plain object with the names of protobuf's JSON mapping (camelCase). A scalar that is absent has its
 * default; a message or a member of a oneof that is absent is no key at all. Fields that are not in the table are skipped. Parts that occur
 * twice are merged as protobuf says: the last scalar wins, messages merge, lists append.
 */

import { FIXED32, FIXED64, LENGTH, MAX_DEPTH, Reader, VARINT, WireError, Writer } from "./wire.js";

/**
 * @typedef {"string" | "bytes" | "bool" | "uint32" | "int32" | "int64" | "uint64" | "enum" | "fixed32" | "fixed64" | "float" | "double"} Scalar
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {number} number
 * @property {Scalar | (() => Message)} type a function, so that messages may refer to each other
 * @property {boolean} [repeated]
 * @property {string} [oneof] the group of which at most one is set
 *
 * @typedef {Record<string, any>} Decoded
 */

/** @type {Record<Scalar, {wire: number, empty: any, read: (r: Reader) => any, write: (w: Writer, value: any) => void}>} */
const SCALARS = {
  string: { wire: LENGTH, empty: "", read: (r) => r.string(), write: (w, value) => w.string(value) },
  bytes: { wire: LENGTH, empty: new Uint8Array(0), read: (r) => r.chunk(), write: (w, value) => w.chunk(value) },
  bool: { wire: VARINT, empty: false, read: (r) => r.bool(), write: (w, value) => w.bool(value) },
  uint32: { wire: VARINT, empty: 0, read: (r) => r.uint32(), write: (w, value) => w.uint32(value) },
  int32: { wire: VARINT, empty: 0, read: (r) => r.int32(), write: (w, value) => w.int32(value) },
  int64: { wire: VARINT, empty: 0, read: (r) => r.int64(), write: (w, value) => w.int64(value) },
  uint64: { wire: VARINT, empty: 0, read: (r) => r.uint64(), write: (w, value) => w.uint64(value) },
  enum: { wire: VARINT, empty: 0, read: (r) => r.int32(), write: (w, value) => w.int32(value) },
  fixed32: { wire: FIXED32, empty: 0, read: (r) => r.fixed32(), write: (w, value) => w.fixed32(value) },
  fixed64: { wire: FIXED64, empty: 0, read: (r) => r.fixed64(), write: (w, value) => w.fixed64(value) },
  float: { wire: FIXED32, empty: 0, read: (r) => r.float(), write: (w, value) => w.float(value) },
  double: { wire: FIXED64, empty: 0, read: (r) => r.double(), write: (w, value) => w.double(value) },
};

/** One kind of message. */
export class Message {
  /**
   * @param {string} name full name, as in `rayrealm.v1.Request`
   * @param {Field[]} fields
   */
  constructor(name, fields) {
    this.name = name;
    this.fields = fields;
    /** @type {Map<number, {field: Field, packed: boolean}>} */
    this.byTag = new Map();
    for (const field of fields) {
      const wire = typeof field.type === "string" ? SCALARS[field.type].wire : LENGTH;
      this.byTag.set(field.number * 8 + wire, { field, packed: false });
      if (field.repeated && wire !== LENGTH) this.byTag.set(field.number * 8 + LENGTH, { field, packed: true });
    }
  }

  /**
   * @param {Uint8Array} bytes
   * @returns {Decoded}
   * @throws {WireError} when the bytes are no such message
   */
  decode(bytes) {
    return this.merge(new Reader(bytes), this.create(), 0);
  }

  /** A message with nothing set. @returns {Decoded} */
  create() {
    /** @type {Decoded} */
    const message = {};
    for (const field of this.fields) {
      if (field.repeated) message[field.name] = [];
      else if (typeof field.type === "string" && !field.oneof) message[field.name] = SCALARS[field.type].empty;
    }
    return message;
  }

  /**
   * Reads all of `reader` into `into`.
   * @param {Reader} reader
   * @param {Decoded} into
   * @param {number} depth
   * @returns {Decoded} `into`
   */
  merge(reader, into, depth) {
    if (depth > MAX_DEPTH) throw new WireError("messages nested too deep");
    while (reader.more) {
      const tag = reader.tag();
      const known = this.byTag.get(tag);
      if (!known) {
        reader.skip(tag, depth);
        continue;
      }
      const { field, packed } = known;
      if (packed) {
        const scalar = SCALARS[/** @type {Scalar} */ (field.type)];
        const values = reader.nested();
        while (values.more) into[field.name].push(scalar.read(values));
        continue;
      }
      if (field.oneof) this.#clearOthers(into, field);
      if (typeof field.type === "string") {
        const value = SCALARS[field.type].read(reader);
        if (field.repeated) into[field.name].push(value);
        else into[field.name] = value;
      } else {
        const inner = field.type();
        const before = field.repeated ? undefined : into[field.name];
        const value = inner.merge(reader.nested(), before ?? inner.create(), depth + 1);
        if (field.repeated) into[field.name].push(value);
        else into[field.name] = value;
      }
    }
    return into;
  }

  /**
   * @param {Decoded} message members may be absent
   * @returns {Uint8Array<ArrayBuffer>}
   * @throws {WireError} when a value does not fit its type
   */
  encode(message) {
    const writer = new Writer();
    for (const field of this.fields) {
      const value = message[field.name];
      if (value === undefined || value === null) continue;
      if (field.repeated) this.#writeList(writer, field, value);
      else this.#writeOne(writer, field, value);
    }
    return writer.finish();
  }

  /**
   * @param {Writer} writer
   * @param {Field} field
   * @param {any} value
   */
  #writeOne(writer, field, value) {
    if (typeof field.type !== "string") {
      writer.uint32(field.number * 8 + LENGTH);
      writer.chunk(field.type().encode(value));
      return;
    }
    const scalar = SCALARS[field.type];
    // Outside a oneof a default is not written; -0 is no default, as in the reference implementations.
    const isDefault = field.type === "bytes" ? value.length === 0 : Object.is(value, scalar.empty);
    if (isDefault && !field.oneof) return;
    writer.uint32(field.number * 8 + scalar.wire);
    scalar.write(writer, value);
  }

  /**
   * @param {Writer} writer
   * @param {Field} field
   * @param {any[]} values
   */
  #writeList(writer, field, values) {
    if (values.length === 0) return;
    const scalar = typeof field.type === "string" ? SCALARS[field.type] : undefined;
    if (scalar && scalar.wire !== LENGTH) {
      const packed = new Writer();
      for (const value of values) scalar.write(packed, value);
      writer.uint32(field.number * 8 + LENGTH);
      writer.chunk(packed.finish());
      return;
    }
    for (const value of values) {
      writer.uint32(field.number * 8 + LENGTH);
      if (scalar) scalar.write(writer, value);
      else writer.chunk(/** @type {() => Message} */ (field.type)().encode(value));
    }
  }

  /**
   * @param {Decoded} message
   * @param {Field} field
   */
  #clearOthers(message, field) {
    for (const other of this.fields) {
      if (other.oneof === field.oneof && other !== field) delete message[other.name];
    }
  }
}
