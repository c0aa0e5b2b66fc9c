"""The console's charts over a mock, in real Chromium: whole at first, then point by point, in words, and in both themes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.console_driver import log_in, wait_until
from tests.e2e.console_server import ConsoleServer
from tests.e2e.console_world import ConsoleWorld
from tests.e2e.page_driver import decode_png


@pytest.fixture
def world() -> ConsoleWorld:
    return ConsoleWorld(12)


@pytest.fixture
def console(world: ConsoleWorld) -> Iterator[ConsoleServer]:
    server = ConsoleServer(world)
    server.start()
    yield server
    server.stop()


def chart(page: Page, label: str) -> Locator:
    return page.locator("figure.chart").filter(has=page.locator("figcaption b", has_text=label))


def inked(found: Locator) -> int:
    """How many pixels of the plot are not its commonest colour."""
    pixels = decode_png(found.locator(".plot").screenshot())
    return len(pixels) - max(map(pixels.count, set(pixels[:2_000])))


def test_the_last_hour_is_drawn_and_said(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    points = world.samples()["series"]["players"]
    log_in(page, console)
    found = chart(page, "Players")
    expect(found.locator("output")).to_have_text(f"{points[-1][1]:,.0f}")
    label = found.locator(".plot").get_attribute("aria-label") or ""
    assert label.startswith("Players: now ")
    assert f"most {max(value for _, value in points):,.0f}" in label.replace("k", "")
    assert inked(found) > 2_000
    expect(page.locator("figure.chart canvas")).to_have_count(6)


def test_new_points_are_added(page: Page, console: ConsoleServer, world: ConsoleWorld) -> None:
    log_in(page, console)
    output = chart(page, "Players").locator("output")
    expect(output).not_to_be_empty()
    before = output.inner_text()
    whole = world.samples()
    at, _ = whole["series"]["players"][-1]
    whole["series"]["players"].append([at + 5.0, 4_321.0])
    world.topics = {**world.topics, "samples": lambda: whole}
    expect(output).to_have_text("4,321")
    assert before != "4,321"


def test_the_pointer_reads_a_moment(page: Page, console: ConsoleServer) -> None:
    log_in(page, console)
    found = chart(page, "Messages")
    expect(found.locator("output")).not_to_be_empty()
    now = found.locator("output").inner_text()
    box = found.locator(".plot .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    expect(found.locator("output")).to_contain_text(":")
    page.mouse.move(2, 2)
    expect(found.locator("output")).to_have_text(now)


def test_charts_follow_the_theme_and_the_width(page: Page, console: ConsoleServer) -> None:
    page.emulate_media(color_scheme="light")
    log_in(page, console)
    found = chart(page, "Players")
    expect(found.locator("canvas")).to_be_visible()
    light = found.locator(".plot").screenshot()
    page.emulate_media(color_scheme="dark")
    wait_until(page, lambda: found.locator(".plot").screenshot() != light, "the dark chart")
    assert inked(found) > 2_000
    page.set_viewport_size({"width": 500, "height": 800})
    wait_until(
        page, lambda: (found.locator("canvas").bounding_box() or {"width": 999})["width"] < 480, "the narrow chart"
    )


def test_the_last_time_is_not_cut_off(page: Page, console: ConsoleServer) -> None:
    log_in(page, console, path="nodes")
    found = page.locator("figure.chart").first
    plot, over = found.locator(".plot").bounding_box(), found.locator(".u-over").bounding_box()
    assert plot is not None
    assert over is not None
    half_a_label = page.evaluate(
        "() => { const c = document.createElement('canvas').getContext('2d');"
        " c.font = '12px system-ui, sans-serif'; return c.measureText('00:00').width / 2; }"
    )
    assert plot["x"] + plot["width"] - over["x"] - over["width"] >= half_a_label
