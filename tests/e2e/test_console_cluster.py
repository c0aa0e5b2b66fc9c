"""The console on a real realm of three Ray nodes with bots: every view, and every action through its dialog, to what it changes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cluster.ports.calls import zone_and_slot
from tests.e2e.console_cluster import CONFIG, VIEW_MS, Seat, said, shoot
from tests.e2e.console_driver import PHONE, barriers, faults
from tests.e2e.crowd import Crowd, crowd
from tests.e2e.offender import offend
from tests.three_nodes import ThreeNodes, three_nodes

pytestmark = [pytest.mark.realm, pytest.mark.slow]

BOTS, SEED, ENTER_S = 24, 7, 90.0
DRAWN_MS = 1_200
UPGRADE_MS = 400_000
# Each view, and what in it has data on a realm with players.
VIEWS = {
    "": ".tile",
    "map": ".tspace .tr",
    "zones": ".tspace .tr",
    "zones/zon_meadow": ".tile",
    "gateways": "[data-gateway]",
    "nodes": "[data-node]",
    "processes": ".tspace .tr",
    "sessions": ".tspace .tr",
    "presence": ".tspace .tr",
    "bans": ".table",
    "abuse": ".view-abuse",
    "realm": ".plain tbody tr",
    "jobs": ".view-jobs",
    "logs": ".view-logs",
    "audit": ".view-audit li",
    "operators": ".plain tbody tr",
    "maintenance": ".badge",
    "chaos": ".tspace .tr",
    "operations": ".operations li",
    "account": ".panel",
}
DARK = ("", "map", "zones", "nodes", "sessions", "logs", "operators")


@pytest.fixture(scope="module")
def realm() -> Iterator[ThreeNodes]:
    with three_nodes(config=CONFIG) as made:
        yield made


@pytest.fixture(scope="module")
def bots(realm: ThreeNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with crowd(realm.url, BOTS, SEED, tmp_path_factory.mktemp("crowd") / "log") as made:
        yield made


@pytest.fixture(scope="module")
def seat(browser: Browser, realm: ThreeNodes, bots: Crowd) -> Iterator[Seat]:
    made = Seat(browser, realm)
    made.until(lambda: bots.ask().walking == BOTS, f"{BOTS} bots that walk", ENTER_S)
    yield made
    made.close()
    assert made.troubles == []


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SHOTS names a folder to keep the screenshots in, to look at."""
    folder = Path(os.environ.get("SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def look(seat: Seat, page: Page, tag: str, path: str, shots: Path) -> list[str]:
    """What is wrong with a view."""
    seat.visit(path, page)
    expect(page.locator(f"#view {VIEWS.get(path, '.panel')}").first).to_be_visible(timeout=VIEW_MS)
    page.wait_for_timeout(DRAWN_MS)
    shoot(page, shots, f"{tag}-{(path or 'overview').replace('/', '-')}")
    assert page.locator("#view > .empty[role=alert]").count() == 0, page.inner_text("#view")
    return [f"{tag} {path}: {each}" for each in (*faults(page).items(), *barriers(page))]


@pytest.mark.parametrize("tag", ["desk", "phone", "dark"])
def test_every_view(seat: Seat, shots: Path, tag: str) -> None:
    page = {
        "desk": lambda: seat.page,
        "phone": lambda: seat.open(**PHONE),
        "dark": lambda: seat.open(color_scheme="dark"),
    }[tag]()
    session = seat.look("sessions.search", limit=1)["sessions"][0]
    one = [f"sessions/{session['session']}", f"users/{session['user']}"]
    places = DARK if tag == "dark" else (*VIEWS, *one)
    wrong = [each for path in places for each in look(seat, page, tag, path, shots)]
    if tag == "desk":
        seat.visit(one[0])
        page.click("[data-act=view]")
        expect(page.locator("#view")).to_contain_text("Read-only", timeout=VIEW_MS)
        page.wait_for_timeout(DRAWN_MS)
        shoot(page, shots, "desk-view-as-player")
        wrong += [str(each) for each in (*faults(page).items(), *barriers(page))]
    assert wrong == []


# --- the world -----------------------------------------------------------------------------------------------------


def owned(seat: Seat) -> bool:
    return all(zone["role"] == "owner" for zone in seat.zones().values())


def test_a_zone_is_split_and_merged_again(seat: Seat) -> None:
    before = set(seat.zones())
    seat.visit("zones/zon_meadow")
    seat.button("zones.split").click()
    seat.confirm()
    seat.until(lambda: owned(seat), "an owner of each")
    (half,) = set(seat.zones()) - before
    seat.visit("zones")
    seat.visit("zones/zon_meadow")
    seat.button("zones.merge").click()
    seat.fill(other=half)
    seat.confirm()
    seat.until(lambda: set(seat.zones()) == before, "the half going")


def test_a_zone_moves_and_starts_again(seat: Seat) -> None:
    zone = seat.zones()["zon_ridge"]
    to = next(node["node"] for node in seat.nodes().values() if node["node"] != zone["node"])
    seat.visit("zones/zon_ridge")
    seat.button("zones.move").click()
    seat.fill(node=to)
    seat.confirm()
    seat.until(lambda: seat.zones()["zon_ridge"]["node"] == to, "zon_ridge on the other node")
    epoch = seat.zones()["zon_ridge"]["epoch"]
    seat.button("zones.restart").click()
    seat.confirm()
    seat.until(lambda: seat.zones()["zon_ridge"]["epoch"] > epoch, "a new owner")


def test_a_standby_follows_and_goes(seat: Seat) -> None:
    seat.visit("zones/zon_harbour")
    for on, then in ((True, "Stop standby"), (False, "Start standby")):
        seat.button("zones.standby").click()
        seat.confirm()
        seat.until(lambda on=on: seat.zones()["zon_harbour"]["follows"] is on, f"follows: {on}")  # type: ignore[misc]
        expect(seat.button("zones.standby")).to_have_text(then, timeout=VIEW_MS)


def test_a_zone_is_added_and_removed(seat: Seat) -> None:
    before = set(seat.zones())
    seat.visit("zones/zon_ridge")
    seat.button("zones.add").click()
    seat.fill(side="north", name="Jetty")
    seat.confirm()
    seat.until(lambda: len(seat.zones()) > len(before) and owned(seat), "the zone")
    (made,) = set(seat.zones()) - before
    assert seat.zones()[made]["name"] == "Jetty"
    seat.visit(f"zones/{made}")
    seat.button("zones.remove").click()
    seat.confirm()
    seat.until(lambda: set(seat.zones()) == before, "the zone going")


def test_a_node_is_drained_and_takes_zones_again(seat: Seat) -> None:
    node = next(node for node in seat.nodes().values() if not node["head"])
    card = seat.visit("nodes").locator(f"[data-node='{node['node']}']")
    card.locator("[data-action='nodes.drain']").click()
    seat.confirm()
    assert all(zone["node"] not in ("", node["node"]) for zone in seat.zones().values())
    card.locator("[data-action='nodes.undrain']").click()
    seat.confirm()
    assert not seat.nodes()[node["address"]]["draining"]


def test_gateways_are_drained_and_scaled(seat: Seat) -> None:
    def taking() -> list[str]:
        return [each["gateway"] for each in seat.look("gateways.list")["gateways"] if not each["draining"]]

    left = taking()[0]
    seat.visit("gateways").locator(f"[data-gateway='{left}'] [data-action]").click()
    seat.confirm()
    assert left not in taking()
    seat.button("gateways.scale").click()
    seat.fill(count="2")
    seat.confirm()
    seat.until(lambda: len(taking()) == 2 and left not in taking(), "two gateways")


# --- people and the realm ------------------------------------------------------------------------------------------


def test_a_player_is_told_kicked_and_banned(seat: Seat, bots: Crowd) -> None:
    session = seat.look("sessions.search", limit=1)["sessions"][0]
    user = session["user"]

    def there() -> list[Any]:
        found: list[Any] = seat.look("sessions.search", q=user)["sessions"]
        return [each for each in found if each["gateway"]]

    seat.visit(f"sessions/{session['session']}")
    seat.page.get_by_role("button", name="Message").click()
    seat.fill(text="Hello from the operators")
    seat.confirm()
    reconnects = bots.ask().reconnects
    seat.page.get_by_role("button", name="Kick").click()
    seat.fill(reason="a test")
    seat.confirm()
    seat.until(lambda: bots.ask().reconnects > reconnects or not there(), "the socket closing")
    seat.visit(f"users/{user}")
    seat.page.get_by_role("button", name="End logins").click()
    seat.confirm()
    seat.page.get_by_role("button", name="Ban", exact=True).click()
    seat.fill(for_s="900", reason="a test")
    seat.confirm()
    seat.until(lambda: not there(), "nobody there of that user")
    seat.visit("bans").get_by_role("button", name="Lift the ban").click()
    seat.confirm()
    assert seat.look("bans.list")["total"] == 0


def test_a_network_is_banned(seat: Seat) -> None:
    seat.visit("bans").get_by_role("button", name="Ban a network").click()
    seat.fill(network="203.0.113.0/24", for_s="900")
    seat.confirm()
    assert [each["subject"] for each in seat.look("bans.list")["bans"]] == ["203.0.113.0/24"]
    seat.page.get_by_role("button", name="Lift the ban of 203.0.113.0/24").click()
    seat.confirm()
    assert seat.look("bans.list")["total"] == 0


def test_what_the_watch_holds_against_somebody_is_lifted(seat: Seat, realm: ThreeNodes) -> None:
    def held() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = seat.look("abuse.list")["measures"]
        return found

    assert held() == []
    offend(realm.url, "prying-magpie")
    seat.until(held, "the watch")
    (measure,) = held()
    seat.visit("abuse").get_by_role("button", name=f"Lift what holds against {measure['subject']}").click()
    seat.confirm()
    seat.until(lambda: not held(), "nothing being held against it")


def test_a_broadcast_and_maintenance(seat: Seat) -> None:
    page = seat.visit("maintenance")
    page.fill("#broadcast-text", "The lanterns are lit")
    page.click("form.form button[type=submit]")
    assert "Done" in seat.confirm()
    page.get_by_role("button", name="Close for maintenance").click()
    seat.fill(reason="a test", close_after_s="", for_s="600")
    seat.confirm()
    seat.until(lambda: seat.look("realm.overview")["maintenance"]["on"], "the realm closing")
    page.get_by_role("button", name="Open again").click()
    seat.confirm()
    seat.until(lambda: not seat.look("realm.overview")["maintenance"]["on"], "the realm opening")


def test_keys(seat: Seat) -> None:
    before = [key["kid"] for key in seat.look("keys.list")["keys"]]
    page = seat.visit("realm")
    page.get_by_role("button", name="Rotate the keys").click()
    seat.fill()
    seat.confirm()
    after = [key["kid"] for key in seat.look("keys.list")["keys"]]
    assert len(after) == len(before) + 1


def test_levels_of_logs(seat: Seat) -> None:
    seat.visit("logs").get_by_role("button", name="Change level").click()
    seat.fill(level="debug", processes="presence/0", for_s="60")
    seat.confirm()


def test_a_process_is_killed_and_comes_back(seat: Seat) -> None:
    def pid() -> int | None:
        found = [each["pid"] for each in seat.look("processes.list", kind="watch")["processes"]]
        return found[0] if found else None

    old = pid()
    seat.visit("chaos").get_by_role("button", name="Kill watch/0").click()
    seat.confirm()
    seat.until(lambda: pid() not in (None, old), "another watch")


def test_operators(seat: Seat, realm: ThreeNodes) -> None:
    def known() -> dict[str, str]:
        return {each["name"]: each["role"] for each in seat.look("operators.list")["operators"]}

    def invitation() -> str:
        link = page.get_by_role("textbox", name="Invitation for pim")
        address = rf"^{re.escape(realm.url)}/console/#/invitation/rrin\.pim\."
        expect(link).to_have_value(re.compile(address), timeout=VIEW_MS)
        given = link.input_value()
        page.keyboard.press("Escape")
        return given

    page = seat.visit("operators")
    page.get_by_role("button", name="Invite an operator").click()
    seat.fill(name="pim", role="viewer")
    seat.confirm()
    first = invitation()
    assert known()["pim"] == "viewer"
    page.get_by_role("button", name="Reset pim").click()
    seat.confirm()
    assert invitation() != first
    page.get_by_role("button", name="Change the role of pim").click()
    seat.fill(role="operator")
    seat.confirm()
    assert known()["pim"] == "operator"
    page.get_by_role("button", name="Remove pim").click()
    seat.confirm()
    assert "pim" not in known()
    assert {each["name"] for each in said(realm, "operators", "list")["operators"]} >= {"ivy"}


def test_new_code_under_bots(seat: Seat, bots: Crowd) -> None:
    """Every process but the launcher's is started again, one at a time. The last of all: it takes minutes."""

    def since() -> dict[str, float]:
        """When each began; a zone's is whoever began last for it: the next owner has the name that its standby had."""
        began: dict[str, float] = {}
        for each in sorted(seat.look("processes.list")["processes"], key=lambda each: each["started_at"]):
            name = each["name"]
            began[zone_and_slot(name)[0] if each["kind"] == "zone" else name] = each["started_at"]
        return began

    def gateways(names: Iterable[str]) -> set[str]:
        return {name for name in names if name.startswith("gtw_")}

    before, told = since(), bots.ask()
    seat.visit("realm").get_by_role("button", name="Start with new code").click()
    assert "Done" in seat.confirm(UPGRADE_MS)
    seat.until(lambda: set(since()) >= before.keys() - gateways(before), "every process")
    after = since()
    assert all(after[name] > before[name] for name in before.keys() - gateways(before)), (before, after)
    assert not gateways(before) & gateways(after)
    seat.until(lambda: bots.ask().walking >= told.walking, "the bots walking on")
    assert bots.ask().logins == told.logins
