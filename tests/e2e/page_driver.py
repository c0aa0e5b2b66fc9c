"""Drives the play page in a real browser: what the tests over the mock and over the real realm have in common.

Playwright's sync API, so the tests that use it are plain functions. A page is a Playwright Page on any realm that serves `/play/`.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

PASSWORD = "correct horse 7"
DEADLINE_S = 15.0
POLL_MS = 30

State = dict[str, Any]


def state(page: Page) -> State:
    """`window.rayrealm.state()`: what the page knows and what its last frame drew."""
    result: State = page.evaluate("() => window.rayrealm.state()")
    return result


def wait_for_state(
    page: Page, condition: Callable[[State], object], what: str, deadline_s: float = DEADLINE_S
) -> State:
    """The first state that meets the condition. Raises TimeoutError that says `what` did not happen."""
    until = time.monotonic() + deadline_s
    while True:
        current = state(page)
        if condition(current):
            return current
        if time.monotonic() > until:
            brief = {key: value for key, value in current.items() if key not in ("entities", "drawn")}
            raise TimeoutError(f"{what}: not within {deadline_s} s; the page says {brief}")
        page.wait_for_timeout(POLL_MS)


def wait_until(page: Page, condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """For what the other end knows, not the page. Raises TimeoutError that says `what` did not happen."""
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        page.wait_for_timeout(POLL_MS)


def open_page(page: Page, base_url: str) -> None:
    """Load the page, up to the login form or, with a remembered login, whatever comes after it."""
    page.goto(f"{base_url}/play/")
    page.wait_for_selector("body:not([data-screen='boot'])", timeout=DEADLINE_S * 1000)


def fill_login(page: Page, username: str, password: str, *, register: bool) -> None:
    """Fill in the first form and send it; the answer may be a problem."""
    page.check(f"input[name=mode][value={'register' if register else 'login'}]")
    page.fill("#username", username)
    page.fill("#password", password)
    page.click("#auth-submit")


def register(page: Page, base_url: str, username: str, password: str = PASSWORD) -> None:
    """Make an account, up to the choice of a character."""
    open_page(page, base_url)
    fill_login(page, username, password, register=True)
    page.wait_for_selector("#lobby", timeout=DEADLINE_S * 1000)


def make_character(page: Page, character: str) -> None:
    page.fill("#character-name", character)
    page.click("#create-submit")
    page.wait_for_selector(
        f".choice:has(input[name=character]:checked):has-text('{character}')", timeout=DEADLINE_S * 1000
    )


def enter(page: Page, zone: str | None = None) -> State:
    """Enter with the chosen character; `zone` is a zone's id, none: where the character was last."""
    if zone is not None:
        page.check(f"input[name=zone][value={zone}]", timeout=DEADLINE_S * 1000)
    page.click("#enter:enabled", timeout=DEADLINE_S * 1000)
    return wait_for_state(page, lambda s: s["screen"] == "world" and s["connected"] and s["me"], "entering the world")


def register_and_enter(page: Page, base_url: str, username: str, character: str, zone: str | None = None) -> State:
    """From nothing to standing in the world; returns the first state there."""
    register(page, base_url, username)
    make_character(page, character)
    return enter(page, zone)


def walk(page: Page, key: str, condition: Callable[[State], object], what: str) -> State:
    """Hold a key, as `w`, until the condition is met."""
    page.keyboard.down(key)
    try:
        return wait_for_state(page, condition, what)
    finally:
        page.keyboard.up(key)


def screenshot(page: Page, path: Path | str) -> None:
    """The page as it is, into a PNG file."""
    page.screenshot(path=path)


def pixels(page: Page, x: float, y: float, size: int) -> list[tuple[int, int, int]]:
    """A square of what is really on the screen, around a point in CSS pixels: `size * size` times red, green, blue."""
    clip = {"x": round(x - size / 2), "y": round(y - size / 2), "width": size, "height": size}
    return decode_png(page.screenshot(clip=clip))  # type: ignore[arg-type]


def decode_png(data: bytes) -> list[tuple[int, int, int]]:
    """The pixels of an 8-bit RGB or RGBA PNG without interlacing (PNG, third edition, 7.3 and 9.2), row by row."""
    at, compressed, header = 8, b"", b""
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            compressed += body
        at += length + 12
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in (2, 6) or interlace:
        raise ValueError(f"a PNG of depth {depth}, colour type {colour}, interlace {interlace}")
    channels = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(compressed), width * channels
    above, found = bytearray(stride), []
    for row in range(height):
        start = row * (stride + 1)
        line = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter(raw[start], line, above, channels)
        found += [(line[i], line[i + 1], line[i + 2]) for i in range(0, stride, channels)]
        above = line
    return found


def _unfilter(kind: int, line: bytearray, above: bytearray, channels: int) -> None:
    for i in range(len(line)):
        left = line[i - channels] if i >= channels else 0
        corner = above[i - channels] if i >= channels else 0
        match kind:
            case 0:
                predicted = 0
            case 1:
                predicted = left
            case 2:
                predicted = above[i]
            case 3:
                predicted = (left + above[i]) // 2
            case 4:
                guess = left + above[i] - corner
                predicted = min((left, above[i], corner), key=lambda value: abs(guess - value))
            case _:
                raise ValueError(f"PNG filter {kind}")
        line[i] = (line[i] + predicted) & 0xFF
