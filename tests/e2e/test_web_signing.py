"""Signed messages in real Chromium: the golden bytes, and the gateway's own signer at the other end of a connection (row 6.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from cluster.security_settings import SigningSettings
from rayrealm_client import codec
from rayrealm_client.signing import BadSignature
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import proto_framing
from serve_apps.gateway.shrinking import MIN_BYTES, shrunk
from serve_apps.gateway.signing import ServerSigner
from tests.e2e.conftest import RunScript
from tests.e2e.page_driver import fill_login, open_page
from tests.e2e.play_server import PlayServer

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "proto/golden/signing.json").read_text())
# The browser library speaks binary messages only; text comes last in the stream.
STREAM = [line for line in GOLDEN["stream"] if line["kind"] == "binary"]

SIGNER = """
  const { Agreement, BadSignature, Signer } = await load("signing");
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const hex = (data) => [...data].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const url = (data) => btoa(String.fromCharCode(...data)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const raw = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const agreed = async ({ client, ready }) => {
    const point = raw(client.public);
    const jwk = {
      kty: "EC", crv: "P-256", x: url(point.slice(1, 33)), y: url(point.slice(33)), d: url(bytes(client.private)),
    };
    const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]);
    const { decodeMessage, unpackAny } = await load("messages");
    const agreement = new Agreement(key, point);
    const params = unpackAny(decodeMessage(bytes(ready)).notification.params);
    return [agreement, await agreement.agree(bytes(ready), params)];
  };
"""

# A connection whose socket is in the test's hands: what it sends is kept in hex, and `tell` is what comes.
CONNECTED = (
    SIGNER
    + """
  const { Connection } = await load("connection");
  const settle = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const until = async (holds) => {
    for (const end = performance.now() + 5000; !holds(); await settle(2)) {
      if (performance.now() > end) throw new Error(`not in time: ${holds}`);
    }
  };
  const stage = globalThis.signingStage ??= {};
  const { decodeMessage } = await load("messages");
  const said = (method) =>
    stage.socket.sent.some((sent) => decodeMessage(bytes(sent).slice(0, -43)).notification?.method === method);
"""
)

OPEN = (
    CONNECTED
    + """
  const socket = {
    sent: [], closed: [], bufferedAmount: 0, readyState: 1,
    send: (data) => socket.sent.push(hex(data)),
    close: (...how) => { socket.closed.push(how); },
    tell: (signed) => socket.onmessage({ data: bytes(signed).buffer }),
  };
  const heard = [];
  const connection = new Connection({
    url: "ws://realm/ws", token: async () => "t0ken", sign: true,
    open: (url) => { socket.url = url; return socket; },
  });
  for (const type of ["notification", "fault", "state"]) {
    connection.addEventListener(type, ({ detail }) => heard.push([type, detail.method ?? detail.name, detail]));
  }
  connection.connect();
  await until(() => socket.url);
  Object.assign(stage, { socket, connection, heard });
  return new URL(socket.url).searchParams.get("sign");
"""
)


def compressed(frame: bytes) -> bool:
    return pb.WebSocketMessage.FromString(frame).batch.compressed


class Gateway:
    """The other end of a page's connection."""

    def __init__(self, run: RunScript, **settings: Any) -> None:
        self.run = run
        self.signer = ServerSigner(run(OPEN), "ses_1", 3, SigningSettings(**settings), 0.0)

    def told(self, method: str, params: dict[str, Any]) -> str:
        return self.signer.seal(self.plain(method, params), False).hex()

    def plain(self, method: str, params: dict[str, Any]) -> bytes:
        """As it is sent where nothing is signed: a long one as a compressed batch."""
        return shrunk(proto_framing.encode_notification(method, json.dumps(params).encode()))

    def ready(self, **more: Any) -> str:
        said = {
            "session_id": "ses_1", "user_id": "usr_1", "resumed": False, "recovered": False, "stream": "s", "seq": 0,
            "recovery": {"token": "rec", "expires_in": 600}, "state": "authenticated", "realm": "realm", "protocol": 1,
            "limits": {"max_pending_requests": 50}, "topics": [], "degraded": [], "world": None,
            "signing": self.signer.offer(), **more,
        }  # fmt: skip
        return self.told("session.ready", said)

    def heard(self, frames: list[str]) -> list[codec.Item]:
        return [item for sent in frames for item in codec.decode(self.signer.open(bytes.fromhex(sent), False, 0.0))]


@pytest.fixture
def gateway(run_script: RunScript) -> Gateway:
    made = Gateway(run_script)
    run_script(
        CONNECTED + "stage.socket.onopen(); stage.socket.tell(given); await until(() => stage.connection.ready);",
        made.ready(),
    )
    return made


def test_golden(run_script: RunScript) -> None:
    offer, made = run_script(
        SIGNER
        + """
        const [agreement, signer] = await agreed(given.golden);
        const made = [];
        for (const { from, message, signed } of given.stream) {
          made.push(hex(from === "server" ? await signer.open(bytes(signed)) : await signer.seal(bytes(message))));
        }
        return [agreement.offer, made];
        """,
        {"golden": GOLDEN, "stream": STREAM},
    )
    assert {line["key_id"] for line in STREAM} == {0, 1, 2}
    assert offer == GOLDEN["client"]["public"]
    assert made == [line["message"] if line["from"] == "server" else line["signed"] for line in STREAM]


def test_golden_refusals(run_script: RunScript) -> None:
    lines = [line for line in GOLDEN["refused"] if line["kind"] == "binary"]
    assert {line["reason"] for line in lines} == {"unsigned", "bad_mac", "missing", "replayed", "unknown_key"}
    reasons = run_script(
        SIGNER
        + """
        const reasons = [];
        for (const { signed, at } of given.lines) {
          const [, signer] = await agreed(given.golden);
          for (const before of given.golden.stream.slice(0, at)) {
            if (before.from === "server") await signer.open(bytes(before.signed));
          }
          try {
            await signer.open(bytes(signed));
            reasons.push("believed");
          } catch (error) {
            reasons.push(error instanceof BadSignature ? error.reason : String(error));
          }
        }
        return reasons;
        """,
        {"golden": GOLDEN, "lines": lines},
    )
    assert dict(zip([line["name"] for line in lines], reasons, strict=True)) == {
        line["name"]: line["reason"] for line in lines
    }


def test_the_order_stays(run_script: RunScript, gateway: Gateway) -> None:
    """What is sent at once goes out in its order, and what comes at once is heard in its order, whoever is done first."""
    comes = [gateway.told("game.note", {"n": n, "pad": "x" * (20_000 if n % 2 else 1)}) for n in range(40)]
    sent, numbers = run_script(
        CONNECTED
        + """
        const { socket, connection, heard } = stage;
        for (let n = 0; n < 40; n += 1) connection.notify("game.say", { n, pad: "x".repeat(n % 2 ? 20000 : 1) });
        given.forEach(socket.tell);
        await until(() => socket.sent.length >= 40 && heard.filter(([type]) => type === "notification").length === 40);
        return [socket.sent, heard.filter(([type]) => type === "notification").map(([, , { params }]) => params.n)];
        """,
        comes,
    )
    said = [item for item in gateway.heard(sent) if isinstance(item, codec.Notification)]
    assert [item.params["n"] for item in said if item.method == "game.say"] == list(range(40))
    assert numbers == list(range(40))


def test_keys_change_on_the_way(run_script: RunScript, gateway: Gateway) -> None:
    for count in range(1, 4):
        late = run_script(
            CONNECTED
            + """
            const { socket, connection } = stage;
            connection.notify("game.late");
            await until(() => said("game.late"));
            return socket.sent.splice(0);
            """
        )
        gateway.signer.rotate(0.0)
        comes = [gateway.told("security.key.rotated", {"key_id": count, "previous_s": 30}), gateway.told("game.on", {})]
        new, heard = run_script(
            CONNECTED
            + """
            const { socket, connection, heard } = stage;
            heard.length = 0;
            given.forEach(socket.tell);
            await until(() => heard.length === 2);
            connection.notify("game.new");
            await until(() => said("game.new"));
            return [socket.sent.splice(0), heard.map(([, method]) => method)];
            """,
            comes,
        )
        assert heard == ["security.key.rotated", "game.on"]
        for frames, key_id, method in ((late, count - 1, "game.late"), (new, count, "game.new")):
            assert {bytes.fromhex(frame)[-43] for frame in frames} == {key_id}
            last = gateway.heard(frames)[-1]
            assert isinstance(last, codec.Notification)
            assert last.method == method
        with pytest.raises(BadSignature):
            gateway.signer.open(bytes.fromhex(late[-1]), False, 0.0)


@pytest.mark.parametrize("touched", ["changed", "again", "left out", "unsigned", "text"])
def test_what_was_touched_ends_the_connection(run_script: RunScript, gateway: Gateway, touched: str) -> None:
    first, second, third = (gateway.told("game.note", {"n": n}) for n in range(3))
    plain = proto_framing.encode_notification("game.note", b"{}").hex()
    comes = {
        "changed": [first, f"{int(second[:2], 16) ^ 1:02x}{second[2:]}", third],
        "again": [first, first, second],
        "left out": [first, third],
        "unsigned": [first, plain, second],
        "text": [first],
    }[touched]
    heard, closed, state = run_script(
        CONNECTED
        + """
        const { socket, connection, heard } = stage;
        given.comes.forEach(socket.tell);
        if (given.text) socket.onmessage({ data: "a text" });
        await until(() => connection.state.name === "ended");
        return [heard.filter(([type]) => type !== "state").map(([type]) => type), socket.closed, connection.state];
        """,
        {"comes": comes, "text": touched == "text"},
    )
    assert heard == ["notification", "fault"], "nothing after it, and nothing of it"
    reasons = {"changed": "bad_mac", "again": "replayed", "left out": "missing", "unsigned": "unsigned", "text": ""}
    assert closed[0] == [4505, reasons[touched]]
    assert (state["name"], state["code"]) == ("ended", 4505)


@pytest.mark.parametrize("offer", [None, {"public": "AAAA", "attach": 1, "key_id": 0}, "changed"])
def test_a_realm_that_does_not_sign_is_left(run_script: RunScript, offer: Any) -> None:
    gateway = Gateway(run_script)
    given = {"signing": gateway.signer.offer() | {"attach": 4} if offer == "changed" else offer}
    ready = gateway.ready(**given)
    name, code, sent = run_script(
        CONNECTED
        + """
        const { socket, connection } = stage;
        socket.onopen();
        given.forEach(socket.tell);
        await until(() => connection.state.name === "ended");
        return [connection.state.name, connection.state.code, socket.sent.length];
        """,
        [ready, gateway.told("game.note", {})] if offer == "changed" else [ready],
    )
    assert (name, code) == ("ended", 4505)
    assert sent <= 1  # an acknowledgement by keys that are not those of the gateway


def test_many_subscriptions(run_script: RunScript) -> None:
    """session.ready is then a compressed batch: the keys are made from that, as it came."""
    gateway = Gateway(run_script)
    topics = [f"chat:zone/a-channel-of-{number:03}/{'of-the-game-' * 4}" for number in range(64)]
    ready = gateway.ready(topics=topics)
    assert compressed(bytes.fromhex(ready))
    state, told, sent = run_script(
        CONNECTED
        + """
        const { socket, connection, heard } = stage;
        const sessions = [];
        connection.addEventListener("ready", ({ detail }) => sessions.push(detail));
        socket.onopen();
        given.forEach(socket.tell);
        await until(() => connection.ready || connection.state.name === "ended");
        if (connection.ready) {
          connection.notify("game.say", {});
          await until(() => said("game.say") && heard.some(([, method]) => method === "game.note"));
        }
        return [connection.state, sessions, socket.sent];
        """,
        [ready, gateway.told("game.note", {})],
    )
    assert (state["name"], state.get("code")) == ("ready", None)
    assert [len(session["topics"]) for session in told] == [64]
    assert "game.say" in [item.method for item in gateway.heard(sent) if isinstance(item, codec.Notification)]


@pytest.mark.parametrize("first", ["empty", "other", "broken"])
def test_a_batch_without_a_greeting_is_no_agreement(run_script: RunScript, first: str) -> None:
    run_script(OPEN)
    note = proto_framing.encode_notification("game.note", json.dumps({"pad": "x" * MIN_BYTES}).encode())
    packed = shrunk(note)
    assert compressed(packed)
    told = {
        "empty": pb.WebSocketMessage(batch=pb.BatchMessage()).SerializeToString(),
        "other": packed,
        "broken": pb.WebSocketMessage(
            batch=pb.BatchMessage(compressed=True, original_size=9, payload=b"no")
        ).SerializeToString(),
    }[first]
    state, sent = run_script(
        CONNECTED
        + """
        const { socket, connection } = stage;
        socket.onopen();
        socket.tell(given);
        await until(() => connection.state.name === "ended");
        return [connection.state, socket.sent.length];
        """,
        told.hex(),
    )
    assert (state["name"], state["code"], sent) == ("ended", 4505, 0)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_page_signs_where_the_realm_wants_it(play_server: PlayServer, page: Page, wanted: bool) -> None:
    play_server.accounts.sign = wanted
    open_page(page, play_server.url)
    with page.expect_websocket() as opened:
        fill_login(page, "ann-signs", "a long password", register=True)
    assert ("?sign=" in opened.value.url) is wanted


def test_nothing_is_different_without(run_script: RunScript) -> None:
    url, plain = run_script("""
      const { Connection } = await load("connection");
      let opened;
      const socket = { close: () => {} };
      new Connection({
        url: "ws://realm/ws", token: async () => "t0ken", open: (url) => { opened = url; return socket; },
      }).connect();
      await new Promise((resolve) => setTimeout(resolve));
      return [opened, typeof socket.onmessage];
    """)
    assert (url, plain) == ("ws://realm/ws", "function")
