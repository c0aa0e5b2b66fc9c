/**
 * The server's tick clock as seen from here: which moment of the zone to draw now.
 *
 * A tick that arrives tells when it arrived at the latest; the least delayed of the last few seconds gives the offset, and how
 * far the others lie behind it is the jitter. The moment drawn lies so far behind that most ticks are there in time. It runs a little
 * faster or slower to get where it should be, and jumps only when it is far off.
 */

/** Ticks that the estimate rests on: about three seconds at 20 Hz. */
const WINDOW = 64;
/** Between two moves of a mover that sends 10 a second, seconds, with some slack for the ticks they fall into. */
const MOVE_GAP_S = 0.12;
/** Beyond this error the playhead jumps, seconds. */
const JUMP_S = 0.5;
/** Most that the playhead runs faster or slower. */
const SLEW = 0.1;
/** Share of the ticks that should have arrived when they are drawn. */
const IN_TIME = 0.95;

export class TickClock {
  /**
   * @param {object} options
   * @param {number} options.tickHz
   * @param {number} [options.leastDelayS] seconds behind with little jitter: a mover that sends 10 moves a second is in every second
   *   or third tick at 20 Hz, so this bridges the longer gap
   * @param {number} [options.mostDelayS]
   */
  constructor({ tickHz, leastDelayS = 0.15, mostDelayS = 0.4 }) {
    this.tickHz = tickHz;
    this.leastDelayS = leastDelayS;
    this.mostDelayS = mostDelayS;
    /** How much later than by the zone's time ticks arrived, the last few, seconds. @type {number[]} */
    this.lateness = [];
    /** Zone time of the newest tick, seconds. */
    this.newest = -Infinity;
    /** The least lateness: zone time plus this is local time. */
    this.offset = NaN;
    /** How far behind the moment drawn lies, seconds. */
    this.delay = leastDelayS;
    this.playhead = NaN;
    /** How far the moment drawn last lay beyond the newest tick that was there: others were guessed for that long, seconds. */
    this.guessed = 0;
    this.drawnAt = NaN;
    /** What is added to the time of the present zone's ticks, seconds. */
    this.shift = 0;
  }

  /** Starts anew, as after the zone did. */
  clear() {
    this.lateness = [];
    this.newest = -Infinity;
    this.offset = NaN;
    this.delay = this.leastDelayS;
    this.playhead = NaN;
    this.drawnAt = NaN;
    this.shift = 0;
  }

  /**
   * From this tick on another zone counts, or the same one began anew. Its time goes on where the other's was, so that nothing jumps.
   * @param {number} tick
   * @param {number} now seconds
   */
  carryOver(tick, now) {
    if (this.lateness.length === 0) return;
    const sorted = [...this.lateness].sort((a, b) => a - b);
    const usual = sorted[Math.floor(sorted.length / 2)];
    const time = Math.max(now - usual, this.newest + 0.5 / this.tickHz);
    this.shift = time - tick / this.tickHz;
  }

  /** The tick that is drawn at the moment, with a fraction; NaN before the first. */
  get shown() {
    return (this.playhead - this.shift) * this.tickHz;
  }

  /** Zone time of a tick, seconds. @param {number} tick */
  timeOf(tick) {
    return tick / this.tickHz + this.shift;
  }

  /**
   * A view arrived.
   * @param {number} tick
   * @param {number} now seconds
   */
  observe(tick, now) {
    const time = this.timeOf(tick);
    if (time < this.newest) this.clear(); // ticks only run backwards when the zone began anew
    this.newest = time;
    this.lateness.push(now - time);
    if (this.lateness.length > WINDOW) this.lateness.shift();
    const sorted = [...this.lateness].sort((a, b) => a - b);
    this.offset = sorted[0];
    const jitter = sorted[Math.floor((sorted.length - 1) * IN_TIME)] - sorted[0];
    this.delay = Math.min(this.mostDelayS, Math.max(this.leastDelayS, MOVE_GAP_S + jitter));
  }

  /**
   * Zone time to draw, seconds; NaN before the first tick.
   * @param {number} now seconds
   */
  renderTime(now) {
    const ideal = now - this.offset - this.delay;
    const error = ideal - this.playhead;
    if (!(Math.abs(error) < JUMP_S)) {
      this.playhead = ideal;
    } else {
      const elapsed = Math.max(0, now - this.drawnAt);
      const drift = ideal - (this.playhead + elapsed);
      const most = SLEW * elapsed;
      this.playhead += elapsed + Math.min(most, Math.max(-most, drift));
    }
    this.drawnAt = now;
    this.guessed = Math.max(0, this.playhead - this.newest);
    return this.playhead;
  }
}
