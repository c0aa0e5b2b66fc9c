/** Ray's ids of nodes in what people read: 56 digits become the node's address, or the first digits, with all of them behind. */

import { h } from "../app/dom.js";

const NODE_ID = /\b[0-9a-f]{56}\b/g;
const SHOWN = 8;

/** @type {Map<string, string>} id -> address; of the nodes that a view has shown */
const known = new Map();

/** @param {any[]} nodes as `nodes.list` and `world.map` have them */
export function learnNodes(nodes) {
  for (const node of nodes) known.set(node.node, node.address || node.host || node.node.slice(0, SHOWN));
}

/** @param {string} id */
const called = (id) => known.get(id) ?? id.slice(0, SHOWN);

/** A text with short ids. @param {string} text */
export const plainNodes = (text) => text.replace(NODE_ID, called);

/** The same as elements: the whole id is the title. @param {string} text @returns {import("../app/dom.js").Child[]} */
export function withNodes(text) {
  /** @type {import("../app/dom.js").Child[]} */
  const parts = [];
  let from = 0;
  for (const { 0: id, index } of text.matchAll(NODE_ID)) {
    parts.push(text.slice(from, index), h("span", { class: "node-id", title: id }, called(id)));
    from = index + id.length;
  }
  parts.push(text.slice(from));
  return parts;
}
