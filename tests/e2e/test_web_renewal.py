"""The web client keeps its login good over an open socket (rayrealm/renewal.js): in real Chromium, on a clock of the test's."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.e2e.page_driver import open_page
from tests.e2e.play_server import PlayServer

# A login whose access token ends at 100 s, a socket that answers in the way that is named, and a reminder at 40 s.
SCENE = """
async (name) => {
  const { Renewal } = await import("/play/rayrealm/renewal.js");
  const { Credentials } = await import("/play/rayrealm/credentials.js");
  const { RpcError, NoAnswer } = await import("/play/rayrealm/pending.js");
  const kept = new Map();
  const storage = {
    getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key),
  };
  const due = [];
  const clock = { time: 0, now: () => clock.time };
  clock.after = (seconds, action) => {
    due.push({ at: clock.time + seconds, action });
    return () => {};
  };
  const run = async (until) => {
    for (;;) {
      const next = due.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      due.splice(due.indexOf(next), 1);
      clock.time = next.at;
      next.action();
      for (let turn = 0; turn < 20; turn += 1) await null;
    }
    clock.time = until;
  };
  const asked = [];
  const answers = {
    granted: async () => ({ access_token: "a2", expires_in: 900, refresh_token: "r2" }),
    silent: async () => { throw new NoAnswer("late"); },
    refused: async () => { throw new RpcError(-32000, "no", { reason: "token_invalid" }); },
  };
  let answer = answers[name];
  const connection = new (class extends EventTarget {
    ready = true;
    request(method, params) { asked.push([clock.time, method, params]); return answer(); }
  })();
  const credentials = new Credentials({ api: {}, storage, clock });
  credentials.adopt({ user_id: "u", access_token: "a1", token_type: "Bearer", expires_in: 100, refresh_token: "r1" }, "ada");
  new Renewal({ connection, credentials, clock, random: () => 0.5 });
  const remind = (seconds) => {
    const detail = { method: "auth.expiring", params: { expires_in: seconds } };
    connection.dispatchEvent(new CustomEvent("notification", { detail }));
  };
  await run(40);
  remind(60);
  await run(300);
  if (name === "granted") {
    remind(20);
    await run(400);
  }
  return { asked, stored: kept.get("rayrealm.login"), token: name === "granted" ? await credentials.token() : "" };
}
"""


@pytest.fixture
def stage(page: Page, play_server: PlayServer) -> Page:
    open_page(page, play_server.url)
    return page


def test_it_refreshes_at_a_moment_of_its_own_and_keeps_what_it_gets(stage: Page) -> None:
    result = stage.evaluate(SCENE, "granted")
    assert result["asked"] == [
        [55, "auth.refresh", {"refresh_token": "r1"}],
        [305, "auth.renew", {"access_token": "a2"}],  # its own token is newer than the socket's
    ]
    assert result["token"] == "a2"
    assert '"r2"' in result["stored"]


def test_without_an_answer_it_asks_again_until_the_end(stage: Page) -> None:
    asked = stage.evaluate(SCENE, "silent")["asked"]
    assert [at for at, *_ in asked] == [55, 60, 65, 70, 75, 80, 85, 90, 95, 100]
    assert {(method, params["refresh_token"]) for _, method, params in asked} == {("auth.refresh", "r1")}


def test_a_refusal_is_not_argued_with(stage: Page) -> None:
    result = stage.evaluate(SCENE, "refused")
    assert [at for at, *_ in result["asked"]] == [55]
    assert '"r1"' in result["stored"], "whether the login has ended is for the HTTP API to say"
