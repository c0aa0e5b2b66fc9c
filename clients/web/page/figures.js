/** Draws characters from above: shoulders, head, the way they face, feet that walk. Other kinds of entity are lozenges. */

/** @typedef {{sx: number, sy: number, yaw: number, stride: number, moving: boolean, colour: string, person: boolean, me: boolean, fade: number}} Figure */

/** Pixels from the middle of a figure to its shoulder. @param {number} scale pixels per metre */
export function figureRadius(scale) {
  return Math.max(8, Math.min(24, scale * 0.64));
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./sprites.js").Sprites} sprites
 * @param {Figure} figure
 * @param {number} radius
 */
export function drawFigure(context, sprites, figure, radius) {
  const size = Math.ceil(radius * 5);
  const rounded = Math.round(radius * 2) / 2;
  const sprite = sprites.get(`${figure.colour} ${figure.person} ${figure.me} ${rounded}`, size, size, (inner) => {
    inner.translate(size / 2, size / 2);
    if (figure.me) drawRing(inner, rounded, figure.colour);
    drawGaze(inner, rounded, figure.colour);
    if (figure.person) drawPerson(inner, rounded, figure.colour);
    else drawThing(inner, rounded, figure.colour);
  });
  context.save();
  context.globalAlpha = figure.fade;
  context.translate(figure.sx, figure.sy);
  context.fillStyle = "rgba(0, 0, 0, 0.34)";
  context.beginPath();
  context.ellipse(radius * 0.18, radius * 0.3, radius * 1.05, radius * 0.85, 0, 0, 2 * Math.PI);
  context.fill();
  context.rotate(figure.yaw); // yaw grows from +z (up) towards +x (right): clockwise, as canvas angles do
  if (figure.person && figure.moving) drawFeet(context, radius, figure.stride);
  context.drawImage(sprite.image, -size / 2, -size / 2, size, size);
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {number} radius @param {number} stride radians */
function drawFeet(context, radius, stride) {
  const swing = Math.sin(stride) * radius * 0.62;
  context.fillStyle = "#0c1116";
  for (const side of [-1, 1]) {
    context.beginPath();
    context.ellipse(side * radius * 0.42, side * swing, radius * 0.24, radius * 0.42, 0, 0, 2 * Math.PI);
    context.fill();
  }
}

/** @typedef {OffscreenCanvasRenderingContext2D} Inner */

/** @param {Inner} context @param {number} radius @param {string} colour */
function drawPerson(context, radius, colour) {
  context.lineWidth = Math.max(1.2, radius * 0.12);
  context.strokeStyle = "rgba(6, 10, 13, 0.85)";
  const cloth = context.createLinearGradient(0, -radius * 0.6, 0, radius * 0.6);
  cloth.addColorStop(0, colour);
  cloth.addColorStop(1, mix(colour, "#0b1014", 0.25));
  context.fillStyle = cloth;
  context.beginPath();
  context.ellipse(0, 0, radius, radius * 0.62, 0, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.fillStyle = mix(colour, "#0b1014", 0.18);
  context.beginPath();
  context.moveTo(0, -radius * 1.02);
  context.lineTo(radius * 0.3, -radius * 0.42);
  context.lineTo(-radius * 0.3, -radius * 0.42);
  context.closePath();
  context.fill();
  context.stroke();
  context.fillStyle = mix(colour, "#ffffff", 0.5);
  context.beginPath();
  context.arc(0, -radius * 0.06, radius * 0.47, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

/** @param {Inner} context @param {number} radius @param {string} colour */
function drawThing(context, radius, colour) {
  context.lineWidth = Math.max(1.2, radius * 0.12);
  context.strokeStyle = "rgba(6, 10, 13, 0.85)";
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(0, -radius);
  context.lineTo(radius * 0.8, 0);
  context.lineTo(0, radius * 0.8);
  context.lineTo(-radius * 0.8, 0);
  context.closePath();
  context.fill();
  context.stroke();
}

/** A cone of light the way the figure faces. @param {Inner} context @param {number} radius @param {string} colour */
function drawGaze(context, radius, colour) {
  const reach = radius * 2.4;
  const light = context.createRadialGradient(0, 0, radius * 0.6, 0, 0, reach);
  light.addColorStop(0, `${colour}6e`);
  light.addColorStop(1, `${colour}00`);
  context.fillStyle = light;
  context.beginPath();
  context.moveTo(0, 0);
  context.arc(0, 0, reach, -Math.PI / 2 - 0.5, -Math.PI / 2 + 0.5);
  context.closePath();
  context.fill();
}

/** @param {Inner} context @param {number} radius @param {string} colour */
function drawRing(context, radius, colour) {
  context.strokeStyle = colour;
  context.globalAlpha = 0.9;
  context.lineWidth = 1.6;
  context.beginPath();
  context.arc(0, 0, radius * 1.55, -Math.PI / 2 + 0.62, -Math.PI / 2 - 0.62 + 2 * Math.PI);
  context.stroke();
  context.globalAlpha = 1;
}

/**
 * @param {string} a `#rrggbb`
 * @param {string} b
 * @param {number} share of b
 */
export function mix(a, b, share) {
  const channel = (/** @type {number} */ at) => {
    const from = parseInt(a.slice(at, at + 2), 16);
    const to = parseInt(b.slice(at, at + 2), 16);
    return Math.round(from + (to - from) * share).toString(16).padStart(2, "0");
  };
  return `#${channel(1)}${channel(3)}${channel(5)}`;
}
