/**
 * The messages of `proto/realm_proto/realtime.proto` that a browser speaks, field by field, and short ways to make them.
 *
 * @typedef {{x: number, y: number, z: number}} Vector3 metres, y is up
 * @typedef {{typeUrl: string, value: Uint8Array}} Any
 * @typedef {{position: Vector3, rotation?: {yaw: number, pitch?: number, roll?: number}, sequence: number}} PositionUpdate
 * @typedef {{number: number, entityId: string, entityType: string, name: string, version: number, propertiesJson: string, linkDead: boolean, change: boolean}} EntityState
 *   linkDead: its player has lost the connection and may come back; change: the properties are those that changed, null takes one away
 * @typedef {{zoneId: string, epoch: number | bigint, number: number}} ViewReset number: the viewer's own
 * @typedef {{sequence: number, position?: Vector3, reason: string, yaw: number}} Correction
 * @typedef {object} ViewFrame
 * @property {number} tick
 * @property {number} ack newest of the viewer's own move sequences that the zone has judged
 * @property {Uint8Array} places rows of 18 bytes, see `placeRows`
 * @property {Uint8Array} moves rows of 8 bytes, see `moveRows`
 * @property {EntityState[]} states
 * @property {number[]} leaves
 * @property {ViewReset} [reset]
 * @property {Correction} [correction]
 * @typedef {{messages: WebSocketMessage[], compressed: boolean, originalSize: number, payload: Uint8Array}} BatchMessage
 * @typedef {object} WebSocketMessage
 * @property {string} jsonrpc
 * @property {string} [idString]
 * @property {number | bigint} [idNumber]
 * @property {{method: string, params?: Any}} [request]
 * @property {{result?: Any, error?: {code: number, message: string, data?: Any}}} [response]
 * @property {{method: string, params?: Any, seq?: number | bigint}} [notification] seq: of a reliable one, else 0
 * @property {PositionUpdate} [move]
 * @property {ViewFrame} [view]
 * @property {BatchMessage} [batch]
 * @property {string} [traceparent] W3C Trace Context, of a request, or of a notification that the realm has traced
 */

import { Message } from "./schema.js";
import { decodeStruct, encodeStruct } from "./struct.js";
import { WireError } from "./wire.js";

const TYPE_PREFIX = "type.googleapis.com/";
const STRUCT = "google.protobuf.Struct";

const AnyMessage = new Message("google.protobuf.Any", [
  { name: "typeUrl", number: 1, type: "string" },
  { name: "value", number: 2, type: "bytes" },
]);

const Vector3Message = new Message("rayrealm.v1.Vector3", [
  { name: "x", number: 1, type: "float" },
  { name: "y", number: 2, type: "float" },
  { name: "z", number: 3, type: "float" },
]);

const RotationMessage = new Message("rayrealm.v1.Rotation", [
  { name: "yaw", number: 1, type: "float" },
  { name: "pitch", number: 2, type: "float" },
  { name: "roll", number: 3, type: "float" },
]);

const TimestampMessage = new Message("google.protobuf.Timestamp", [
  { name: "seconds", number: 1, type: "int64" },
  { name: "nanos", number: 2, type: "int32" },
]);

export const PositionUpdateMessage = new Message("rayrealm.v1.PositionUpdate", [
  { name: "characterId", number: 1, type: "string" },
  { name: "position", number: 2, type: () => Vector3Message },
  { name: "rotation", number: 3, type: () => RotationMessage },
  { name: "velocity", number: 4, type: () => Vector3Message },
  { name: "timestamp", number: 5, type: () => TimestampMessage },
  { name: "sequence", number: 6, type: "uint32" },
]);

const ErrorMessage = new Message("rayrealm.v1.Error", [
  { name: "code", number: 1, type: "int32" },
  { name: "message", number: 2, type: "string" },
  { name: "data", number: 3, type: () => AnyMessage },
]);

const RequestMessage = new Message("rayrealm.v1.Request", [
  { name: "method", number: 1, type: "string" },
  { name: "params", number: 2, type: () => AnyMessage },
]);

const ResponseMessage = new Message("rayrealm.v1.Response", [
  { name: "result", number: 1, type: () => AnyMessage, oneof: "result_type" },
  { name: "error", number: 2, type: () => ErrorMessage, oneof: "result_type" },
]);

const NotificationMessage = new Message("rayrealm.v1.Notification", [
  { name: "method", number: 1, type: "string" },
  { name: "params", number: 2, type: () => AnyMessage },
  { name: "seq", number: 3, type: "uint64" },
]);

const EntityStateMessage = new Message("rayrealm.v1.EntityState", [
  { name: "number", number: 1, type: "uint32" },
  { name: "entityId", number: 2, type: "string" },
  { name: "entityType", number: 3, type: "string" },
  { name: "name", number: 4, type: "string" },
  { name: "version", number: 5, type: "uint32" },
  { name: "propertiesJson", number: 6, type: "string" },
  { name: "linkDead", number: 7, type: "bool" },
  { name: "change", number: 8, type: "bool" },
]);

const ViewResetMessage = new Message("rayrealm.v1.ViewReset", [
  { name: "zoneId", number: 1, type: "string" },
  { name: "epoch", number: 2, type: "fixed64" },
  { name: "number", number: 3, type: "uint32" },
]);

const CorrectionMessage = new Message("rayrealm.v1.Correction", [
  { name: "sequence", number: 1, type: "uint32" },
  { name: "position", number: 2, type: () => Vector3Message },
  { name: "reason", number: 3, type: "string" },
  { name: "yaw", number: 4, type: "float" },
]);

export const ViewFrameMessage = new Message("rayrealm.v1.ViewFrame", [
  { name: "tick", number: 1, type: "fixed32" },
  { name: "ack", number: 2, type: "fixed32" },
  { name: "moves", number: 3, type: "bytes" },
  { name: "states", number: 4, type: () => EntityStateMessage, repeated: true },
  { name: "leaves", number: 5, type: "uint32", repeated: true },
  { name: "reset", number: 6, type: () => ViewResetMessage },
  { name: "correction", number: 7, type: () => CorrectionMessage },
  { name: "places", number: 8, type: "bytes" },
]);

export const BatchMessageMessage = new Message("rayrealm.v1.BatchMessage", [
  { name: "messages", number: 1, type: () => WebSocketMessageMessage, repeated: true },
  { name: "compressed", number: 2, type: "bool" },
  { name: "originalSize", number: 3, type: "uint32" },
  { name: "payload", number: 4, type: "bytes" },
]);

export const WebSocketMessageMessage = new Message("rayrealm.v1.WebSocketMessage", [
  { name: "jsonrpc", number: 1, type: "string" },
  { name: "idString", number: 2, type: "string", oneof: "id_type" },
  { name: "idNumber", number: 3, type: "int64", oneof: "id_type" },
  { name: "request", number: 4, type: () => RequestMessage, oneof: "message_type" },
  { name: "response", number: 5, type: () => ResponseMessage, oneof: "message_type" },
  { name: "notification", number: 6, type: () => NotificationMessage, oneof: "message_type" },
  { name: "move", number: 7, type: () => PositionUpdateMessage, oneof: "message_type" },
  { name: "view", number: 8, type: () => ViewFrameMessage, oneof: "message_type" },
  { name: "batch", number: 9, type: () => BatchMessageMessage, oneof: "message_type" },
  { name: "traceparent", number: 10, type: "string" },
]);

/** What may stand in an Any, next to Struct. */
const PACKABLE = new Map([PositionUpdateMessage, ViewFrameMessage].map((message) => [message.name, message]));

/**
 * @param {Uint8Array} bytes one binary frame
 * @returns {WebSocketMessage}
 * @throws {WireError} when they are no WebSocketMessage
 */
export function decodeMessage(bytes) {
  return /** @type {WebSocketMessage} */ (WebSocketMessageMessage.decode(bytes));
}

/**
 * What the schema alone does not say.
 * @param {WebSocketMessage} message one that is no batch
 * @throws {WireError} for another version, and for a number that is too large to count with
 */
export function checkMessage({ jsonrpc, request, response, notification }) {
  if ((request || response || notification) && jsonrpc !== "2.0") throw new WireError('jsonrpc must be "2.0"');
  if (typeof notification?.seq === "bigint") throw new WireError("the number of a notification is too large");
}

/**
 * @param {Partial<WebSocketMessage>} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeMessage(message) {
  return WebSocketMessageMessage.encode(message);
}

/**
 * @param {number} id
 * @param {string} method
 * @param {Record<string, any>} [params] plain JSON
 * @param {string} [traceparent]
 */
export function encodeRequest(id, method, params, traceparent = "") {
  const request = { method, params: params && packStruct(params) };
  return encodeMessage({ jsonrpc: "2.0", idNumber: id, request, traceparent });
}

/**
 * @param {string} method
 * @param {Record<string, any>} [params] plain JSON
 */
export function encodeNotification(method, params) {
  return encodeMessage({ jsonrpc: "2.0", notification: { method, params: params && packStruct(params) } });
}

/** @param {PositionUpdate} move */
export function encodeMove(move) {
  return encodeMessage({ move });
}

/**
 * @param {Record<string, any>} object plain JSON
 * @returns {Any}
 */
export function packStruct(object) {
  return { typeUrl: TYPE_PREFIX + STRUCT, value: encodeStruct(object) };
}

/**
 * What an Any holds: plain JSON for a Struct, a decoded message for a known type, an empty object when there is none.
 * @param {Any | undefined} any
 * @returns {Record<string, any>}
 * @throws {WireError} for a type that is not known
 */
export function unpackAny(any) {
  if (!any || (any.typeUrl === "" && any.value.length === 0)) return {};
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  if (name === STRUCT) return decodeStruct(any.value);
  const message = PACKABLE.get(name);
  if (!message) throw new WireError(`an Any of the unknown type ${any.typeUrl}`);
  return message.decode(any.value);
}
