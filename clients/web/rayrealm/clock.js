/**
 * Time as the library takes it, so that a test can bring its own.
 *
 * @typedef {object} Clock
 * @property {() => number} now seconds that never run backwards
 * @property {(seconds: number, action: () => void) => (() => void)} after calls `action` once, later; the result cancels it
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now() / 1000,
  after: (seconds, action) => {
    const timer = setTimeout(action, seconds * 1000);
    return () => clearTimeout(timer);
  },
};
