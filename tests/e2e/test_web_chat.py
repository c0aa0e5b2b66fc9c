"""The browser library's chat and topics, and calls that are only calls, on a stage of the test's own (rows 1.5, 2.3, 3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.social_stage import MORE
from tests.e2e.web_stage import PRELUDE


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + MORE + script, given)


def test_what_waited_and_what_comes_are_one(run: RunScript) -> None:
    heard, asked = run("""
      const { channels, serve, asked, answers, again, tell } = await meet();
      const heard = [];
      channels.addEventListener("chat", ({ detail }) => heard.push([detail.message_id, detail.waited ?? false]));
      const message = (id) => ({ message_id: id, channel: "direct:usr_b", from: "usr_b", name: "B", text: "hi", sent_at: 1 });
      await tell("chat.message", message("msg_1"));
      answers["chat.inbox"] = () => ({ messages: [message("msg_1"), message("msg_2")] });
      await again({ resumed: true, recovered: true });
      await again({ resumed: true });
      await tell("chat.message", message("msg_2"));
      await tell("chat.message", message("msg_3"));
      const read = channels.markRead(["msg_1"]);
      await serve();
      await read;
      answers["chat.history"] = () => ({ messages: [message("msg_0")], cursor: null });
      const older = channels.history("zone", "c9", 5);
      await serve();
      heard.push((await older).messages.length);
      return [heard, asked.filter(([method]) => method.startsWith("chat."))];
    """)
    assert heard == [["msg_1", False], ["msg_2", True], ["msg_3", False], 1]
    assert asked == [
        ["chat.inbox", {}],
        ["chat.read", {"message_ids": ["msg_1"]}],
        ["chat.history", {"channel": "zone", "limit": 5, "cursor": "c9"}],
    ]


def test_the_inbox_is_asked_for_to_its_end(run: RunScript) -> None:
    heard, asked, endless = run("""
      const { channels, serve, asked, answers, again } = await meet();
      const heard = [];
      channels.addEventListener("chat", ({ detail }) => heard.push(detail.message_id));
      const page = (number, more) => ({
        messages: [{ message_id: `msg_${number}`, channel: "direct:usr_b", from: "usr_b", name: "B", text: "hi", sent_at: 1 }],
        more, cursor: more ? String(number + 1) : null,
      });
      answers["chat.inbox"] = ({ cursor = "0" }) => page(Number(cursor), Number(cursor) < 2);
      await again({ resumed: true });
      const pages = asked.filter(([method]) => method === "chat.inbox");
      answers["chat.inbox"] = () => page(7, true);
      await again({ resumed: true });
      return [heard.slice(0, 3), pages, asked.filter(([method]) => method === "chat.inbox").length];
    """)
    assert heard == ["msg_0", "msg_1", "msg_2"]
    assert asked == [["chat.inbox", {}], ["chat.inbox", {"cursor": "1"}], ["chat.inbox", {"cursor": "2"}]]
    assert endless == 10


def test_what_the_realm_tells_who_listens(run: RunScript) -> None:
    told, asked = run("""
      const { topics, serve, asked, answers, again, tell } = await meet();
      const told = [];
      topics.addEventListener("topic", ({ detail }) => told.push([detail.topic, detail.data.text]));
      topics.addEventListener("message", ({ detail }) => told.push([detail.from, detail.text]));
      topics.addEventListener("trouble", ({ detail }) => told.push(detail.code));
      asked.length = 0;
      answers["system.subscribe"] = ({ topics: [topic] }) => (topic === "staff" ? new Error("-32000") : {});
      const all = [topics.subscribe("news", "weather"), topics.subscribe("staff").catch((error) => told.push(error.code))];
      await serve();
      await Promise.all(all);
      const leaving = topics.unsubscribe("weather");
      await serve();
      await leaving;
      const first = asked.splice(0);
      await tell("system.topic", { topic: "news", data: { text: "rain" } });
      await tell("system.message", { from: "operator", text: "come down" });
      await again({ resumed: true });
      const kept = asked.filter(([method]) => method.startsWith("system.sub"));
      await again({}); // another session listens to nothing
      return [told, [...first, ...kept, ...asked.filter(([method]) => method.startsWith("system.sub"))]];
    """)
    assert told == [-32000, ["news", "rain"], ["operator", "come down"]]
    assert asked == [
        ["system.subscribe", {"topics": ["news", "weather"]}],
        ["system.subscribe", {"topics": ["staff"]}],
        ["system.unsubscribe", {"topics": ["weather"]}],
        ["system.subscribe", {"topics": ["news"]}],
    ]


def test_every_other_call(run: RunScript) -> None:
    results, asked = run("""
      const { social, channels, serve, asked, answers } = await meet();
      asked.length = 0;
      answers["presence.privacy"] = ({ zone }) => ({ zone, character: "all" });
      answers["presence.get"] = ({ user_ids: ids }) => ({ presences: ids.map((id) => presence(id, "busy", 3)) });
      for (const method of ["create", "change"]) answers[`chat.channel.${method}`] = ({ channel }) => ({ channel, owner: "usr_1" });
      answers["chat.mute"] = ({ seconds }) => ({ until: 1000 + seconds });
      const results = [];
      for (const call of [
        () => social.presences.privacy({ zone: "friends" }),
        async () => (await social.presences.get(new Set(["usr_b", "usr_c"]))).map(({ status }) => status),
        () => channels.create("den", { private: true, slow_s: 5 }),
        () => channels.change("den", { private: false }),
        () => channels.invite("den", { name: "Bob" }),
        () => channels.delete("den", "msg_1"),
        () => channels.mute("den", "usr_b", 60),
      ]) {
        const calling = call();
        await serve();
        results.push((await calling) ?? null);
      }
      return [results, asked, [...social.presences.known.keys()]];
    """)[:2]
    assert results == [
        {"zone": "friends", "character": "all"},
        ["busy", "busy"],
        {"channel": "den", "owner": "usr_1"},
        {"channel": "den", "owner": "usr_1"},
        None,
        None,
        1060,
    ]
    assert asked == [
        ["presence.privacy", {"zone": "friends"}],
        ["presence.get", {"user_ids": ["usr_b", "usr_c"]}],
        ["chat.channel.create", {"channel": "den", "private": True, "slow_s": 5}],
        ["chat.channel.change", {"channel": "den", "private": False}],
        ["chat.channel.invite", {"channel": "den", "name": "Bob"}],
        ["chat.delete", {"channel": "den", "message_id": "msg_1"}],
        ["chat.mute", {"channel": "den", "user_id": "usr_b", "seconds": 60}],
    ]
