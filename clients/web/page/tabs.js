/** A row of tabs as ARIA's authoring practices have it: one is in the tab order, arrows go to the others. */

/** @param {HTMLElement} list with the role tablist */
export function walkByArrows(list) {
  list.addEventListener("keydown", (event) => {
    const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=tab]")].filter((tab) => !(/** @type {HTMLElement} */ (tab).hidden)));
    const at = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
    if (at < 0) return;
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 });
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation(); // arrows walk elsewhere
    const next = tabs[(steps[event.key] + tabs.length) % tabs.length];
    next.click();
    next.focus();
  });
}

/** @param {HTMLElement} tab @param {boolean} selected */
export function markTab(tab, selected) {
  tab.setAttribute("aria-selected", String(selected));
  tab.tabIndex = selected ? 0 : -1;
}
