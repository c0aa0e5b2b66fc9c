/** Follows one job to its end: by the live feed, and by asking while that is away. */

const ASK_MS = 2_000;

/** @param {any} job */
export const isOver = (job) => job.state === "done" || job.state === "failed" || job.state === "cancelled";

/**
 * @param {import("../app/shell.js").Shell} shell @param {any} job @param {(job: any) => void} show called now and after each change
 * @returns {() => void} stop
 */
export function followJob(shell, job, show) {
  let over = false;
  let timer = 0;
  let unsubscribe = () => {};
  const stop = () => {
    clearInterval(timer);
    unsubscribe();
  };
  /** @param {any} now */
  const take = (now) => {
    if (over || !now) return;
    over = isOver(now);
    show(now);
    if (over) stop();
  };
  unsubscribe = shell.live.on("jobs", (state) => take(state.jobs.find((/** @type {any} */ each) => each.id === job.id)));
  if (over) { // the feed has told so at once
    stop();
    return stop;
  }
  timer = setInterval(async () => {
    try {
      take(await shell.api.get(`jobs/${job.id}`));
    } catch {
      // Not reached this time: asked again, as long as the dialog is open.
    }
  }, ASK_MS);
  take(job);
  return stop;
}
