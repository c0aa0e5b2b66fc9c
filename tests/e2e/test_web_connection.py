"""The browser library's connection and login, in real Chromium, with a clock, sockets and randomness of the test's own."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import RunScript
from tests.e2e.web_stage import PRELUDE


@pytest.fixture
def run(run_script: RunScript) -> RunScript:
    return lambda script, argument=None: run_script(PRELUDE + script, argument)


def test_backoff_is_full_jitter_up_to_twenty_seconds(run: RunScript) -> None:
    limits, spread = run("""
      const { Backoff } = await load("backoff");
      const highest = new Backoff({ random: () => 1 });
      const limits = Array.from({ length: 9 }, () => highest.next());
      highest.reset();
      limits.push(highest.next());
      const draws = [0, 0.25, 0.5];
      const spread = new Backoff({ random: () => draws.shift() });
      return [limits, [spread.next(), spread.next(), spread.next()]];
    """)
    assert limits == [0.5, 1, 2, 4, 8, 16, 20, 20, 20, 0.5]
    assert spread == [0, 0.25, 1]


def test_a_handshake_names_framing_token_and_session(run: RunScript) -> None:
    url, protocols, again, recovering = run("""
      const kept = JSON.stringify({ sessionId: "ses_old", token: "", goodUntil: 0, stream: "", seq: 0 });
      const storage = { getItem: () => kept, setItem: () => {}, removeItem: () => {} };
      const { connection, sockets, clock } = await dial({ storage });
      connection.connect();
      connection.connect();
      await settle();
      sockets[0].ready("ses_new");
      sockets[0].drop(1006);
      await clock.advance(1);
      return [sockets[0].url, sockets[0].protocols, sockets[1].url, sockets[1].protocols];
    """)
    assert url == "ws://realm/ws?session=ses_old"
    assert protocols == ["rayrealm.v1+proto", "rayrealm.token.t0ken"]
    assert again == "ws://realm/ws?last=s.0", "the recovery token says which session"
    assert recovering == ["rayrealm.v1+proto", "rayrealm.recovery.rec1"]


@pytest.mark.parametrize(
    ("code", "state", "delay", "session"),
    [
        (1006, "waiting", 0.5, "ses_1"),
        (1011, "waiting", 0.5, "ses_1"),
        (1012, "waiting", 0, "ses_1"),
        (1013, "waiting", 0.5, "ses_1"),
        (4000, "waiting", 0.5, ""),
        (4002, "waiting", 0.5, "ses_1"),
        (4003, "asleep", None, "ses_1"),
        (4444, "waiting", 0.5, "ses_1"),
        (4500, "ended", None, "ses_1"),
        (4501, "waiting", 0.5, "ses_1"),
        (4503, "ended", None, "ses_1"),
        (4999, "ended", None, "ses_1"),
        (1000, "ended", None, "ses_1"),
        (1009, "ended", None, "ses_1"),
    ],
)
def test_what_a_close_code_does(run: RunScript, code: int, state: str, delay: float | None, session: str) -> None:
    found = run(
        """
        const { connection, sockets, clock, doubts } = await dial();
        connection.connect();
        await settle();
        sockets[0].ready();
        sockets[0].drop(given);
        const { name, retryAt } = connection.state;
        const session = connection.sessionId;
        await clock.advance(1);
        return [name, retryAt === undefined ? null : retryAt - 100, session, sockets.length, doubts];
        """,
        code,
    )
    assert found[0] == state
    assert found[1] == (None if delay is None else pytest.approx(delay, abs=0.001))
    assert found[2] == session
    assert found[3] == (1 if delay is None else 2)
    # Recovery needs no access token; an ended session and an ended login do.
    assert found[4][1:] == {4000: [False], 4501: [True]}.get(code, [])


def test_waits_grow_until_a_connection_has_lasted(run: RunScript) -> None:
    waits = run("""
      const { connection, sockets, clock, doubts } = await dial();
      const waits = [];
      connection.connect();
      for (let index = 0; index < 4; index += 1) {
        await settle();
        sockets.at(-1).drop(1006);
        waits.push(connection.state.retryAt - clock.now());
        await clock.advance(waits.at(-1));
      }
      await settle();
      sockets.at(-1).ready();
      await clock.advance(1);
      sockets.at(-1).drop(1006); // too soon to count as well
      waits.push(connection.state.retryAt - clock.now());
      await clock.advance(waits.at(-1));
      sockets.at(-1).ready();
      const answer = (socket) => socket.sent.splice(0).forEach(({ idNumber }) =>
        socket.tell({ jsonrpc: "2.0", idNumber, response: {} }));
      for (let index = 0; index < 4; index += 1) {
        await clock.advance(2);
        answer(sockets.at(-1));
      }
      sockets.at(-1).drop(1006);
      waits.push(connection.state.retryAt - clock.now());
      return [waits, doubts];
    """)
    assert waits[0] == pytest.approx([0.5, 1, 2, 4, 8, 0.5], rel=0.001)
    assert waits[1] == [False, True, True, True, True], "a failed handshake puts the token in doubt"


def test_requests_have_deadlines_and_a_bound(run: RunScript) -> None:
    results = run("""
      const { connection, sockets, clock, packStruct } = await dial();
      const outcome = (promise) => promise.then((value) => ({ ...value }), (error) => `${error.name} ${error.message}`);
      const early = await outcome(connection.request("world.zones"));
      connection.connect();
      await settle();
      sockets[0].ready();
      const ping = sockets[0].sent[0];
      sockets[0].tell({ jsonrpc: "2.0", idNumber: ping.idNumber, response: { result: packStruct({}) } });
      const good = outcome(connection.request("a", { n: 1 }));
      const bad = outcome(connection.request("b"));
      const late = outcome(connection.request("c", {}, 1));
      const tooMany = await outcome(connection.request("d"));
      await settle();
      const [a, b] = sockets[0].sent.slice(1);
      const error = { code: -32003, message: "invalid state", data: packStruct({ state: "in_world" }) };
      sockets[0].tell({ jsonrpc: "2.0", idNumber: b.idNumber, response: { error } });
      sockets[0].tell({ jsonrpc: "2.0", idNumber: a.idNumber, response: { result: packStruct({ sum: 2 }) } });
      sockets[0].tell({ jsonrpc: "2.0", idNumber: 999, response: {} });
      await clock.advance(1);
      const cut = outcome(connection.request("e"));
      await settle();
      sockets[0].bufferedAmount = 20_000;
      const move = { position: { x: 0, y: 0, z: 0 }, sequence: 1 };
      const moves = [connection.sendMove(move)];
      sockets[0].bufferedAmount = 0;
      moves.push(connection.sendMove(move));
      sockets[0].readyState = 2; // closing
      moves.push(connection.sendMove(move), connection.notify("n"));
      const closing = await outcome(connection.request("f"));
      sockets[0].drop(1006);
      return [early, await good, await bad, await late, tooMany, await cut, a.request.method, connection.latency, moves, closing];
    """)
    assert results[0] == "NoAnswer world.zones: not connected"
    assert results[1] == {"sum": 2}
    assert results[2] == "RpcError invalid state"
    assert results[3] == "NoAnswer c: no answer within 1 s"
    assert results[4] == "NoAnswer d: 3 requests are waiting already"
    assert results[5] == "NoAnswer the connection is gone"
    assert results[6] == "a"
    assert results[7] == 0
    assert results[8] == [False, True, False, False], "no moves into a full or closing socket"
    assert results[9] == "NoAnswer f: not connected"


def test_silence_is_noticed(run: RunScript) -> None:
    states, pings, closed = run("""
      const { connection, sockets, clock } = await dial();
      const states = [];
      connection.addEventListener("state", ({ detail }) => states.push([detail.name, detail.code ?? 0, clock.now() - 100]));
      connection.connect();
      await settle();
      sockets[0].ready();
      await clock.advance(12.4);
      const pings = sockets[0].sent.filter((message) => message.request?.method === "system.ping").length;
      await clock.advance(0.6);
      await clock.advance(10.5); // the next socket never answers at all
      return [states, pings, sockets[0].closed];
    """)
    assert states[:3] == [["connecting", 0, 0], ["ready", 0, 0], ["waiting", 4002, 12]]
    assert states[3][0] == "connecting"
    assert states[4][:2] == ["waiting", 1006]
    assert states[4][2] - states[3][2] == pytest.approx(10)
    assert pings == 2
    assert closed == 1000


def test_frames_keep_their_order_around_a_compressed_batch(run: RunScript) -> None:
    order, fault = run("""
      const { connection, sockets, clock, packStruct, encodeMessage } = await dial();
      const { BatchMessageMessage } = await load("messages");
      const order = [];
      let fault = "";
      connection.addEventListener("notification", ({ detail }) => order.push(detail.method));
      connection.addEventListener("view", ({ detail }) => order.push(detail.tick));
      connection.addEventListener("fault", ({ detail }) => { fault = detail.name; });
      connection.connect();
      await settle();
      sockets[0].ready();
      const note = (method) => ({ jsonrpc: "2.0", notification: { method } });
      const plain = BatchMessageMessage.encode({ messages: [note("b"), note("c")] });
      const payload = new Uint8Array(await new Response(
        new Blob([plain]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer());
      const batch = { compressed: true, originalSize: plain.length, payload };
      sockets[0].tell(note("a"));
      sockets[0].tell({ batch });
      sockets[0].tell({ view: { tick: 4, states: [] } });
      sockets[0].tell({ batch });
      sockets[0].tell({ batch: { messages: [note("d")] } });
      sockets[0].tell(note("e"));
      for (let index = 0; index < 100 && order.at(-1) !== "e"; index += 1) await settle();
      sockets[0].onmessage({ data: new Uint8Array([10, 200]).buffer });
      return [order, [fault, connection.state.name]];
    """)
    assert order == ["a", "b", "c", 4, "b", "c", "d", "e"]
    assert fault == ["WireError", "waiting"]


def test_a_login_is_refreshed_once_and_only_when_needed(run: RunScript) -> None:
    results = run("""
      const { Credentials } = await load("credentials");
      const { ApiError } = await load("api");
      const clock = new FakeClock();
      const calls = [];
      let refreshes = 0;
      let valid = true;
      const refused = new ApiError({ status: 401, reason: "token_invalid" });
      const api = {
        refresh: async (token) => {
          calls.push(`refresh ${token}`);
          refreshes += 1;
          if (!valid) throw refused;
          return { access_token: `access${refreshes}`, refresh_token: `refresh${refreshes}`, expires_in: 900 };
        },
        characters: async (token) => {
          calls.push(`characters ${token}`);
          if (token === "access0") throw refused;
          return [];
        },
      };
      const stored = new Map();
      const storage = {
        getItem: (key) => stored.get(key) ?? null,
        setItem: (key, value) => stored.set(key, value),
        removeItem: (key) => stored.delete(key),
      };
      const credentials = new Credentials({ api, storage, clock });
      let lost = 0;
      credentials.addEventListener("lost", () => { lost += 1; });
      credentials.adopt({ access_token: "access0", refresh_token: "refresh0", expires_in: 900 }, "marlow");
      const tokens = [await credentials.token()];
      tokens.push(...await Promise.all([credentials.token({ doubted: true }), credentials.token({ doubted: true })]));
      tokens.push(await credentials.token({ doubted: true }));
      clock.time += 880;
      tokens.push(await credentials.token());
      const other = new Credentials({ api, storage, clock });
      const restored = [await other.restore(), other.username];
      valid = false;
      clock.time += 880;
      const error = await credentials.token().catch((wrong) => wrong.reason);
      return [tokens, calls, restored, error, lost, stored.size, credentials.loggedIn];
    """)
    tokens, calls, restored, error, lost, stored, logged_in = results
    assert tokens == ["access0", "access1", "access1", "access1", "access2"]
    assert calls.count("refresh refresh0") == 1
    assert restored == [True, "marlow"]
    assert (error, lost, stored, logged_in) == ("token_invalid", 1, 0, False)
