/** A quiet line while a part of the realm does not answer. */

import { byId, setText } from "./dom.js";
import { degradedWords } from "./words.js";

export class DegradedNotice {
  line = byId("degraded", HTMLElement);

  /**
   * @param {string[]} parts as `Connection.degraded`; empty hides it
   * @param {import("../rayrealm/client.js").World | null} world
   * @param {import("../rayrealm/client.js").ZoneInfo[]} zones
   */
  show(parts, world, zones) {
    const words = world ? degradedWords(parts, world.zone, zones) : "";
    this.line.hidden = words === "";
    if (words) setText(this.line, words);
  }
}
