"""The browser's `client.sealed` against a realm that the test plays: what is sent again, told once, refused and not believed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.social_stage import MORE
from tests.e2e.web_stage import PRELUDE

# Ann on the stage; Bob and his devices are the realm's side. Keys are of the suite that is made soonest.
PEOPLE = """
  const { Sealed } = await load("sealed");
  const sealing = await load("sealing");
  const now = Date.now() / 1000;
  const suites = ["ECDH-ES+A256KW"];
  const ring = () => ({ userId: "usr_ann", pins: {}, read: {}, sealed: [] });
  const bob = await sealing.createKeys("usr_bob", now, { suites });
  const stage = await meet();
  const { serve, answers, asked, tell } = stage;
  const kept = { ...ring(), keys: await sealing.createKeys("usr_ann", now, { suites }) };
  const store = { load: async () => kept, add: async (ring) => ring, alone: (_, work) => work(), listen: () => () => {},
                  change: async (ring, change) => { change(ring); return ring; } };
  const sealed = new Sealed({ connection: stage.connection, store });
  stage.connection.addEventListener("notification", ({ detail }) => sealed.heed(detail.method, detail.params));
  const records = { usr_ann: { identity: kept.keys.identity.record, devices: [kept.keys.device.record] },
                    usr_bob: { identity: bob.identity.record, devices: [bob.device.record] } };
  answers["keys.publish"] = () => ({ result: "first" });
  answers["keys.get"] = ({ user_ids: ids }) => ({ keys: Object.fromEntries(ids.map((id) => [id, records[id]])), left_out: [] });
  answers["sealed.inbox"] = () => ({ messages: [], more: false, cursor: null });
  answers["chat.sealed"] = () => ({ message_id: "msg_1", missing: [] });
  answers["sealed.read"] = () => ({ read: 1 });
  const told = [];
  sealed.addEventListener("message", ({ detail }) => told.push(detail.text));
  sealed.addEventListener("unopened", ({ detail }) => told.push(detail.reason));
  sealed.addEventListener("changed", ({ detail }) => told.push(`changed ${detail.user_id}`));
  sealed.addEventListener("trouble", ({ detail }) => told.push(String(detail)));
  // Keys and seals take real time, which no clock of the stage knows.
  const done = async (work) => {
    let over = false;
    const why = (error) => ({ error: error.reason ?? String(error) });
    const settledWork = work.then((value) => ({ value }), why).finally(() => { over = true; });
    while (!over) { await serve(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    return settledWork;
  };
  const quiet = () => done(new Promise((resolve) => setTimeout(resolve, 150)));
  const from = async (own, text, id, to = "usr_ann", device = kept.keys.device, said = "usr_bob") => ({
    message_id: `msg_${id}`, from: said, to, name: "Bob", device_from: own.device.device, client_id: id, sent_at: now,
    items: [await sealing.seal(await sealing.say(own, to, text, id, now), device)],
  });
  await done(sealed.begin("usr_ann"));
  asked.length = 0;
"""


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + MORE + PEOPLE + script, given)


def test_devices_that_were_missing_get_it_too(run: Any) -> None:
    sent, opened, told = run("""
      const desk = await sealing.createKeys("usr_bob", now, { suites });
      let times = 0;
      answers["chat.sealed"] = () => {
        times += 1;
        if (times > 1) return { message_id: "msg_2", missing: [] };
        records.usr_bob.devices.push(bob2.device.record);
        return { message_id: "msg_1", missing: [{ user_id: "usr_bob", device: bob2.device.device, version: 1 }] };
      };
      const sealingModule = await load("key_records");
      const record = await sealingModule.sign("rayrealm-device",
        { user_id: "usr_bob", device: desk.device.device, version: 1, created_at: 1, keys: desk.device.keys }, bob.signing);
      const bob2 = { ...desk, identity: bob.identity, device: await sealingModule.readDevice(record, bob.identity) };
      await done(sealed.tell("usr_bob", "hello"));
      const sent = asked.filter(([method]) => method === "chat.sealed").map(([, params]) => params);
      const opened = [];
      for (const [index, own] of [bob, bob2].entries()) {
        const said = await sealing.unseal(sent[index].items[0].jwe, own);
        opened.push(await sealing.read(said, kept.keys.identity, "usr_bob", now));
      }
      return [sent.map((each) => [each.client_id, each.items.length]), opened, told];
    """)
    assert [count for _, count in sent] == [1, 1]
    assert sent[1][0] == f"{sent[0][0]}.1"
    assert [each["messageId"] for each in opened] == [sent[0][0]] * 2, "it is the same message inside"
    assert told == ["hello"]


def test_each_message_is_told_once_and_not_after_it_was_read(run: Any) -> None:
    assert run("""
      const first = await from(bob, "one", "a");
      await tell("chat.sealed", first);
      await tell("chat.sealed", first);
      await tell("chat.sealed", { ...(await from(bob, "one", "a")), message_id: "msg_again" });
      await quiet();
      await done(sealed.markRead(["msg_a"]));
      await tell("chat.sealed", { ...first, message_id: "msg_replayed" });
      await quiet();
      return told;
    """) == ["one", "replayed"]


def test_what_a_bad_realm_does_is_not_believed(run: Any) -> None:
    assert run("""
      const eve = await sealing.createKeys("usr_eve", now, { suites });
      records.usr_eve = { identity: eve.identity.record, devices: [eve.device.record] };
      for (const said of [
        await from(eve, "I am Bob", "a"),
        { ...(await from(bob, "for Ann", "b")), to: "usr_eve" },
        await from(bob, "for Eve", "c", "usr_eve").then((each) => ({ ...each, to: "usr_ann" })),
        await from(eve, "I am Bob, too", "d").then((each) => ({ ...each, from: "usr_nobody" })),
        await from(bob, "for another device", "e", "usr_ann", { ...eve.device, device: "dev_other" }),
        { ...(await from(bob, "nothing", "f")), items: null },
      ]) {
        await tell("chat.sealed", said);
        await quiet();
      }
      return told;
    """) == ["bad_signature", "wrong_receiver", "wrong_receiver", "no_keys"]


def test_another_identity_is_told_and_waits_to_be_accepted(run: Any) -> None:
    told, refused, after = run("""
      await done(sealed.tell("usr_bob", "first"));
      await done(sealed.verify("usr_bob", true));
      const other = await sealing.createKeys("usr_bob", now, { suites });
      records.usr_bob = { identity: other.identity.record, devices: [other.device.record] };
      await tell("keys.changed", { user_id: "usr_bob", version: 2, thumbprint: other.identity.thumbprint });
      await quiet();
      const refused = await done(sealed.tell("usr_bob", "second"));
      const said = await from(other, "it is me", "a");
      await tell("chat.sealed", said);
      await quiet();
      const before = sealed.status("usr_bob");
      answers["sealed.inbox"] = () => ({ messages: [said], more: false, cursor: null });
      await done(sealed.accept("usr_bob"));
      await quiet();
      return [told, refused.error, [before, sealed.status("usr_bob")]];
    """)
    assert told == ["first", "changed usr_bob", "identity_changed", "it is me"]
    assert refused == "identity_changed"
    assert after == ["changed", "known"]


def test_nothing_is_sealed_by_keys_that_another_device_has_put_out(run: Any) -> None:
    refused, sent, told = run("""
      await done(sealed.tell("usr_bob", "first"));
      const other = await sealing.createKeys("usr_ann", now, { suites });
      records.usr_ann = { identity: other.identity.record, devices: [other.device.record] };
      await tell("keys.changed", { user_id: "usr_ann", version: 2, thumbprint: other.identity.thumbprint });
      await quiet();
      const refused = await done(sealed.tell("usr_bob", "second"));
      return [refused.error, asked.filter(([method]) => method === "chat.sealed").length, told];
    """)
    assert refused == "elsewhere"
    assert sent == 1
    assert told == ["first"]


def test_a_realm_cannot_bring_former_keys_back(run: Any) -> None:
    assert (
        run("""
      const newer = await sealing.renumbered(bob, { device: 5 });
      records.usr_bob.devices = [newer.device.record];
      await done(sealed.tell("usr_bob", "first"));
      records.usr_bob.devices = [bob.device.record];
      await done(sealed.lookUp(["usr_bob"]));
      return (await done(sealed.tell("usr_bob", "second"))).error;
    """)
        == "no_keys"
    )


def test_what_came_too_fast_is_fetched(run: Any) -> None:
    told, inboxes = run("""
      const said = await from(bob, "from the inbox", "z");
      const flood = await from(bob, "live", "a");
      for (let number = 0; number < 300; number += 1) {
        const items = [{ ...flood.items[0], jwe: "nothing" }];
        sealed.heed("chat.sealed", { ...flood, items, message_id: `msg_${number}` });
      }
      answers["sealed.inbox"] = () => ({ messages: [said], more: false, cursor: null });
      await quiet();
      return [told, asked.filter(([method]) => method === "sealed.inbox").length];
    """)
    assert told == ["cannot_open"] * 256 + ["from the inbox"]
    assert inboxes == 1
