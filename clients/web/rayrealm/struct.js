/**
 * `google.protobuf.Struct` and plain JSON, both ways (https://protobuf.dev/reference/protobuf/google.protobuf/#struct).
 */

import { Message } from "./schema.js";
import { WireError } from "./wire.js";

/** @typedef {null | boolean | number | string | Json[] | {[key: string]: Json}} Json */

const Entry = new Message("google.protobuf.Struct.FieldsEntry", [
  { name: "key", number: 1, type: "string" },
  { name: "value", number: 2, type: () => Value },
]);

const Struct = new Message("google.protobuf.Struct", [
  { name: "fields", number: 1, type: () => Entry, repeated: true },
]);

const List = new Message("google.protobuf.ListValue", [
  { name: "values", number: 1, type: () => Value, repeated: true },
]);

const Value = new Message("google.protobuf.Value", [
  { name: "nullValue", number: 1, type: "enum", oneof: "kind" },
  { name: "numberValue", number: 2, type: "double", oneof: "kind" },
  { name: "stringValue", number: 3, type: "string", oneof: "kind" },
  { name: "boolValue", number: 4, type: "bool", oneof: "kind" },
  { name: "structValue", number: 5, type: () => Struct, oneof: "kind" },
  { name: "listValue", number: 6, type: () => List, oneof: "kind" },
]);

/**
 * @param {{[key: string]: Json | undefined}} object members that are undefined are left out
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeStruct(object) {
  return Struct.encode(toStruct(object));
}

/**
 * @param {Uint8Array} bytes
 * @returns {{[key: string]: Json}} an object without a prototype, so that no key is special
 */
export function decodeStruct(bytes) {
  return fromStruct(Struct.decode(bytes));
}

/** @param {{[key: string]: Json | undefined}} object */
function toStruct(object) {
  const fields = [];
  for (const [key, value] of Object.entries(object)) {
    if (value !== undefined) fields.push({ key, value: toValue(value) });
  }
  return { fields };
}

/**
 * @param {Json} value
 * @returns {import("./schema.js").Decoded}
 */
function toValue(value) {
  if (value === null) return { nullValue: 0 };
  switch (typeof value) {
    case "boolean":
      return { boolValue: value };
    case "number":
      if (!Number.isFinite(value)) throw new WireError(`${value} is no JSON number`);
      return { numberValue: value };
    case "string":
      return { stringValue: value };
    case "object":
      if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
      return { structValue: toStruct(value) };
    default:
      throw new WireError(`a ${typeof value} has no place in JSON`);
  }
}

/** @param {import("./schema.js").Decoded} struct */
function fromStruct(struct) {
  /** @type {{[key: string]: Json}} */
  const object = Object.create(null);
  for (const entry of struct.fields) object[entry.key] = entry.value ? fromValue(entry.value) : null;
  return object;
}

/**
 * @param {import("./schema.js").Decoded} value
 * @returns {Json}
 */
function fromValue(value) {
  if ("numberValue" in value) return value.numberValue;
  if ("stringValue" in value) return value.stringValue;
  if ("boolValue" in value) return value.boolValue;
  if ("structValue" in value) return fromStruct(value.structValue);
  if ("listValue" in value) return value.listValue.values.map(fromValue);
  return null;
}
