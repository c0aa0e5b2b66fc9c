/** Puts what has changed into what is known, by topic. A topic's data is sent whole first, and then only what changed. */

/** Where a topic's things are, and what each is called by. */
const LISTS = /** @type {Record<string, [list: string, key: string]>} */ ({
  map: ["zones", "zone"],
  gateways: ["gateways", "gateway"],
  nodes: ["nodes", "node"],
  jobs: ["jobs", "id"],
});
/** How many points of each series are kept: an hour at 5 s. */
const MOST_POINTS = 720;
const MOST_LINES = 2_000;

/**
 * @param {string} topic
 * @param {any} known null: nothing yet
 * @param {any} news the whole, or `{changed, gone}` (and whatever else of the whole has changed)
 * @returns {[any, {full: boolean, changed: string[], gone: string[]}]}
 */
export function merge(topic, known, news) {
  const kind = topic.split("?", 1)[0] ?? topic;
  if (kind === "samples") return samples(known, news);
  if (kind === "logs") return lines(known, news);
  if (!known || !("changed" in news || "gone" in news)) return [news, { full: true, changed: [], gone: [] }];
  const { changed = [], gone = [], ...rest } = news;
  if (kind === "heat") return heat(known, changed, gone);
  const list = LISTS[kind];
  if (!list) return [{ ...known, ...rest, ...changed }, { full: true, changed: [], gone: [] }];
  const [name, key] = list;
  const things = new Map(known[name].map((/** @type {any} */ each) => [each[key], each]));
  for (const each of changed) things.set(each[key], each);
  for (const each of gone) things.delete(each);
  const said = { full: false, changed: changed.map((/** @type {any} */ each) => each[key]), gone };
  return [{ ...known, ...rest, [name]: [...things.values()] }, said];
}

/** @param {any} known @param {any} changed zone -> cells @param {string[]} gone @returns {[any, any]} */
function heat(known, changed, gone) {
  const zones = { ...known.zones, ...changed };
  for (const each of gone) delete zones[each];
  return [{ ...known, zones }, { full: false, changed: Object.keys(changed), gone }];
}

/** @param {any} known @param {any} news @returns {[any, any]} */
function samples(known, news) {
  const full = { full: true, changed: [], gone: [] };
  if (!known || news.full) return [{ series: { ...news.series } }, full];
  const series = { ...known.series };
  for (const [name, points] of Object.entries(news.series)) {
    const before = series[name] ?? [];
    const last = before.at(-1)?.[0] ?? -Infinity;
    series[name] = [...before, .../** @type {any} */ (points).filter((/** @type {any} */ [at]) => at > last)].slice(-MOST_POINTS);
  }
  return [{ series }, { full: false, changed: Object.keys(news.series), gone: [] }];
}

/** @param {any} known @param {any} news @returns {[any, any]} */
function lines(known, news) {
  const all = [...(known?.lines ?? []), ...news.lines].slice(-MOST_LINES);
  return [{ ...news, lines: all, fresh: news.lines }, { full: !known, changed: [], gone: [] }];
}
