"""The browser's sealed messages when many write, or one who seals nonsense; and when one must be sent again (row 6.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.social_stage import MORE
from tests.e2e.test_web_sealed import PEOPLE
from tests.e2e.web_stage import PRELUDE

# An inbox from which what was read goes, and a realm that grants `keys.get` so many times.
INBOX = """
  const inbox = [];
  let granted = 20;
  const lookUps = () => asked.filter(([method]) => method === "keys.get").map(([, params]) => params.user_ids);
  const sent = () => asked.filter(([method]) => method === "chat.sealed").map(([, params]) => params);
  const getKeys = answers["keys.get"];
  answers["keys.get"] = (params) => { granted -= 1; return granted < 0 ? new Error("-32001") : getKeys(params); };
  answers["sealed.inbox"] = ({ cursor }) => {
    const after = Number(cursor ?? 0);
    const page = inbox.filter(({ at }) => at > after).slice(0, 20);
    const more = inbox.some(({ at }) => at > (page.at(-1)?.at ?? after));
    return { messages: page.map(({ said }) => said), more, cursor: more ? String(page.at(-1).at) : null };
  };
  answers["sealed.read"] = ({ message_ids: ids }) => {
    for (const id of ids) inbox.splice(inbox.findIndex(({ said }) => said.message_id === id), 1);
    return { read: ids.length };
  };
  const post = (said) => inbox.push({ at: inbox.length + 1, said });
  const person = async (userId) => {
    const keys = await sealing.createKeys(userId, now, { suites });
    records[userId] = { identity: keys.identity.record, devices: [keys.device.record] };
    return keys;
  };
  // What takes no time of the stage's clock, until nothing happens any more.
  const over = async (count) => { for (let tries = 0; tries < 40 && told.length < count; tries += 1) await quiet(); };
  const another = async (own, suffix) => {
    const { sign, readDevice } = await load("key_records");
    const { device } = await sealing.createKeys(own.identity.userId, now, { suites });
    const record = await sign("rayrealm-device",
      { user_id: own.identity.userId, device: device.device, version: 1, created_at: 1, keys: device.keys }, own.signing);
    records[own.identity.userId].devices.push(record);
    return readDevice(record, own.identity);
  };
  // As a gateway does it: whoever is in no item of this message is missing.
  let times = 0;
  const relay = async () => {
    const { readDevice } = await load("key_records");
    const present = [];
    for (const [userId, own] of [["usr_bob", bob], ["usr_ann", kept.keys]]) {
      for (const record of records[userId].devices) present.push([userId, await readDevice(record, own.identity)]);
    }
    answers["chat.sealed"] = ({ device, items, copies }) => {
      times += 1;
      const given = new Set([...items, ...copies].map((each) => `${each.device}.${each.version}`));
      const missing = present
        .filter(([, each]) => each.device !== device && !given.has(`${each.device}.${each.version}`))
        .map(([user_id, each]) => ({ user_id, device: each.device, version: each.version }));
      return { message_id: `msg_${times}`, missing };
    };
  };
"""


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + MORE + PEOPLE + INBOX + script, given)


def test_nonsense_blocks_nobody(run: Any) -> None:
    told, asked, left = run("""
      const eve = await person("usr_eve");
      const other = await sealing.createKeys("usr_eve", now, { suites });
      for (let number = 0; number < 40; number += 1) {
        post(await from(other, "nonsense", `e${number}`, "usr_ann", kept.keys.device, "usr_eve"));
      }
      post(await from(bob, "hello", "b"));
      await done(sealed.begin("usr_ann"));
      await over(41);
      return [told, lookUps(), inbox.map(({ said }) => said.message_id)];
    """)
    assert told == ["bad_signature"] * 40 + ["hello"]
    assert asked == [["usr_eve"], ["usr_bob"]]
    assert left == ["msg_b"]


def test_many_senders_are_looked_up_at_once(run: Any) -> None:
    told, asked = run("""
      for (let number = 0; number < 30; number += 1) {
        post(await from(await person(`usr_${number}`), `of ${number}`, `${number}`, "usr_ann", kept.keys.device, `usr_${number}`));
      }
      await done(sealed.begin("usr_ann"));
      await over(30);
      return [told, lookUps().length];
    """)
    assert told == [f"of {number}" for number in range(30)]
    assert asked <= 2, "one request for each page"


def test_what_cannot_be_looked_up_now_is_asked_for_later(run: Any) -> None:
    before, after = run("""
      await done(sealed.lookUp(["usr_bob"]));
      granted = 0;
      post(await from(await person("usr_new"), "of somebody new", "n", "usr_ann", kept.keys.device, "usr_new"));
      post(await from(bob, "after it", "b"));
      await done(sealed.begin("usr_ann"));
      await over(1);
      const before = [...told];
      granted = 20;
      await stage.clock.advance(5);
      await over(2);
      return [before, told];
    """)
    assert before == ["after it"]
    assert after == ["after it", "of somebody new"]


def test_one_who_is_known_is_asked_about_now_and_then(run: Any) -> None:
    asked, before, after = run("""
      const eve = await person("usr_eve");
      const other = await sealing.createKeys("usr_eve", now, { suites });
      await done(sealed.lookUp(["usr_eve"]));
      for (let number = 0; number < 5; number += 1) {
        const said = await from(other, "nonsense", `e${number}`, "usr_ann", kept.keys.device, "usr_eve");
        post(said);
        await tell("chat.sealed", said);
        await quiet();
      }
      const before = [lookUps().length, [...told]];
      for (let seconds = 0; seconds < 12; seconds += 1) { await stage.clock.advance(1); await serve(); }
      await over(5);
      return [lookUps().length, before, [told, inbox.length]];
    """)
    assert before == [1, []], "the realm was asked right before"
    assert asked == 2
    assert after == [["bad_signature"] * 5, 0]


def test_what_comes_twice_and_is_read_at_once_is_no_replay(run: Any) -> None:
    """As itself and from the inbox, while the conversation is open."""
    assert run("""
      sealed.addEventListener("message", ({ detail }) => void sealed.markRead([detail.message_id]));
      const said = await from(bob, "once", "a");
      for (const each of [said, said]) sealed.heed("chat.sealed", each);
      await over(2);
      return told;
    """) == ["once"]


def test_each_device_gets_it_once(run: Any) -> None:
    served, told = run("""
      await done(sealed.tell("usr_bob", "before"));
      const desk = await another(bob);
      await relay();
      asked.length = 0;
      await done(sealed.tell("usr_bob", "hello"));
      const names = { [bob.device.device]: "phone", [desk.device]: "desk" };
      return [sent().map(({ items }) => items.map(({ device }) => names[device])), told];
    """)
    assert served == [["phone"], ["desk"]]
    assert told == ["before", "hello"]


def test_ones_own_other_device_alone_is_served(run: Any) -> None:
    served, failed, told = run("""
      await done(sealed.tell("usr_bob", "before"));
      await another(kept.keys);
      await relay();
      asked.length = 0;
      const { error } = await done(sealed.tell("usr_bob", "hello"));
      return [sent().map(({ items, copies }) => [items.length, copies.length]), error ?? null, told];
    """)
    assert served == [[1, 0], [0, 1]]
    assert failed is None
    assert told == ["before", "hello"]


def test_what_was_delivered_is_not_an_error(run: Any) -> None:
    failed, told = run("""
      await done(sealed.tell("usr_bob", "before"));
      await another(bob);
      await relay();
      granted = 0;
      const { error } = await done(sealed.tell("usr_bob", "hello"));
      return [error ?? null, told];
    """)
    assert failed is None
    assert told == ["before", "hello"]
