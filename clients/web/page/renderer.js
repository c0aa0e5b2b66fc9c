/**
 * Draws the whole scene and tells what it drew.
 *
 * @typedef {object} Scene
 * @property {import("../rayrealm/client.js").World | null} world null: an empty ground that drifts by
 * @property {import("../rayrealm/client.js").ZoneInfo[]} zones of the land, as far as they are known
 * @property {import("../rayrealm/view.js").OwnEntity | null} own the player's own state
 * @property {{x: number, y: number, z: number, yaw: number, moving: boolean} | null} me
 * @property {import("../rayrealm/client.js").SeenEntity[]} others
 * @property {Map<string, {text: string, until: number}>} speech by name; until: seconds of the clock
 *
 * @typedef {import("./figures.js").Figure & {name: string, entityId: string, linkDead: boolean}} Seen
 * @typedef {{name: string, entityId: string, sx: number, sy: number, colour: string, me: boolean, linkDead: boolean}} Drawn middle of the
 *   figure, CSS pixels
 * @typedef {(context: CanvasRenderingContext2D, camera: Camera, scene: Scene, now: number) => void} Layer
 */

import { Camera } from "./camera.js";
import { drawFigure, figureRadius } from "./figures.js";
import { drawCoordinates, drawGround } from "./ground.js";
import { GroundTile } from "./ground_tile.js";
import { Labels } from "./labels.js";
import { colourOf, groundOf, LINK_DEAD_COLOUR, ME } from "./palette.js";
import { Sprites } from "./sprites.js";
import { LINK_DEAD } from "./words.js";

/** Names drawn at most; the nearest. */
const MOST_NAMES = 60;
/** Seconds in which a figure appears. */
const FADE_IN_S = 0.25;
/** How visible a figure is whose player has lost the connection. */
const LINK_DEAD_FADE = 0.6;
/** Radians of stride per metre walked. */
const STRIDE = 4.2;
const EMPTY_BOUNDS = { min_x: -1_000_000, min_z: -1_000_000, max_x: 1_000_000, max_z: 1_000_000 };

export class Renderer {
  camera = new Camera();
  #sprites = new Sprites();
  #tile = new GroundTile();
  #labels = new Labels(this.#sprites);
  /** When each entity was first drawn, and how far it has walked since. @type {Map<string, {since: number, stride: number}>} */
  #gaits = new Map();
  #drawnAt = 0;
  /** @type {Drawn[]} */
  drawn = [];
  /** A game's own, drawn on the ground, below all figures. @type {Layer[]} */
  underlays = [];
  /** And above everything. @type {Layer[]} */
  overlays = [];
  /** What a layer draws, and not as a figure. @type {(entity: import("../rayrealm/client.js").SeenEntity) => boolean} */
  isDrawnElsewhere = () => false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  }

  /**
   * @param {number} now seconds
   * @param {Scene} scene
   */
  draw(now, scene) {
    const { camera, context } = this;
    const elapsed = Math.min(0.1, Math.max(0, now - this.#drawnAt));
    this.#drawnAt = now;
    this.#fit();
    camera.settle(elapsed);
    if (scene.world && scene.me) {
      camera.x = scene.me.x;
      camera.z = scene.me.z;
    }
    this.drawn = [];
    const { world } = scene;
    const theme = groundOf(world ? `${world.zone} ${world.zoneName}` : "meadow");
    const land = world?.land ?? EMPTY_BOUNDS;
    const resolution = camera.scale * (window.devicePixelRatio || 1);
    drawGround(context, camera, land, theme, patchesOf(scene, land, theme), (of) => this.#tile.get(of, resolution));
    if (!world || !scene.me) {
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) camera.x += elapsed * 0.6;
      return;
    }
    drawCoordinates(context, camera, land);
    this.#drawReach(world.interestRadius);
    for (const layer of this.underlays) layer(context, camera, scene, now);
    this.#drawFolk(now, elapsed, scene, world.name, scene.me);
    for (const layer of this.overlays) layer(context, camera, scene, now);
  }

  /** The canvas has as many pixels as the screen shows. */
  #fit() {
    const ratio = window.devicePixelRatio || 1;
    const width = window.innerWidth;
    const height = window.innerHeight;
    const pixelsX = Math.round(width * ratio);
    const pixelsY = Math.round(height * ratio);
    if (this.canvas.width !== pixelsX || this.canvas.height !== pixelsY) {
      this.canvas.width = pixelsX;
      this.canvas.height = pixelsY;
      this.camera.resize(width, height);
    }
    this.#sprites.setRatio(ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** How far the player sees. @param {number} radius metres */
  #drawReach(radius) {
    const { camera, context } = this;
    context.strokeStyle = "rgba(243, 184, 92, 0.16)";
    context.lineWidth = 1.5;
    context.setLineDash([3, 9]);
    context.beginPath();
    context.arc(camera.width / 2, camera.height / 2, radius * camera.scale, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }

  /**
   * @param {number} now
   * @param {number} elapsed
   * @param {Scene} scene
   * @param {string} myName
   * @param {NonNullable<Scene["me"]>} me
   */
  #drawFolk(now, elapsed, scene, myName, me) {
    const { camera, context } = this;
    const radius = figureRadius(camera.scale);
    const seen = new Set(["me"]);
    /** @type {Seen[]} */
    const figures = [];
    for (const other of scene.others) {
      if (this.isDrawnElsewhere(other)) continue;
      seen.add(other.entityId);
      const gait = this.#gait(other.entityId, now, other.pose.speed * elapsed);
      const sx = camera.screenX(other.pose.x);
      const sy = camera.screenY(other.pose.z);
      if (sx < -radius || sy < -radius || sx > camera.width + radius || sy > camera.height + radius) continue;
      figures.push({
        sx,
        sy,
        name: other.name,
        entityId: other.entityId,
        yaw: other.pose.yaw,
        stride: gait.stride,
        moving: other.pose.speed > 0.2,
        colour: colourOf(other),
        person: isPerson(other.entityType),
        me: false,
        linkDead: other.linkDead,
        fade: Math.min(other.linkDead ? LINK_DEAD_FADE : 1, (now - gait.since) / FADE_IN_S),
      });
    }
    for (const id of this.#gaits.keys()) if (!seen.has(id)) this.#gaits.delete(id);
    figures.sort((a, b) => a.sy - b.sy);
    const mine = {
      sx: camera.screenX(me.x),
      sy: camera.screenY(me.z),
      name: myName,
      entityId: scene.own?.entityId ?? "",
      yaw: me.yaw,
      stride: this.#gait("me", now, me.moving ? 5 * elapsed : 0).stride,
      moving: me.moving,
      colour: ME,
      person: true,
      me: true,
      linkDead: false,
      fade: 1,
    };
    figures.push(mine);
    for (const figure of figures) {
      drawFigure(context, this.#sprites, figure, radius);
      const { name, entityId, sx, sy, colour, me: isMe, linkDead } = figure;
      this.drawn.push({ name, entityId, sx, sy, colour, me: isMe, linkDead });
    }
    this.#drawLabels(now, scene, figures, radius);
  }

  /**
   * @param {number} now
   * @param {Scene} scene
   * @param {Seen[]} figures
   * @param {number} radius
   */
  #drawLabels(now, scene, figures, radius) {
    const { camera, context } = this;
    const far = (/** @type {{sx: number, sy: number}} */ f) => Math.hypot(f.sx - camera.width / 2, f.sy - camera.height / 2);
    const nearest = figures.toSorted((a, b) => Number(b.me) - Number(a.me) || far(a) - far(b)).slice(0, MOST_NAMES);
    this.#labels.clear();
    for (const { name, sx, sy, me, fade, linkDead } of nearest) {
      const label = linkDead ? `${name} (${LINK_DEAD})` : name;
      const colour = me ? "#ffd595" : linkDead ? LINK_DEAD_COLOUR : "#e3ebef";
      const look = { colour, fade: linkDead ? fade / LINK_DEAD_FADE : fade, always: me };
      this.#labels.drawName(context, label, sx, sy - radius - 5, look);
    }
    for (const { name, sx, sy } of nearest) {
      const speech = scene.speech.get(name);
      if (speech) this.#labels.drawSpeech(context, speech.text, sx, sy - radius - 24, Math.min(1, (speech.until - now) * 3), camera.width);
    }
  }

  /** @param {string} id @param {number} now @param {number} walked metres */
  #gait(id, now, walked) {
    let gait = this.#gaits.get(id);
    if (!gait) {
      gait = { since: now, stride: 0 };
      this.#gaits.set(id, gait);
    }
    gait.stride += walked * STRIDE;
    return gait;
  }
}

/**
 * The land is what its zones are; of what is not known, the zone that the player is in goes on.
 * @param {Scene} scene
 * @param {import("../rayrealm/prediction.js").Bounds} land
 * @param {import("./palette.js").Ground} theme
 * @returns {import("./ground.js").Patch[]}
 */
function patchesOf({ world, zones }, land, theme) {
  const known = zones.some((zone) => zone.zone === world?.zone);
  const patches = zones.map(({ zone, name, bounds }) => ({ bounds, theme: groundOf(`${zone} ${name}`) }));
  return known ? patches : [{ bounds: land, theme }];
}

/** @param {string} entityType */
function isPerson(entityType) {
  return /^(|player|character|bot|npc|human)$/i.test(entityType);
}
