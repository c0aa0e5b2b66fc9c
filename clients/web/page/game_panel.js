/** The example game (actors/games/homestead.py): what one has, what one may do here, and what comes of it. */

import { RpcError } from "../rayrealm/pending.js";
import { byId, setText } from "./dom.js";
import { GameThings, isThing } from "./game_things.js";
import { inWords } from "./words.js";

/** A little less than the realm's 3 m: it knows better where one stands. */
const REACH_M = 2.8;
const TOAST_S = 4;
/** How long an NPC's words stand over its head, seconds. */
const SPEECH_S = 7;

/** @type {Record<string, Record<string, number>>} what is built, and what it takes */
const COSTS = { campfire: { wood: 3, stone: 2 }, hut: { wood: 8, stone: 5 } };

/** @type {Record<string, string>} by the game's reason */
const REASONS = {
  too_far: "Go a little closer.",
  not_here: "It is not here any more.",
  nothing_left: "Nothing left. It grows again.",
  nothing_to_gather: "There is nothing to gather here.",
  bag_full: "Your bag is full.",
  not_yours: "That is not yours.",
  too_little: "You have too little for that.",
  no_room: "There is no room for that.",
  too_many: "You have built enough here.",
  too_soon: "Not so fast.",
  no_game: "There is nothing to do here.",
};

/** @typedef {{kind: "gather" | "talk", words: string, entity: import("../rayrealm/client.js").SeenEntity}} Deed */

export class GamePanel {
  panel = byId("game", HTMLElement);
  bag = byId("bag", HTMLElement);
  hint = byId("act", HTMLButtonElement);
  hintWords = byId("act-words", HTMLElement);
  toast = byId("toast", HTMLElement);
  things = new GameThings();
  /** What `act` would do. @type {Deed | null} */
  deed = null;
  #toastUntil = 0;
  #busy = false;

  /** @param {import("./world_screen.js").WorldScreen} screen */
  constructor(screen) {
    this.screen = screen;
    screen.renderer.isDrawnElsewhere = isThing;
    screen.renderer.underlays.push((context, camera, scene, now) => {
      this.deed = this.#nearest(scene);
      this.things.target = this.deed?.entity ?? null;
      this.things.draw(context, camera, scene, now);
    });
    screen.panels.push((scene) => this.#show(scene));
    this.hint.addEventListener("click", () => void this.act());
    for (const [what, cost] of Object.entries(COSTS)) {
      const button = byId(`build-${what}`, HTMLButtonElement);
      button.title = `costs ${amounts(cost)}`;
      button.addEventListener("click", () => {
        button.blur(); // back to walking
        void this.#do("build", { what });
      });
    }
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.deed = null;
    this.panel.hidden = this.hint.hidden = this.toast.hidden = true;
    client?.addEventListener("game", (event) => {
      const { data } = /** @type {CustomEvent} */ (event).detail;
      if (typeof data?.text === "string" && data.by !== client.own?.name) this.#tell(data.text);
    });
  }

  /** Gathers from, or talks to, what is nearest. */
  async act() {
    const { deed } = this;
    if (deed) await this.#do(deed.kind, { target: deed.entity.entityId });
  }

  /** @param {string} kind @param {Record<string, any>} data */
  async #do(kind, data) {
    const { client, chat, clock } = this.screen;
    if (!client?.world || !client.connection.ready || this.#busy) return;
    this.#busy = true;
    try {
      const { result } = await client.gameMessage(kind, data, client.view.tick);
      const text = typeof result?.text === "string" ? result.text : "";
      if (typeof result?.from === "string") chat.speech.set(result.from, { text, until: clock.now() + SPEECH_S });
      if (result?.gave) this.#tell(`You got ${result.gave}.`);
      else if (!result?.from && text) this.#tell(text);
    } catch (error) {
      const reason = error instanceof RpcError ? String(error.data.reason ?? "") : "";
      if (reason !== "too_soon") this.#tell(REASONS[reason] ?? inWords(error));
    } finally {
      this.#busy = false;
    }
  }

  /** @param {string} text */
  #tell(text) {
    setText(this.toast, text);
    this.toast.hidden = false;
    this.#toastUntil = this.screen.clock.now() + TOAST_S;
  }

  /** @param {import("./renderer.js").Scene} scene @returns {Deed | null} */
  #nearest({ me, own, others }) {
    /** @type {Deed | null} */
    let found = null;
    let nearest = REACH_M;
    for (const entity of others) {
      const far = me ? Math.hypot(entity.pose.x - me.x, entity.pose.z - me.z) : Infinity;
      const deed = far < nearest ? deedOf(entity, own?.entityId) : null;
      if (deed) [found, nearest] = [deed, far];
    }
    return found;
  }

  /** @param {import("./renderer.js").Scene} scene */
  #show({ own, others }) {
    if (this.screen.clock.now() > this.#toastUntil) this.toast.hidden = true;
    const bag = own?.properties.bag ?? {};
    const played = Object.keys(bag).length > 0 || others.some((entity) => isThing(entity));
    this.panel.hidden = !played;
    this.hint.hidden = this.deed === null;
    setText(this.hintWords, this.deed?.words ?? "");
    setText(this.bag, amounts(bag) || "empty");
    for (const [what, cost] of Object.entries(COSTS)) {
      byId(`build-${what}`, HTMLButtonElement).disabled = Object.entries(cost).some(([each, count]) => (bag[each] ?? 0) < count);
    }
  }
}

/** @param {import("../rayrealm/client.js").SeenEntity} entity @param {string} [me] @returns {Deed | null} */
function deedOf(entity, me) {
  const { kind, left, owner } = entity.properties;
  if (entity.entityType === "npc") return { kind: "talk", words: `talk to ${entity.name}`, entity };
  if (kind === "tree" && left > 0) return { kind: "gather", words: "gather wood", entity };
  if (kind === "stone" && left > 0) return { kind: "gather", words: "gather stone", entity };
  if (kind === "pouch" && owner === me) return { kind: "gather", words: "take your pouch", entity };
  return null;
}

/** @param {Record<string, number>} things */
function amounts(things) {
  return Object.entries(things).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`).join(", ");
}
