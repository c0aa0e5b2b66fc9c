/** Places something that floats (a popover) beside what it belongs to, within the window. */

const GAP = 6;

/** @param {HTMLElement} floating shown already @param {HTMLElement} anchor */
export function placeBeside(floating, anchor) {
  const at = anchor.getBoundingClientRect();
  const { width, height } = floating.getBoundingClientRect();
  const left = Math.max(GAP, Math.min(at.left, window.innerWidth - width - GAP));
  const below = at.bottom + GAP;
  const top = below + height <= window.innerHeight - GAP ? below : Math.max(GAP, at.top - height - GAP);
  floating.style.left = `${Math.round(left)}px`;
  floating.style.top = `${Math.round(top)}px`;
}
