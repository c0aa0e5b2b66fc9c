/** Figures, times and names as this page writes them. */

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayTime = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

/** @typedef {number | null | undefined} Figure */

/** @param {Figure} value @returns {value is number} */
const known = (value) => typeof value === "number" && Number.isFinite(value);

/** 12 345. @param {Figure} value */
export const number = (value) => (known(value) ? whole.format(value) : NONE);

/** 12.3k: where there is little room. @param {Figure} value */
export function short(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return `${one.format(value / 1e9)}G`;
  if (size >= 1e6) return `${one.format(value / 1e6)}M`;
  if (size >= 1e4) return `${one.format(value / 1e3)}k`;
  return size >= 100 || Number.isInteger(value) ? whole.format(value) : one.format(value);
}

/** 1.5 MiB. @param {Figure} value bytes */
export function bytes(value) {
  if (!known(value)) return NONE;
  let left = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(left) < 1024) return `${left >= 100 || unit === "B" ? whole.format(left) : one.format(left)} ${unit}`;
    left /= 1024;
  }
  return `${one.format(left)} TiB`;
}

/** 120/s. @param {Figure} value */
export const rate = (value) => (known(value) ? `${short(value)}/s` : NONE);

/** 1.5 KiB/s. @param {Figure} value */
export const byteRate = (value) => (known(value) ? `${bytes(value)}/s` : NONE);

/** 12.3 ms. @param {Figure} value milliseconds */
export const ms = (value) => (known(value) ? `${one.format(value)} ms` : NONE);

/** 42 %. @param {Figure} value 0 to 1 */
export const percent = (value) => (known(value) ? `${whole.format(value * 100)} %` : NONE);

/** 3 d 4 h: the two largest units. @param {Figure} value seconds */
export function duration(value) {
  if (!known(value)) return NONE;
  const left = Math.max(0, Math.round(value));
  const parts = [[Math.floor(left / 86400), "d"], [Math.floor(left / 3600) % 24, "h"], [Math.floor(left / 60) % 60, "min"], [left % 60, "s"]];
  const from = parts.findIndex(([count]) => Number(count) > 0);
  if (from < 0) return "0 s";
  return parts.slice(from, from + 2).filter(([count]) => Number(count) > 0).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** 14:03:22. @param {Figure} value Unix seconds */
export const time = (value) => (known(value) ? clockTime.format(value * 1000) : NONE);

/** 23 Nov 2026, 14:03:22. @param {Figure} value Unix seconds */
export const date = (value) => (known(value) ? dayTime.format(value * 1000) : NONE);

/** 3 min ago. @param {Figure} value Unix seconds @param {number} now */
export function ago(value, now) {
  if (!known(value)) return NONE;
  const past = now - value;
  if (past < -1) return `in ${duration(-past)}`;
  return past < 2 ? "now" : `${duration(past)} ago`;
}

/** 1 zone, 2 zones. @param {number} count @param {string} thing @param {string} [things] */
export const count = (count, thing, things = `${thing}s`) => `${number(count)} ${count === 1 ? thing : things}`;

/** A text or a dash. @param {unknown} value */
export const text = (value) => (value === null || value === undefined || value === "" ? NONE : String(value));
