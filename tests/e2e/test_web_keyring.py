"""The browser's keyring is shared by all tabs of a user: none loses what another has kept (row 6.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.social_stage import MORE
from tests.e2e.web_stage import PRELUDE

# Two tabs of one user, each with a `Sealed` and a connection of its own, on the real IndexedDB and the real locks.
TABS = """
  const { Sealed } = await load("sealed");
  const { KeyringStore } = await load("keyring");
  const sealing = await load("sealing");
  const now = Date.now() / 1000;
  const suites = ["ECDH-ES+A256KW"];
  const me = `usr_${crypto.randomUUID().slice(0, 8)}`;
  const bob = await sealing.createKeys("usr_bob", now, { suites });
  const published = new Set();
  const open = async () => {
    const stage = await meet();
    const { answers } = stage;
    answers["keys.publish"] = ({ device }) => { published.add(device); return { result: "first" }; };
    answers["keys.get"] = ({ user_ids: ids }) => ({ left_out: [], keys: Object.fromEntries(ids.filter((id) => id === "usr_bob")
      .map((id) => [id, { identity: bob.identity.record, devices: [bob.device.record] }])) });
    answers["sealed.inbox"] = () => ({ messages: [], more: false, cursor: null });
    answers["sealed.read"] = () => ({ read: 1 });
    return { ...stage, sealed: new Sealed({ connection: stage.connection }) };
  };
  const tabs = [await open(), await open()];
  const [one, two] = tabs;
  const all = async (...work) => {
    let over = false;
    const settled = Promise.allSettled(work).finally(() => { over = true; });
    while (!over) { for (const tab of tabs) await tab.serve(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    const failed = (await settled).filter(({ status }) => status === "rejected");
    if (failed.length > 0) throw failed[0].reason;
  };
  const until = async (condition) => {
    for (let tries = 0; tries < 2000 && !condition(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    return condition();
  };
"""


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + MORE + TABS + script, given)


def test_two_tabs_that_begin_together_have_the_same_keys(run: Any) -> None:
    assert run("""
      await all(...tabs.map(({ sealed }) => sealed.begin(me, { curve: "P-256" })));
      return [published.size, tabs.map(({ sealed }) => sealed.state)];
    """) == [1, ["ready", "ready"]]


def test_no_tab_overwrites_what_another_has_kept(run: Any) -> None:
    kept, seen = run("""
      await all(one.sealed.begin(me, { curve: "P-256" }), two.sealed.begin(me, { curve: "P-256" }));
      await all(...tabs.map(({ sealed }) => sealed.lookUp(["usr_bob"])));
      await all(one.sealed.choose("usr_bob", true), one.sealed.verify("usr_bob", true));
      await all(two.sealed.choose("usr_cat", true), two.sealed.lookUp(["usr_bob"]));
      const { sealed, pins } = await new KeyringStore().load(me);
      await until(() => tabs.every(({ sealed }) => sealed.isChosen("usr_bob") && sealed.isChosen("usr_cat")));
      const seen = tabs.map(({ sealed }) => [sealed.isChosen("usr_bob"), sealed.isChosen("usr_cat"), sealed.status("usr_bob")]);
      return [[sealed.sort(), pins.usr_bob.verified], seen];
    """)
    assert kept == [["usr_bob", "usr_cat"], True]
    assert seen == [[True, True, "verified"]] * 2


def test_changes_at_the_same_moment_are_all_kept(run: Any) -> None:
    assert run("""
      await all(one.sealed.begin(me, { curve: "P-256" }), two.sealed.begin(me, { curve: "P-256" }));
      const people = Array.from({ length: 20 }, (_, number) => `usr_${number}`);
      const work = people.map((userId, number) => tabs[number % 2].sealed.choose(userId, true));
      const atOnce = people.every((userId, number) => tabs[number % 2].sealed.isChosen(userId));
      await all(...work);
      const kept = (await new KeyringStore().load(me)).sealed;
      return [atOnce, people.every((userId) => kept.includes(userId)), kept.length];
    """) == [True, True, 20]


def test_a_keyring_is_made_once(run: Any) -> None:
    first, second, kept = run("""
      const stores = [new KeyringStore(), new KeyringStore()];
      const rings = await Promise.all([1, 2].map(async () =>
        ({ userId: me, keys: await sealing.createKeys(me, now, { suites }), pins: {}, read: {}, sealed: [] })));
      const added = await Promise.all(rings.map((ring, number) => stores[number].add(ring)));
      const kept = await stores[0].load(me);
      return [...added, kept].map(({ keys }) => keys.device.device);
    """)
    assert first == second == kept


def test_keys_are_made_and_published_by_one_tab_at_a_time(run: Any) -> None:
    assert run("""
      const order = [];
      const slow = async (name) => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push(`${name} ends`);
      };
      await Promise.all(["one", "two"].map((name) => new KeyringStore().alone(me, () => slow(name))));
      return order;
    """) == ["one begins", "one ends", "two begins", "two ends"]
