"""What can be said of a page's layout without looking at it: what overlaps, and what is cut off."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

_LOOK = """(selectors) => {
  const shown = selectors.flatMap((selector) => [...document.querySelectorAll(selector)])
    .filter((each) => each.checkVisibility() && each.getClientRects().length > 0)
    .map((each) => ({ name: `#${each.id}`, box: each.getBoundingClientRect(), each }));
  const touch = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const overlaps = [];
  shown.forEach((one, index) => shown.slice(index + 1).forEach((other) => {
    if (touch(one.box, other.box)) overlaps.push(`${one.name} ${other.name}`);
  }));
  const outside = shown.filter(({ box }) =>
    box.left < 0 || box.top < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1).map(({ name }) => name);
  const cut = shown.flatMap(({ name, each }) => [...each.querySelectorAll("button, input, select, h2, [role=tab]")]
    .filter((part) => part.checkVisibility())
    .filter((part) => {
      const box = part.getBoundingClientRect();
      const within = each.getBoundingClientRect();
      return box.left < within.left - 1 || box.right > within.right + 1;
    }).map((part) => `${name} ${part.id || part.textContent}`));
  const empty = shown.filter(({ each }) => each.matches(".panel") && each.innerText.trim() === "").map(({ name }) => name);
  return { overlaps, outside, cut, empty, wide: document.documentElement.scrollWidth > innerWidth };
}"""

PANELS = ["#place", "#game", "#near", "#chat", "#map", "#dock", "#joystick", "#toasts", "#act", "#hint"]


def faults(page: Page) -> dict[str, Any]:
    """Panels that lie over each other or beyond the window, controls that are cut off at the side, panels with nothing in them."""
    found: dict[str, Any] = page.evaluate(_LOOK, PANELS)
    return {kind: what for kind, what in found.items() if what}
