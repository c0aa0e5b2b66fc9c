from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from cluster.telemetry.logs import configure, get_logger, redact

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMSJ9.c2ln"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


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
    assert first.pop("timestamp").endswith("Z")
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
        ("nothing to hide in zon_meadow", "nothing to hide in zon_meadow"),
    ],
)
def test_secrets_in_texts_are_hidden(text: str, clean: str) -> None:
    assert redacted(event="x", error=text, nested=[text])["error"] == clean
    assert redacted(event="x", error=text, nested=[text])["nested"] == [clean]


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
