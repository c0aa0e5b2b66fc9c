from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs

from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.security_settings import IdentitySettings, IssuerSettings
from cluster.settings import NatsSettings, RedisSettings, Settings
from cluster.telemetry import logs, tracing
from cluster.telemetry.logs import configure, get_logger, redact

RRT = "rrt_8mI6vq0uYl1vIu0bS9wq4G2c7oZs0kM1nS5w3Qx9abc"
JWE = "eyJhbGciOiJSU0EtT0FFUC0yNTYifQ.a2V5.aXY.Y2lwaGVy.dGFn"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMSJ9.c2ln"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    configure("debug")
    logging.getLogger().handlers[:] = handlers
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line() -> None:
    out = io.StringIO()
    configure("info", out)
    log = get_logger("zone")
    log.info("zone_started", zone="zon_meadow", entities=3)
    log.warning("two\nlines", text="a\nb")
    first, second = lines(out)
    assert first.pop("at").endswith("Z")
    assert first == {
        "event": "zone_started",
        "level": "info",
        "logger": "zone",
        "zone": "zon_meadow",
        "entities": 3,
    }
    assert (second["event"], second["text"]) == ("two\nlines", "a\nb")


def test_the_level_is_kept() -> None:
    out = io.StringIO()
    configure("warning", out)
    log = get_logger("x")
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_an_exception_is_one_line() -> None:
    out = io.StringIO()
    configure("info", out)
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        get_logger("x").exception("failed")
    (line,) = lines(out)
    assert line["exception"].endswith("RuntimeError: broken")


def test_library_logs_come_along() -> None:
    out = io.StringIO()
    configure("info", out)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("at redis://:hunter2@host/0: %s", "lost")
    (line,) = lines(out)
    assert (line["logger"], line["level"]) == ("some.library", "warning")
    assert line["event"] == "at redis://***@host/0: lost"


def test_a_person_gets_no_json() -> None:
    out = Terminal()
    configure("info", out)
    get_logger("x").info("hello", zone="zon_meadow")
    assert "hello" in out.getvalue()
    assert not out.getvalue().startswith("{")


def redacted(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", event))


@pytest.mark.parametrize(
    "key",
    ["token", "access_token", "password", "Authorization", "client_secret", "refresh", "Set-Cookie", "api_key"],
)
def test_values_under_secret_keys_are_hidden(key: str) -> None:
    assert redacted(**{key: "hunter2", "at": {"deeper": [{key: "hunter2"}]}}) == {
        key: "***",
        "at": {"deeper": [{key: "***"}]},
    }


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://***@127.0.0.1:6379/0"),
        ("GET /ws?token=hunter2&session=ses_1", "GET /ws?token=***&session=ses_1"),
        (f"bad token {JWT} came", "bad token *** came"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("nats://user:p@ss:w0rd@host:4222,nats://u:x@other:1", "nats://***@host:4222,nats://***@other:1"),
        (f"used {RRT} again", "used *** again"),
        (f"key {JWE} came", "key *** came"),
        (f"rayrealm.v1, rayrealm.token.{JWT}", "rayrealm.v1, rayrealm.token.***"),
        (f"GET /ws?access_token={JWT} HTTP/1.1", "GET /ws?access_token=*** HTTP/1.1"),
        ("{'password': 'hunter2', 'username': 'ada'}", "{'password': '***', 'username': 'ada'}"),
        ('{"new_password":"hunter2","n":1}', '{"new_password":"***","n":1}'),
        ("requirepass=hunter2 nats_token=hunter2", "requirepass=*** nats_token=***"),
        ("authorization: basic YWRhOmh1bnRlcjI=", "authorization: basic ***"),
        ("x-rayrealm-edge: hunter2hunter2", "x-rayrealm-edge: ***"),
        ("stored $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA for ada", "stored *** for ada"),
        ('{"kty": "OKP", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}', '{"kty": "OKP", "d": "***"}'),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\nrest", "***\nrest"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMC4CAQ", "***"),
        ("refresh_token_reused by usr_1", "refresh_token_reused by usr_1"),
        ("http://127.0.0.1:8000/ws from ada@example.org", "http://127.0.0.1:8000/ws from ada@example.org"),
        ("nothing to hide in zon_meadow", "nothing to hide in zon_meadow"),
    ],
)
def test_secrets_in_texts_are_hidden(text: str, clean: str) -> None:
    assert redacted(event="x", error=text, nested=[text])["error"] == clean
    assert redacted(event="x", error=text, nested=[text])["nested"] == [clean]


def test_what_a_process_was_told_to_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_own", [])
    logs.hide("9v0sTqXr2mHcW4bA", "short", "", "9v0sTqXr2mHcW4bA")
    assert logs._own == ["9v0sTqXr2mHcW4bA"]
    hidden = redacted(
        event="it said 9v0sTqXr2mHcW4bA", at=["x9v0sTqXr2mHcW4bAx", {"k": b"9v0sTqXr2mHcW4bA"}], s="short"
    )
    assert hidden == {"event": "it said ***", "at": ["x***x", {"k": "b'***'"}], "s": "short"}


def test_of_a_whole_realm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a process is handed as it starts does not reach its logs, by whatever way."""
    monkeypatch.setattr(logs, "_own", [])
    settings = Settings(
        redis=RedisSettings(url=SecretStr("rediss://user:hunter2-redis@h:1/0")),
        nats=NatsSettings(url=SecretStr("nats://u:hunter2-nats1@a:1,nats://b:2"), token=SecretStr("hunter2-nats2")),
        identity=IdentitySettings(
            issuers=(IssuerSettings(issuer="i", audience="a", algorithms=("HS256",), secret=SecretStr("hunter2-" * 4)),)
        ),
    )
    realm = Realm(settings, KeyRing.create(0.0), b"hunter2-recovery", "hunter2-edge")
    assert "hunter2" not in repr(realm)
    logs.hide(*realm.secrets())
    out = io.StringIO()
    configure("info", out)
    log = get_logger("x")
    for secret in ("redis", "nats1", "nats2", "recovery", "edge"):
        log.info(f"it said hunter2-{secret}", what=f"<hunter2-{secret}>", deep={"a": [f"hunter2-{secret}"]})
        logging.getLogger("library").warning("at %s", f"hunter2-{secret}")
    log.info("issuer", said="hunter2-" * 4)
    assert len(lines(out)) == 11
    assert "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    "text", ["a-" * 500_000, "://" * 300_000, "eyJ." * 250_000, "-----BEGIN PRIVATE KEY-----" * 40_000]
)
def test_an_attackers_text_costs_little(text: str) -> None:
    began = time.process_time()
    redacted(event=text)
    assert time.process_time() - began < 2.0  # in fact some milliseconds; what grows with the square takes minutes


def test_a_secret_across_the_cut() -> None:
    text = "x" * 1_990 + " redis://:" + "h2" * 500 + "@host"
    assert "h2" not in redacted(event="x", text=text)["text"]


def test_objects_are_shown_without_secrets() -> None:
    assert "hunter2" not in str(redacted(event="x", value=SecretStr("hunter2"), other=ValueError(f"no: {JWT}")))
    assert JWT not in str(redacted(event="x", other=ValueError(f"no: {JWT}")))


def test_long_and_deep_values_are_cut() -> None:
    deep: list[Any] = []
    deep.append(deep)
    event = redacted(event="x", text="a" * 100_000, items=list(range(100_000)), deep=deep)
    assert event["text"] == "a" * 2_000 + "... (100000 characters)"
    assert len(event["items"]) == 50
    assert len(str(event["deep"])) < 200


def test_a_level_that_changes_reaches_loggers_that_were_used_before() -> None:
    out = io.StringIO()
    configure("info", out)
    log = structlog.get_logger("kept")
    log.debug("one")
    log.info("two")
    logs.set_level("debug")
    log.debug("three")
    logs.set_level("error")
    log.warning("four")
    log.error("five")
    assert [line["event"] for line in lines(out)] == ["two", "three", "five"]
    assert logs.level() == "error"
    assert logging.getLogger().level == logging.ERROR


def test_a_logger_that_was_used_before_writes_where_logs_go_now() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", first)
    log = structlog.get_logger("kept")
    log.info("one")
    configure("info", second)
    log.info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_captured_after_it_was_configured_and_used() -> None:
    """Whatever order tests come in, each hears what is logged in it."""
    configure("info", io.StringIO())
    log = structlog.get_logger("kept")
    log.info("one")
    configure("info")
    with capture_logs() as heard:
        log.info("two", number=2)
    assert heard == [{"event": "two", "number": 2, "log_level": "info"}]


def test_who_says_it_and_where_it_belongs() -> None:
    out = io.StringIO()
    configure("info", out)
    logs.about("zone", "zone/zon_a", "node1")
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    with tracing.span("x", parent=trace), structlog.contextvars.bound_contextvars(session="ses_1"):
        get_logger("x").info("inside", zone="zon_a")
    get_logger("x").info("outside")
    logs.about("", "", "")
    inside, outside = lines(out)
    assert {key: inside[key] for key in ("kind", "process", "node", "session", "trace_id", "span_id")} == {
        "kind": "zone",
        "process": "zone/zon_a",
        "node": "node1",
        "session": "ses_1",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
    }
    assert not {"trace_id", "span_id", "session"} & outside.keys()


@pytest.mark.parametrize("secret", ["rrin.ada.4G2c7oZs0kM1-nS5w3_Qx9", "rrop.ada-2.4G2c7oZs0kM1-nS5w3_Qx9"])
def test_invitations_and_tokens_of_operators_are_hidden(secret: str) -> None:
    assert logs.without_secrets(f"GET /console/#invitation={secret} by ada") == (
        f"GET /console/#invitation={logs.HIDDEN} by ada"
    )
