"""The event streams as data (row 4.3)."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.event_streams import covers, differences, report, somebody_elses, specs, updated
from cluster.social_settings import EventSettings

SECOND = 1_000_000_000
STREAMS = specs(EventSettings())
PRESENCE = STREAMS["presence"]


def found(**changes: Any) -> dict[str, Any]:
    """What a server has: what was asked for, its defaults, and what differs."""
    return {**PRESENCE.config(), "num_replicas": 3, "max_consumers": -1, **changes}


class TestWhatTheyAre:
    def test_retention_ages_and_caps(self) -> None:
        assert {
            spec.name: (spec.retention, spec.max_age_s, spec.max_msgs, spec.max_bytes) for spec in STREAMS.values()
        } == {
            "PRESENCE": ("workqueue", 3_600.0, -1, 64 * 1024 * 1024),
            "STATE_SYNC": ("workqueue", 300.0, -1, 64 * 1024 * 1024),
            "POSITION": ("limits", 30.0, 100_000, 64 * 1024 * 1024),
        }

    def test_durations_are_nanoseconds(self) -> None:
        config = STREAMS["position"].config()
        assert (config["max_age"], config["duplicate_window"]) == (30 * SECOND, 30 * SECOND)

    @pytest.mark.parametrize("spec", STREAMS.values())
    def test_jetstream_wants_no_longer_window_than_age(self, spec: Any) -> None:
        assert spec.duplicates_s <= spec.max_age_s

    @pytest.mark.parametrize(
        ("kind", "key", "subject"),
        [
            ("presence", "usr_1", "presence.user.usr_1"),
            ("state", "zon_meadow", "state.zone.zon_meadow"),
            ("position", "zon_meadow", "position.zone.zon_meadow"),
        ],
    )
    def test_subjects(self, kind: Any, key: str, subject: str) -> None:
        assert STREAMS[kind].of(key) == subject
        assert specs(EventSettings(prefix="eu"))[kind].of(key) == f"eu.{subject}"
        assert covers(STREAMS[kind].subjects, subject)

    def test_a_prefix_is_before_names_too(self) -> None:
        assert [spec.name for spec in specs(EventSettings(prefix="eu")).values()] == [
            "EU_PRESENCE",
            "EU_STATE_SYNC",
            "EU_POSITION",
        ]

    @pytest.mark.parametrize("key", ["a.b", "*", ">", "a b", "ä", "", "a\r\nPUB x 1"])
    def test_no_key_makes_another_subject(self, key: str) -> None:
        subject = PRESENCE.of(key)
        assert subject.startswith("presence.user.")
        token = subject.removeprefix("presence.user.")
        assert token.isascii()
        assert token.isprintable()
        assert not set(token) & set(".*> ")
        assert token


class TestDifferences:
    def test_none(self) -> None:
        assert differences(PRESENCE, found()) == []
        assert report(PRESENCE, found()) == []

    def test_a_sentence_for_each(self) -> None:
        there = found(max_bytes=1, retention="limits", duplicate_window=None)
        assert report(PRESENCE, there) == [
            "PRESENCE: retention is limits and should be workqueue; it cannot be changed and stays: "
            "delete the stream to have it made anew",
            f"PRESENCE: max_bytes is 1 and should be {64 * 1024 * 1024}; it was changed",
            f"PRESENCE: duplicate_window is not set and should be {120 * SECOND}; it was changed",
        ]

    def test_what_is_asked_for_keeps_what_is_not_ours(self) -> None:
        there = found(max_bytes=1, retention="limits", storage="memory")
        asked = updated(PRESENCE, there)
        assert (asked["num_replicas"], asked["retention"], asked["storage"]) == (3, "limits", "memory")
        assert asked["max_bytes"] == 64 * 1024 * 1024

    @pytest.mark.parametrize("subjects", [["doors.>"], [], None, ["presence.*"], ["presence.zone.>"]])
    def test_a_stream_for_other_subjects_is_somebody_else_s(self, subjects: list[str] | None) -> None:
        there = found(subjects=subjects)
        assert somebody_elses(PRESENCE, there)
        [told] = report(PRESENCE, there)
        assert "events.prefix" in told

    @pytest.mark.parametrize("subjects", [["presence.>"], ["presence.user.*"], ["doors.>", ">"], ["*.user.>"]])
    def test_one_that_takes_our_events_is_not(self, subjects: list[str]) -> None:
        assert not somebody_elses(PRESENCE, found(subjects=subjects))


@pytest.mark.parametrize(
    ("pattern", "subject", "fits"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        (">", "a", True),
        ("*.b", "a.b", True),
        ("*.b", "a.c", False),
    ],
)
def test_wildcards(pattern: str, subject: str, fits: bool) -> None:
    assert covers(pattern, subject) is fits
