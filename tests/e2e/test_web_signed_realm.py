"""The browser library on a real gateway, signed: a real browser and socket, and a realm without Ray in a thread (row 6.1)."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.page_driver import PASSWORD, enter, fill_login, open_page, wait_for_state, walk
from tests.e2e.play_server import PlayServer
from tests.local_realm import LocalRealm, local_realm

DEADLINE_S = 30.0

PLAY = """
async ({ url, token, character }) => {
  const load = (name) => import(`/play/rayrealm/${name}.js`);
  const { Connection } = await load("connection");
  const { RealmClient } = await load("client");
  const connection = new Connection({ url, token: async () => token, sign: true });
  const client = new RealmClient({ connection });
  const rotated = [], faults = [], texts = [];
  client.addEventListener("notification", ({ detail }) => {
    if (detail.method === "security.key.rotated") rotated.push(detail.params.key_id);
  });
  client.addEventListener("chat", ({ detail }) => texts.push(detail.text));
  connection.addEventListener("fault", ({ detail }) => faults.push(detail.message));
  const until = async (holds) => {
    for (const end = performance.now() + 20000; !holds(); await new Promise((resolve) => setTimeout(resolve, 20))) {
      if (performance.now() > end) throw new Error(`not in time: ${holds} ${connection.state.why} ${faults}`);
    }
  };
  connection.connect();
  await until(() => connection.ready);
  await client.enter(character);
  await connection.request("chat.channel.join", { channel: "signed" });
  for (let n = 0; n < 3; n += 1) await connection.request("chat.message", { channel: "signed", text: `text ${n}` });
  let sequence = 0;
  await until(() => {
    sequence += 1;
    connection.sendMove({ position: { x: 60, y: 0, z: 60 }, rotation: { yaw: 0 }, sequence });
    return rotated.length >= 2 && texts.length === 3 && client.view.ack > 0;
  });
  const { echo } = await connection.request("system.ping", { echo: "still here" });
  const first = connection.sessionId;
  connection.disconnect();
  connection.connect();
  await until(() => connection.ready);
  return { rotated: rotated.slice(0, 2), faults, texts, echo, same: connection.sessionId === first };
}
"""


class RealmThread:
    """A LocalRealm on an event loop of its own: Playwright's sync API has the main thread."""

    def __init__(self, *where: str, **overrides: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._where, self._overrides = where, overrides
        self._failed: BaseException | None = None
        self.realm: LocalRealm
        self._thread = threading.Thread(target=self._run, name="local-realm")
        self._thread.start()
        if not self._ready.wait(DEADLINE_S) or self._failed is not None:
            raise RuntimeError("no realm") from self._failed

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failed = error
        finally:
            self.loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        async with local_realm(*self._where, **self._overrides) as self.realm:
            self._ready.set()
            await self._end.wait()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(DEADLINE_S)
        if self._failed is not None:
            raise self._failed


@pytest.fixture
def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> Iterator[RealmThread]:
    made = RealmThread(
        valkey_url,
        nats_url,
        nats_token,
        namespace,
        firewall={"origins": ["*"]},
        signing={"mode": "required", "rotate_s": 2.0, "previous_s": 1.0},
    )
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """One that may speak with another origin: the library comes from the mock realm's page."""
    server = PlayServer(walkers=0)
    server.start()
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    open_page(page, server.url)
    yield page
    context.close()
    server.stop()


def test_a_browser_plays_signed(realm: RealmThread, page: Page) -> None:
    user = f"usr_{secrets.token_hex(6)}"
    character = realm.do(realm.realm.character(user, at=(60.0, 60.0)))
    given = {"url": realm.realm.url, "token": realm.realm.token(user), "character": character}
    played = page.evaluate(PLAY, given)
    assert played == {
        "rotated": [1, 2],
        "faults": [],
        "texts": ["text 0", "text 1", "text 2"],
        "echo": "still here",
        "same": True,
    }
    assert set(realm.realm.gateway.hub.metrics._bad_signatures.values()) == {0}


# The page speaks with its own origin; here that has the files alone.
ELSEWHERE = """(() => {
  const Socket = WebSocket;
  window.WebSocket = class extends Socket {
    constructor(url, protocols) {
      super(url.replace(/^.*[/]ws/, "REALM"), protocols);
      window.opened = [...(window.opened ?? []), new URL(url).searchParams.has("sign")];
    }
  };
})()"""


def answering(body: dict[str, Any]) -> Callable[[Route], None]:
    return lambda route: route.fulfill(json=body)


def test_the_page_signs_by_itself(realm: RealmThread, page: Page) -> None:
    user = f"usr_{secrets.token_hex(6)}"
    character = realm.do(realm.realm.character(user, at=(60.0, 60.0)))
    tokens = {"user_id": user, "access_token": realm.realm.token(user), "expires_in": 900, "refresh_token": "r1"}
    hero = {"character_id": character, "name": "Hero", "zone": None, "position": None}
    answers: dict[str, dict[str, Any]] = {
        "**/v1/realm": {"realm": "test", "zones": [], "websocket": "/ws", "sign": True},
        "**/v1/auth/login": tokens,
        "**/v1/characters": {"characters": [hero]},
    }
    for path, answer in answers.items():
        page.route(path, answering(answer))
    page.add_init_script(ELSEWHERE.replace("REALM", realm.realm.url))
    open_page(page, page.url.removesuffix("/play/"))
    fill_login(page, "marlow", PASSWORD, register=False)
    enter(page)
    walk(page, "d", lambda s: s["me"]["x"] > 61, "walking")
    wait_for_state(page, lambda s: s["settled"], "every move judged")
    page.fill("#chat-text", "signed by the page")
    page.press("#chat-text", "Enter")
    expect(page.locator("#chat-log li.own span")).to_have_text("signed by the page")
    assert page.evaluate("() => window.opened") == [True]
    expect(page.locator("#chat-log .notice")).to_have_count(0)
    assert set(realm.realm.gateway.hub.metrics._bad_signatures.values()) == {0}
