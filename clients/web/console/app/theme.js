/** Light, dark, or as the system has it. Kept in this browser. */

const KEY = "rayrealm.console.theme";
const THEMES = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => document.documentElement.dataset.chosen ?? "auto";

/** Charts and the map read their colours anew on the event `themed` of the window. */
export function startTheme() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // A browser that keeps nothing: as the system has it.
  }
  apply(kept && THEMES.includes(kept) ? kept : "auto");
  dark.addEventListener("change", () => apply(theme()));
}

/** @returns {string} the theme after this one */
export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? "auto";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // It is then forgotten with the page.
  }
  apply(next);
  return next;
}

/** @param {string} chosen */
function apply(chosen) {
  const root = document.documentElement;
  root.dataset.chosen = chosen;
  root.dataset.theme = chosen === "auto" ? (dark.matches ? "dark" : "light") : chosen;
  dispatchEvent(new Event("themed"));
}

/** A colour of the style sheet as it is now: `colour("--accent")`. @param {string} name */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
