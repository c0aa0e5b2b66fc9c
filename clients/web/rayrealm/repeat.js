/** Requests that do no harm when they are done twice. */

import { ConnectionGone } from "./pending.js";
import { until } from "./until.js";

/**
 * Waits for a connection and asks, and asks again on the next connection if this one is lost before the answer.
 * @param {import("./connection.js").Connection} connection
 * @param {string} method
 * @param {Record<string, any>} params plain JSON, from which the realm can tell that it is the same again
 * @param {number} [deadlineS] seconds, in all
 * @returns {Promise<Record<string, any>>} the result
 * @throws {import("./pending.js").RpcError | import("./pending.js").NoAnswer} what the realm said, or that it said nothing
 */
export async function repeat(connection, method, params, deadlineS = 10) {
  const { clock } = connection;
  const late = clock.now() + deadlineS;
  for (;;) {
    if (connection.state.name === "asleep") connection.connect();
    const settled = () => ["ready", "ended", "off"].includes(connection.state.name);
    await until(connection, "state", settled, clock, late);
    const before = connection.state;
    const leftS = late - clock.now();
    try {
      return await connection.request(method, params, leftS);
    } catch (error) {
      if (!(error instanceof ConnectionGone) || leftS <= 0 || before.name !== "ready") throw error;
    }
    // A socket that is closing takes nothing, and tells of its close only later.
    await until(connection, "state", () => connection.state !== before, clock, late);
  }
}
