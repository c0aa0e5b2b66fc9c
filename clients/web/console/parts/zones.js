/** What a zone is called, how it is, and what can be done with it: for the map, the list and the zone's own page. */

import { button } from "../app/dom.js";
import { badge } from "./bits.js";
import { trying } from "./words.js";

/** Whether nobody answers as its owner: then its figures mean nothing. @param {any} zone */
export const isAway = (zone) => zone.role !== "owner";

/** A figure of a zone that is there. @param {any} zone @param {string} name */
export const figure = (zone, name) => (isAway(zone) ? null : zone[name]);

/** What a node is called: Ray's ids are long. @param {any} node */
export const nodeName = (node) => (node.name !== node.address && node.name) || node.host || node.address || String(node.node).slice(0, 8);

/** @param {any} zone */
export const title = (zone) => zone.name || zone.zone;

/** @param {any} zone @param {string[]} draining nodes */
export function stateOf(zone, draining) {
  if (zone.into) return badge("Taken over");
  if (isAway(zone)) return badge("Away", "bad");
  if (draining.includes(zone.node)) return badge("Moving off", "warn");
  if (zone.standby && !zone.follows) return badge("Standby late", "warn");
  return zone.standby ? badge("With standby", "good") : badge("Up");
}

/** Zones that share a whole side with it, so that both make a rectangle. @param {any} zone @param {any[]} zones */
export function neighbours(zone, zones) {
  const a = zone.bounds;
  return zones.filter((other) => {
    const b = other.bounds;
    if (other.zone === zone.zone || other.into) return false;
    const beside = (a.max_x === b.min_x || b.max_x === a.min_x) && a.min_z === b.min_z && a.max_z === b.max_z;
    return beside || ((a.max_z === b.min_z || b.max_z === a.min_z) && a.min_x === b.min_x && a.max_x === b.max_x);
  });
}

/**
 * Buttons of what the operator may do with the zone.
 * @param {import("../app/shell.js").App} app @param {any} zone @param {any} map as `world.map` has it
 */
export function actions(app, zone, map) {
  const name = title(zone);
  const nodes = map.nodes.filter((/** @type {any} */ each) => each.node !== zone.node && !each.draining);
  const others = neighbours(zone, map.zones);
  /** @param {string} operation @param {string} label @param {() => unknown} run @param {Record<string, unknown>} [of] */
  const offer = (operation, label, run, of = {}) => app.me.can(operation) && button(label, run, { "data-action": operation, ...of });
  return [
    offer("zones.split", "Split", () => app.act("zones.split", { zone: zone.zone }, { title: `Split ${name}` })),
    offer("zones.merge", "Merge", () => merge(), { disabled: others.length === 0, title: others.length === 0 ? "No neighbour shares a whole side with it" : null }),
    offer("zones.move", "Move", () => move(), { disabled: nodes.length === 0, title: nodes.length === 0 ? "There is no other node" : null }),
    offer("zones.standby", zone.standby ? "Stop standby" : "Start standby", () => app.act("zones.standby", { zone: zone.zone, on: !zone.standby },
      { title: `${zone.standby ? "Stop" : "Start"} the standby of ${name}` })),
    offer("zones.add", "Add a zone beside", () => void trying(app, () => add(app, zone))),
    zone.template && offer("zones.remove", "Remove", () => app.act("zones.remove", { zone: zone.zone }, { title: `Remove ${name}` })),
    offer("zones.restart", "Restart", () => app.act("zones.restart", { zone: zone.zone }, { title: `Restart ${name}` })),
  ].filter(Boolean);

  async function merge() {
    const options = others.map((/** @type {any} */ each) => /** @type {[string, string]} */ ([each.zone, `${title(each)} (${each.zone})`]));
    const given = await app.ask({ title: `Merge ${name}`, fields: [{ name: "other", label: "With", kind: "select", options }] });
    if (given) await app.act("zones.merge", { zone: zone.zone, ...given }, { title: `Merge ${name}` });
  }

  async function move() {
    const options = nodes.map((/** @type {any} */ each) => /** @type {[string, string]} */ ([each.node, `${nodeName(each)} (${each.address})`]));
    const given = await app.ask({ title: `Move ${name}`, intro: zone.host ? `It is on ${zone.host} now.` : "", fields: [{ name: "node", label: "To", kind: "select", options }] });
    if (given) await app.act("zones.move", { zone: zone.zone, ...given }, { title: `Move ${name}` });
  }
}

/** @param {import("../app/shell.js").App} app @param {any} zone */
async function add(app, zone) {
  const { templates } = await app.look("world.templates");
  if (templates.length === 0) return app.toast("The realm's settings have no template for it: console.templates.", "bad");
  const options = templates.map((/** @type {any} */ each) => /** @type {[string, string]} */ ([
    each.template, `${each.name} (${each.template}), ${app.format.number(each.width)} × ${app.format.number(each.depth)} m`]));
  const given = await app.ask({
    title: `Add a zone beside ${title(zone)}`,
    fields: [
      { name: "template", label: "Template", kind: "select", options, hint: "From the realm's settings: console.templates." },
      { name: "side", label: "Side", kind: "select", options: [["north", "North"], ["east", "East"], ["south", "South"], ["west", "West"]] },
      { name: "name", label: "Name", optional: true, max: 40, hint: "Empty: as the template has it." },
    ],
  });
  if (!given) return;
  const params = Object.fromEntries(Object.entries({ beside: zone.zone, ...given }).filter(([, value]) => value !== null));
  await app.act("zones.add", params, { title: `Add a zone beside ${title(zone)}` });
}
