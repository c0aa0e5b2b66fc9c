"""The browser library's people: presences, friends and parties, on a stage of the test's own (rows 2.3, 3.2, 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.social_stage import MORE
from tests.e2e.web_stage import PRELUDE


@pytest.fixture
def run(run_script: RunScript) -> Any:
    return lambda script, given=None: run_script(PRELUDE + MORE + script, given)


def test_the_newest_presence_counts(run: RunScript) -> None:
    told, known = run("""
      const { social, serve, tell } = await meet();
      const told = [];
      social.presences.addEventListener("presence", ({ detail }) => told.push([detail.status, detail.version]));
      social.presences.follow(["usr_b"]);
      await tell("presence.changed", presence("usr_b", "away", 7));
      await serve(); // the answer, of version 5, comes after the change
      await tell("presence.changed", presence("usr_b", "busy", 6));
      await tell("presence.changed", presence("usr_b", "offline", 8));
      return [told, [...social.presences.known.values()].map(({ status }) => status)];
    """)
    assert told == [["away", 7], ["offline", 8]]
    assert known == ["offline"]


def test_whom_one_follows(run: RunScript) -> None:
    first, later, fresh, recovered, missed = run("""
      const { social, serve, asked, again } = await meet();
      const take = () => asked.splice(0).filter(([method]) => method.startsWith("presence."));
      social.presences.follow(["usr_b", "usr_c"]);
      await serve();
      const first = take();
      social.presences.follow(["usr_c", "usr_d"]);
      await serve();
      const later = [...take(), [...social.presences.known.keys()]];
      const update = social.presences.update({ status: "busy", text: "raid" });
      await serve();
      await update;
      await again({}); // another session: it knows nothing
      const fresh = take();
      await again({ resumed: true, recovered: true });
      const recovered = take();
      await again({ resumed: true });
      return [first, later, fresh, recovered, take()];
    """)
    assert first == [["presence.subscribe", {"user_ids": ["usr_b", "usr_c"]}]]
    assert later == [
        ["presence.unsubscribe", {"user_ids": ["usr_b"]}],
        ["presence.subscribe", {"user_ids": ["usr_d"]}],
        ["usr_c", "usr_d"],
    ]
    again = ["presence.subscribe", {"user_ids": ["usr_c", "usr_d"]}]
    assert sorted(fresh) == [again, ["presence.update", {"status": "busy", "text": "raid"}]]
    assert (recovered, missed) == ([], [again])


def test_whom_one_follows_is_asked_for_until_it_is_answered(run: RunScript) -> None:
    refused, later, lost, full = run("""
      const { social, serve, asked, clock, sockets, again } = await meet();
      const { presences } = social;
      const troubles = [];
      presences.addEventListener("trouble", ({ detail }) => troubles.push(detail.code));
      const refuse = async (code) => {
        await settle();
        for (const { idNumber, request } of sockets.at(-1).sent.splice(0)) {
          if (request?.method === "presence.subscribe") {
            sockets.at(-1).tell({ jsonrpc: "2.0", idNumber, response: { error: { code, message: "no" } } });
          }
        }
        await settle();
      };
      asked.length = 0;
      presences.follow(["usr_b"]);
      await refuse(-32006);
      const refused = [...presences.known.keys()];
      await clock.advance(1);
      await serve();
      const later = [...presences.known.keys()];
      sockets.at(-1).readyState = 2; // closing, which is told only later
      presences.follow(["usr_b", "usr_c"]);
      await settle();
      await again({ resumed: true, recovered: true });
      const lost = [...presences.known.keys()];
      presences.follow(["usr_b", "usr_c", "usr_d"]);
      await refuse(-32004);
      await clock.advance(3);
      return [refused, later, lost, [troubles, sockets.at(-1).said("presence.subscribe").length]];
    """)
    assert (refused, later) == ([], ["usr_b"])
    assert lost == ["usr_b", "usr_c"]
    assert full == [[-32004], 0]


def test_friends_are_asked_for_again_when_something_changed(run: RunScript) -> None:
    counts, changed, names, requested = run("""
      const { social, serve, asked, answers, again, tell, sockets } = await meet();
      const counts = [];
      const count = () => counts.push(asked.splice(0).filter(([method]) => method === "friends.list").length);
      const changed = [];
      social.friends.addEventListener("changed", ({ detail }) => changed.push(detail.kind));
      count();
      const b = { user_id: "usr_b", name: "B", at: 1 };
      answers["friends.list"] = () => ({ friends: [], incoming: [b], outgoing: [], blocked: [] });
      for (let index = 0; index < 5; index += 1) await tell("friends.changed", { kind: "request", ...b });
      await serve();
      count(); // five changes, and never an old answer last
      const names = social.friends.lists.incoming.map(({ name }) => name);
      answers["friends.request"] = (params) => ({ user_id: "usr_b", result: `asked ${params.name}` });
      const asking = social.friends.request({ name: "B" });
      await serve();
      const { result } = await asking;
      count();
      await again({ resumed: true, recovered: true });
      count();
      await again({ resumed: true });
      count();
      return [counts, changed, names, result];
    """)
    assert counts == [1, 2, 1, 0, 1]
    assert changed == ["request"] * 5
    assert names == ["B"]
    assert requested == "asked B"


def test_a_refusal_asks_for_the_lists_too(run: RunScript) -> None:
    """It is often that the lists are old: somebody was faster."""
    code, asked = run("""
      const { social, serve, asked, answers } = await meet();
      asked.length = 0;
      answers["friends.accept"] = () => new Error("-32003");
      const accepting = social.friends.accept("usr_b").catch((error) => error.code);
      await serve();
      return [await accepting, asked.map(([method]) => method)];
    """)
    assert code == -32003
    assert asked == ["friends.accept", "friends.list"]


def test_a_party_from_invitation_to_end(run: RunScript) -> None:
    steps, asked = run("""
      const { social, serve, asked, answers, tell } = await meet();
      const { party } = social;
      const member = (userId) => ({ user_id: userId, name: userId });
      const of = (id, version, ...ids) => ({ party_id: id, leader: ids[0], members: ids.map(member), invited: [], version });
      const steps = [];
      const look = () => steps.push([party.current?.members.length ?? 0, party.invitations.size, party.positions.length]);
      await tell("party.invited", { party_id: "pty_1", from: "usr_b", name: "B", expires_at: 50 });
      await tell("party.invited", { party_id: "pty_2", from: "usr_c", name: "C", expires_at: 500 });
      look();
      party.expire(60);
      look();
      answers["party.accept"] = () => ({ party: of("pty_2", 3, "usr_c", "usr_me") });
      const joining = party.accept("pty_2");
      await serve();
      await joining;
      look();
      await tell("party.changed", { party_id: "pty_2", version: 2, party: of("pty_2", 2, "usr_c"), why: "invited" }); // is older
      look();
      await tell("party.positions", { members: [{ user_id: "usr_c", name: "C", zone: "zon_a", x: 1, z: 2 }] });
      await tell("party.changed", { party_id: "pty_9", version: 9, party: null, why: "left" }); // another one's end
      look();
      await tell("party.changed", { party_id: "pty_2", version: 4, party: null, why: "kicked" });
      await tell("party.positions", { members: [{ user_id: "usr_c", name: "C", zone: "zon_a", x: 1, z: 2 }] });
      look();
      asked.length = 0;
      answers["party.create"] = () => ({ party: of("pty_3", 1, "usr_me") });
      answers["party.invite"] = () => ({ party: of("pty_3", 2, "usr_me") });
      const inviting = party.invite({ name: "D" });
      await serve();
      await inviting;
      const leaving = party.leave();
      await serve();
      await leaving;
      look();
      return [steps, asked];
    """)
    assert steps == [[0, 2, 0], [0, 1, 0], [2, 0, 0], [2, 0, 0], [2, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert asked == [["party.create", {}], ["party.invite", {"name": "D"}], ["party.leave", {}]]


def test_a_change_of_a_party_that_was_overtaken(run: RunScript) -> None:
    """Each one is retried on its own, so an older one may come after a newer one: it brings nobody back."""
    steps, told = run("""
      const { social, serve, answers, tell } = await meet();
      const { party } = social;
      const told = [];
      party.addEventListener("party", ({ detail }) => told.push(detail.why));
      const of = (id, version, ...ids) =>
        ({ party_id: id, leader: ids[0], members: ids.map((each) => ({ user_id: each, name: each })), invited: [], version });
      const steps = [];
      const change = async (version, why, now, id = "pty_1") => {
        await tell("party.changed", { party_id: id, version, party: now, why, user_id: "usr_me" });
        steps.push([party.current?.party_id ?? "", party.current?.version ?? 0]);
      };
      await change(3, "joined", of("pty_1", 3, "usr_b", "usr_me"));
      await change(5, "kicked", null);
      await change(4, "leader", of("pty_1", 4, "usr_me", "usr_b"));
      await change(6, "joined", of("pty_1", 6, "usr_b", "usr_me"));
      await change(5, "kicked", null);
      await change(2, "declined", of("pty_1", 4, "usr_b", "usr_me"), "pty_2"); // another party's, with how one's own was
      const leaving = party.leave();
      await serve();
      await leaving;
      await change(6, "joined", of("pty_1", 6, "usr_b", "usr_me"));
      await change(7, "left", null);
      for (let n = 0; n < 64; n += 1) await change(1, "declined", null, `pty_other${n}`);
      await change(1, "joined", of("pty_1", 1, "usr_b", "usr_me")); // what is remembered is bounded
      return [[...steps.slice(0, 8), steps.at(-1)], told.filter((why) => why !== "declined")];
    """)
    there = [["pty_1", 3], ["", 0], ["", 0], ["pty_1", 6], ["pty_1", 6], ["pty_1", 6], ["", 0], ["", 0], ["pty_1", 1]]
    assert steps == there
    assert told == ["joined", "kicked", "joined", "left", "left", "joined"]


def test_an_answer_that_does_not_come_is_asked_for_again_and_then_given_up(run: RunScript) -> None:
    asked, troubles = run("""
      const { Asker } = await load("asker");
      const { connection, clock, sockets } = await dial();
      connection.connect();
      await settle();
      sockets[0].ready();
      const troubles = [];
      const trouble = (error) => troubles.push(error.message);
      const asker = new Asker({ connection, method: "friends.list", take: () => {}, trouble });
      asker.ask();
      await settle();
      let asked = 0;
      for (let second = 0; second < 90; second += 1) {
        for (const { idNumber, request } of sockets[0].sent.splice(0)) {
          if (request?.method === "system.ping") sockets[0].tell({ jsonrpc: "2.0", idNumber, response: { result: undefined } });
          if (request?.method !== "friends.list") continue;
          asked += 1;
          sockets[0].tell({ jsonrpc: "2.0", idNumber, response: { error: { code: -32006, message: "away" } } });
        }
        await clock.advance(1);
      }
      return [asked, troubles];
    """)
    assert asked == 6
    assert troubles == ["away"]
