/**
 * Waits until `wanted` holds, which is looked at with every event, or until it is late.
 * @param {EventTarget} target
 * @param {string} type of the event
 * @param {() => boolean} wanted
 * @param {import("./clock.js").Clock} clock
 * @param {number} time on the clock, seconds
 * @returns {Promise<void>}
 */
export function until(target, type, wanted, clock, time) {
  return new Promise((resolve) => {
    const check = () => {
      if (wanted()) finish();
    };
    const finish = () => {
      cancel();
      target.removeEventListener(type, check);
      resolve();
    };
    const cancel = clock.after(Math.max(0, time - clock.now()), finish);
    target.addEventListener(type, check);
    check();
  });
}
