/** The world on the screen: one frame after another, and the panels around it. */

import { ChatBox } from "./chat_box.js";
import { ChatLink } from "./chat_link.js";
import { Controls } from "./controls.js";
import { DegradedNotice } from "./degraded_notice.js";
import { byId } from "./dom.js";
import { Hud } from "./hud.js";
import { LinkNotice, shortWordsFor } from "./link_notice.js";
import { Minimap } from "./minimap.js";
import { PeoplePanels } from "./people_panels.js";
import { Renderer } from "./renderer.js";
import { Roster } from "./roster.js";

/** How often the panels change, seconds: text that changes 60 times a second cannot be read. */
const PANELS_EVERY_S = 0.2;

export class WorldScreen {
  canvas = byId("ground", HTMLCanvasElement);
  renderer = new Renderer(this.canvas);
  minimap = new Minimap(byId("map", HTMLCanvasElement));
  hud = new Hud();
  degraded = new DegradedNotice();
  /** @type {ChatBox} */
  chat;
  /** @type {import("../rayrealm/client.js").RealmClient | null} */
  client = null;
  /** What the last frame showed. @type {import("./renderer.js").Scene} */
  scene = { world: null, zones: [], own: null, me: null, others: [], speech: new Map() };
  /** A game's own, called whenever the panels change. @type {((scene: import("./renderer.js").Scene) => void)[]} */
  panels = [];
  #panelsAt = 0;
  #wasReady = false;

  /**
   * @param {object} options
   * @param {import("../rayrealm/clock.js").Clock} options.clock
   * @param {() => void} options.logout
   * @param {() => void} [options.act] what the key E does
   */
  constructor({ clock, logout, act = () => {} }) {
    this.clock = clock;
    this.people = new PeoplePanels({
      clock,
      converse: (userId, name) => {
        this.#toggle("chat", true);
        this.chat.converse(userId, name);
      },
      join: (channel) => {
        this.#toggle("chat", true);
        void this.chat.join(channel);
      },
      isShown: (key) => this.chat.active === key && this.#isOpen("chat"),
      partyChanged: (partyId) => this.chat.setParty(partyId),
    });
    const { folk, choose } = this.people;
    this.roster = new Roster(choose);
    this.chat = new ChatBox({ isVisible: () => this.#isOpen("chat"), folk, choose });
    this.chatLink = new ChatLink(this.chat, clock);
    this.notice = new LinkNotice({ reconnect: () => this.client?.connection.connect(), logout });
    this.controls = new Controls({
      surface: this.canvas,
      joystick: byId("joystick", HTMLElement),
      zoom: (factor) => this.renderer.camera.zoom(factor),
      talk: () => {
        this.#toggle("chat", true);
        this.chat.focus();
      },
      act,
      touched: () => {
        if (this.client?.connection.state.name === "asleep") this.client.connection.connect();
      },
    });
    for (const panel of ["near", "chat"]) {
      byId(`show-${panel}`, HTMLButtonElement).addEventListener("click", () => this.#toggle(panel, !this.#isUnfolded(panel)));
    }
    this.canvas.addEventListener("pointerdown", () => {
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur(); // out of the chat, back to walking
    });
  }

  /** Starts drawing, for as long as the page lives. */
  start() {
    const loop = () => {
      this.#frame(this.clock.now());
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  /** @param {import("../rayrealm/client.js").RealmClient | null} client */
  attach(client) {
    this.client = client;
    this.#wasReady = false;
    this.chatLink.attach(client);
    this.people.attach(client);
    this.#showLink(this.clock.now());
    client?.connection.addEventListener("state", () => this.#showLink(this.clock.now()));
  }

  /** @param {number} now seconds */
  #frame(now) {
    const { client } = this;
    const seen = client?.frame(now, this.controls.steering) ?? { me: null, others: [] };
    this.chat.forgetSpeech(now);
    const { world = null, landZones: zones = [], own = null } = client ?? {};
    this.scene = { world, zones, own, ...seen, speech: this.chat.speech };
    this.renderer.draw(now, this.scene);
    this.hud.countFrame(now);
    if (now - this.#panelsAt >= PANELS_EVERY_S) {
      this.#panelsAt = now;
      this.#showPanels(now);
    }
  }

  /** @param {number} now */
  #showPanels(now) {
    this.#showLink(now);
    const { client, scene } = this;
    if (!client || !scene.world || !scene.me) return;
    this.hud.show({
      zone: scene.world.zoneName,
      me: scene.me,
      latencyS: client.connection.latency,
    });
    const folk = scene.others.filter((entity) => !this.renderer.isDrawnElsewhere(entity));
    this.people.update(this.roster.show(scene.me, folk, (name) => this.people.statusOf(name)));
    const here = new Set([scene.world.zone, ...scene.zones.map(({ zone }) => zone)]); // other lands have places of the same numbers
    this.minimap.companions = client.social.party.positions.filter((each) => here.has(each.zone) && each.user_id !== client.userId);
    this.minimap.draw(scene.world, scene.zones, scene.me, folk, this.renderer.camera.visible);
    for (const panel of this.panels) panel(scene);
  }

  /** @param {number} now */
  #showLink(now) {
    const state = this.client?.connection.state ?? { name: /** @type {const} */ ("off") };
    this.#wasReady = this.#wasReady || state.name === "ready";
    document.body.dataset.connection = state.moving ? "ready" : state.name;
    this.hud.showConnection(shortWordsFor(state, now));
    this.notice.show(state, now, this.#wasReady);
    const { client, scene } = this;
    this.degraded.show(client?.connection.ready ? client.connection.degraded : [], scene.world, client?.knownZones ?? []);
  }

  /** Whether a panel can be seen: folded away only on a narrow screen. @param {string} panel */
  #isOpen(panel) {
    return getComputedStyle(byId(panel, HTMLElement)).display !== "none";
  }

  /** @param {string} panel */
  #isUnfolded(panel) {
    return document.body.dataset.panel === panel;
  }

  /** @param {string} panel @param {boolean} open */
  #toggle(panel, open) {
    document.body.dataset.panel = open ? panel : "";
    for (const each of ["near", "chat"]) {
      byId(`show-${each}`, HTMLButtonElement).setAttribute("aria-expanded", String(this.#isUnfolded(each)));
    }
    if (open && panel === "chat") this.chat.markRead();
  }
}
