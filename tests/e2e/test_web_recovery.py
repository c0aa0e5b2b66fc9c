"""The browser library loses its socket and misses nothing (rows 1.6 and 2.5): in real Chromium, on a stage of the test's own."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.web_stage import PRELUDE

MORE = """
  const keeping = () => {
    const kept = new Map();
    return {
      kept,
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
  };
  const heardBy = (connection) => {
    const heard = [];
    connection.addEventListener("notification", ({ detail }) => heard.push(detail.params.data));
    return heard;
  };
  const begin = async (options) => {
    const all = await dial(options);
    all.gaps = [];
    all.states = [];
    all.connection.addEventListener("gap", ({ detail }) => all.gaps.push(detail.topic));
    all.connection.addEventListener("state", ({ detail }) => all.states.push([detail.name, detail.moving ?? false]));
    all.connection.connect();
    await settle();
    all.sockets[0].ready();
    all.sockets[0].answer();
    await settle();
    return all;
  };
"""


@pytest.fixture
def run(run_script: RunScript) -> RunScript:
    return lambda script, argument=None: run_script(PRELUDE + MORE + script, argument)


def test_numbers_are_new_repeated_or_missing(run: RunScript) -> None:
    taken, counts, last = run("""
      const { Reliable } = await load("reliable");
      const reliable = new Reliable();
      const empty = reliable.last;
      const whole = reliable.begin({ stream: "s", seq: 5, recovered: false, resumed: false }, 0);
      const taken = [6, 6, 5, 7, 10, 11].map((seq) => reliable.take(seq, 0));
      return [[empty, whole, ...taken], { ...reliable }, reliable.last];
    """)
    assert taken == ["", True, True, False, False, True, True, True]
    assert counts == {"stream": "s", "seq": 11, "received": 4, "duplicates": 2, "gaps": 1}
    assert last == "s.11"


def test_what_a_greeting_says_about_what_was_missed(run: RunScript) -> None:
    found = run("""
      const { Reliable } = await load("reliable");
      const after = (greeting) => {
        const reliable = new Reliable();
        reliable.begin({ stream: "s", seq: 5, recovered: false, resumed: false }, 0);
        const whole = reliable.begin({ resumed: true, ...greeting }, 7);
        return [whole, reliable.last, reliable.gaps, reliable.ackIn(7), reliable.ack()];
      };
      return [
        after({ stream: "s", seq: 5, recovered: true }),
        after({ stream: "s", seq: 9, recovered: false }),
        after({ stream: "s", seq: 8, recovered: true }),
        after({ stream: "s", seq: 3, recovered: true }),
        after({ stream: "t", seq: 0, recovered: true }),
        after({ stream: "t", seq: 0, recovered: false, resumed: false }),
      ];
    """)
    assert found == [
        [True, "s.5", 0, 0, 5],
        [False, "s.9", 0, 0, 9],
        [True, "s.8", 1, 0, 8],
        [True, "s.5", 0, 0, 5],
        [False, "t.0", 0, 0, 0],
        [False, "t.0", 0, None, 0],
    ]


def test_what_was_missed_comes_once(run: RunScript) -> None:
    heard, counts, opened, gaps, acks = run("""
      const { connection, sockets, clock, gaps } = await begin();
      const heard = heardBy(connection);
      sockets[0].note("system.topic", { data: "a" }, 1);
      sockets[0].note("system.topic", { data: "b" }, 2);
      sockets[0].note("system.topic", { data: "b" }, 2);
      sockets[0].drop(1006);
      await clock.advance(1);
      sockets[1].ready("ses_1", { resumed: true, recovered: true, seq: 2 });
      await settle();
      const acks = sockets[1].said("session.ack");
      sockets[1].note("system.topic", { data: "c" }, 3);
      const { duplicates, received, gaps: holes } = connection.reliable;
      return [heard, { duplicates, received, holes }, [sockets[1].url, sockets[1].protocols[1]], gaps, acks];
    """)
    assert heard == ["a", "b", "c"]
    assert counts == {"duplicates": 1, "received": 3, "holes": 0}
    assert opened == ["ws://realm/ws?last=s.2", "rayrealm.recovery.rec1"]
    assert gaps == []
    assert acks == [{"seq": 2}], "the realm hears at once that the client got through"


def test_acknowledged_in_time(run: RunScript) -> None:
    acks, kept = run("""
      const storage = keeping();
      const { sockets, clock } = await begin({ storage });
      const tell = (seq) => sockets[0].note("system.topic", { data: seq }, seq);
      const acks = [];
      const look = () => acks.push(...sockets[0].said("session.ack").map(({ seq }) => [clock.now() - 100, seq]));
      const clear = () => { look(); sockets[0].answer(); };
      tell(1);
      await clock.advance(0.5);
      tell(2);
      clear();
      await clock.advance(0.3);
      const kept = JSON.parse(storage.kept.get("rayrealm.session")).seq;
      clear();
      for (let seq = 3; seq <= 66; seq += 1) tell(seq);
      await settle();
      clear();
      await clock.advance(1.1);
      clear();
      return [acks, kept];
    """)
    assert acks == [[pytest.approx(0.8), 2], [pytest.approx(0.8), 66]]
    assert kept == 2, "written down before the realm forgets it"


def test_what_is_too_old_is_announced(run: RunScript) -> None:
    gaps, seq = run("""
      const { connection, sockets, clock, gaps } = await begin();
      sockets[0].note("session.gap", { topic: "chat:global" }, 1);
      sockets[0].drop(1006);
      await clock.advance(1);
      sockets[1].ready("ses_1", { resumed: true, recovered: false, seq: 40 });
      sockets[1].note("system.topic", {}, 41);
      return [gaps, [connection.reliable.seq, connection.reliable.gaps]];
    """)
    assert gaps == ["chat:global", None]
    assert seq == [41, 0]


def test_a_refused_recovery_falls_back_to_the_login(run: RunScript) -> None:
    """A browser is not told why: two handshakes by recovery, one by access token, and at long last one without `last`."""
    tries, doubts = run("""
      const { connection, sockets, clock, doubts } = await begin();
      for (let index = 0; index < 10; index += 1) {
        sockets.at(-1).drop(1006);
        await clock.advance(connection.state.retryAt - clock.now());
      }
      return [sockets.slice(1).map(({ url, protocols }) => [url.slice(13), protocols[1]]), doubts];
    """)
    by_token, by_login = ["?last=s.0", "rayrealm.recovery.rec1"], ["?session=ses_1&last=s.0", "rayrealm.token.t0ken"]
    assert tries[:6] == [by_token, by_token, by_login] * 2
    assert tries[6:8] == [by_token] * 2
    assert tries[8] == ["?session=ses_1", "rayrealm.token.t0ken"]
    assert tries[9] == by_token
    assert doubts == [False, True, True, True], "the login is looked at over HTTP first"


def test_an_old_token_is_not_presented(run: RunScript) -> None:
    protocols = run("""
      const { sockets, clock } = await begin();
      sockets[0].note("session.token", { token: "newer", expires_in: 30 });
      sockets[0].drop(1006);
      await clock.advance(1);
      sockets[1].drop(1006);
      clock.time += 30;
      await clock.advance(1);
      return [sockets[1].protocols[1], sockets[2].protocols[1]];
    """)
    assert protocols == ["rayrealm.recovery.newer", "rayrealm.token.t0ken"]


def test_a_final_close_ends_recovery_too(run: RunScript) -> None:
    url, protocols = run("""
      const { connection, sockets } = await begin();
      sockets[0].drop(4500);
      connection.connect();
      await settle();
      return [sockets[1].url, sockets[1].protocols];
    """)
    assert url == "ws://realm/ws?session=ses_1&last=s.0"
    assert protocols[1] == "rayrealm.token.t0ken"


def test_a_reload_goes_on_where_the_page_was(run: RunScript) -> None:
    found = run("""
      const storage = keeping();
      const { connection, sockets, clock } = await begin({ storage });
      sockets[0].note("system.topic", {}, 1);
      connection.recovery.save(); // what the page does as it is left
      const opened = [];
      const reloaded = async (later, content) => {
        const before = storage.kept.get("rayrealm.session");
        if (content !== undefined) storage.kept.set("rayrealm.session", content);
        const next = await dial({ storage, wall: () => clock.now() + later });
        next.connection.connect();
        await settle();
        opened.push([next.sockets[0].url.slice(13), next.sockets[0].protocols[1]]);
        storage.kept.set("rayrealm.session", before);
        return next;
      };
      const next = await reloaded(1);
      await reloaded(601);
      for (const content of ["ses_1", "{", "{}", '{"sessionId":1}']) await reloaded(1, content);
      const gaps = [];
      next.connection.addEventListener("gap", ({ detail }) => gaps.push(detail.topic));
      next.sockets[0].ready("ses_1", { resumed: true, recovered: true, seq: 1 });
      next.sockets[0].note("system.topic", {}, 2);
      return [opened, gaps, next.connection.reliable.received];
    """)
    nothing = ["", "rayrealm.token.t0ken"]
    assert found[0] == [
        ["?last=s.1", "rayrealm.recovery.rec1"],
        ["?session=ses_1&last=s.1", "rayrealm.token.t0ken"],
        *[nothing] * 4,
    ]
    assert found[1:] == [[], 1]


def test_moving_over_is_polite(run: RunScript) -> None:
    found = run("""
      const { connection, sockets, clock, states } = await begin({ random: () => 0.5 });
      const told = { token: "moved", expires_in: 600, reason: "draining", within_s: 2 };
      sockets[0].note("session.reconnect", told);
      sockets[0].note("session.reconnect", told);
      await clock.advance(0.9);
      const early = sockets[0].closed ?? null;
      const asked = connection.request("world.zones");
      await clock.advance(0.2); // it would leave now, but something is not answered yet
      const waiting = sockets[0].closed ?? null;
      const move = { position: { x: 0, y: 0, z: 0 }, sequence: 1 };
      const moved = connection.sendMove(move);
      const later = connection.request("system.info"); // waits for the next socket
      await settle();
      const sentHere = sockets[0].said("system.info").length;
      sockets[0].answer({ zones: 1 });
      const answer = await asked;
      await clock.advance(0);
      const closed = sockets[0].closed;
      sockets[1].ready("ses_1", { resumed: true, recovered: true });
      await settle();
      const sentThere = sockets[1].said("system.info").length;
      sockets[1].answer({ there: true });
      return [early, waiting, moved, sentHere, { ...answer }, closed, sockets[1].protocols[1], sentThere, { ...await later },
        states, sockets.length];
    """)
    early, waiting, moved, sent_here, answer, closed, protocol, sent_there, later, states, sockets = found
    assert (early, waiting, closed) == (None, None, 1000)
    assert moved, "moves go on until the socket is left"
    assert (sent_here, sent_there) == (0, 1)
    assert (answer, later) == ({"zones": 1}, {"there": True})
    assert protocol == "rayrealm.recovery.moved"
    assert states[2:] == [["waiting", True], ["connecting", True], ["ready", False]]
    assert sockets == 2


def test_moving_over_does_not_wait_for_ever_and_may_fail(run: RunScript) -> None:
    found = run("""
      const { connection, sockets, clock, states } = await begin();
      sockets[0].note("session.reconnect", { token: "moved", expires_in: 600, reason: "rebalance", within_s: 0 });
      const outcome = (promise) => promise.then(() => "answered", (error) => error.message);
      const asked = outcome(connection.request("world.zones", {}, 30));
      await clock.advance(0.5);
      const waits = outcome(connection.request("system.info", {}, 30));
      await clock.advance(0.6);
      sockets[1].drop(1006);
      return [await asked, await waits, states.slice(2)];
    """)
    assert found[0] == "the connection is gone"
    assert found[1] == "system.info: not connected"
    assert found[2] == [["waiting", True], ["connecting", True], ["waiting", False]]


def test_degraded_is_told_when_it_changes(run: RunScript) -> None:
    told, now = run("""
      const { connection, sockets, clock } = await begin();
      const told = [];
      connection.addEventListener("degraded", ({ detail }) => told.push(detail));
      sockets[0].note("system.degraded", { parts: ["redis", "nats"] });
      sockets[0].note("system.degraded", { parts: ["nats", "redis"] });
      sockets[0].drop(1006);
      await clock.advance(1);
      sockets[1].ready("ses_1", { resumed: true, recovered: true, degraded: ["nats"] });
      sockets[1].note("system.degraded", { parts: [] });
      return [told, connection.degraded];
    """)
    assert told == [["redis", "nats"], ["nats"], []]
    assert now == []


def test_something_is_said_once(run: RunScript) -> None:
    said, results = run("""
      const { Channels } = await load("channels");
      const { connection, sockets, clock } = await begin();
      const channels = new Channels(connection);
      const heard = [];
      channels.addEventListener("chat", ({ detail }) => heard.push([detail.message_id, detail.text]));
      const said = [];
      const look = async (socket, messageId) => {
        await settle();
        said.push(...socket.said("chat.message"));
        if (messageId) socket.answer({ message_id: messageId });
        await settle();
      };
      const again = async () => {
        sockets.at(-1).drop(1006);
        await clock.advance(1);
        sockets.at(-1).ready("ses_1", { resumed: true, recovered: true });
      };
      const saying = [channels.say("global", "hello", "Ann"), channels.say("global", "next", "Ann")];
      await look(sockets[0]);
      await again(); // lost before the answer
      await look(sockets[1], "msg_0");
      await look(sockets[1], "msg_1");
      await Promise.all(saying);
      channels.receive({ message_id: "msg_0", channel: "global", text: "hello" }); // as everybody's
      sockets[1].readyState = 2; // closing, which is told only later
      const patient = channels.say("global", "patient", "Ann");
      await look(sockets[1]);
      await again();
      await look(sockets[2], "msg_2");
      await patient;
      const late = channels.say("global", "never", "Ann").catch((error) => error.message);
      await look(sockets[2]);
      sockets[2].drop(1006);
      await clock.advance(11);
      return [said, [heard, await late]];
    """)
    assert [message["text"] for message in said] == ["hello", "hello", "next", "patient", "never"]
    assert said[0]["client_id"] == said[1]["client_id"] != said[2]["client_id"]
    assert len(said[0]["client_id"]) == 24
    assert results == [[["msg_0", "hello"], ["msg_1", "next"], ["msg_2", "patient"]], "chat.message: not connected"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"recovered": 1},
        {"stream": ""},
        {"seq": -1},
        {"seq": 1.5},
        {"recovery": None},
        {"recovery": {"token": "a b", "expires_in": 1}},
        {"recovery": {"token": "a", "expires_in": -1}},
        {"degraded": "redis"},
        {"limits": {}},
        {"session_id": ""},
    ],
    ids=str,
)
def test_a_greeting_has_the_agreed_shape(run: RunScript, wrong: dict[str, object]) -> None:
    fault, state = run(
        """
        const { connection, sockets } = await dial();
        let fault = "";
        connection.addEventListener("fault", ({ detail }) => { fault = detail.name; });
        connection.connect();
        await settle();
        sockets[0].ready("ses_1", given);
        await settle();
        return [fault, connection.state.name];
        """,
        wrong,
    )
    assert (fault, state) == ("WireError", "waiting")


def test_the_greeting_comes_first(run: RunScript) -> None:
    fault = run("""
      const { connection, sockets } = await dial();
      let fault = "";
      connection.addEventListener("fault", ({ detail }) => { fault = detail.message; });
      connection.connect();
      await settle();
      sockets[0].onopen();
      sockets[0].note("system.topic", {}, 1);
      return [fault, connection.reliable.seq];
    """)
    assert fault == ["the first message is no session.ready", 0]
