"""Patterns of abuse: where they begin, and what switches them off."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from actors.watch.patterns import KEEP_S, RELEASE, SLOT_S, Pattern, adjusted, hits, patterns, unusual
from actors.watch.windows import Windows
from cluster.measures import Level
from cluster.security_settings import AbuseSettings, LimitSettings, Rate

KNOWN = {pattern.name: pattern for pattern in patterns(LimitSettings())}
NOW = 1_000.0


def seen(**counts: float) -> Windows:
    w = Windows(KEEP_S, SLOT_S, 10)
    w.add("x", counts, NOW)
    return w


def test_names_are_unique_and_windows_are_kept() -> None:
    assert len(KNOWN) == len(patterns(LimitSettings()))
    assert all(0.0 < p.window_s <= KEEP_S and p.threshold > 0.0 and p.action for p in KNOWN.values())


@pytest.mark.parametrize("pattern", KNOWN.values(), ids=str)
def test_each_begins_at_its_threshold(pattern: Pattern) -> None:
    enough = seen(
        **{pattern.of[0]: pattern.threshold, **dict.fromkeys(pattern.out_of, 0.0), pattern.of[0]: pattern.threshold}
    )
    (hit,) = hits([pattern], enough, "x", NOW)
    assert hit.strength == pytest.approx(1.0)
    assert hits([pattern], seen(**{pattern.of[0]: RELEASE * pattern.threshold * 0.99}), "x", NOW) == []
    assert hits([pattern], enough, "x", NOW + pattern.window_s + 2 * SLOT_S) == [], "it is over"


def test_errors_are_a_spray_only_as_a_share_of_what_was_asked() -> None:
    spray = [KNOWN["error_spray"]]
    assert hits(spray, seen(invalid=60.0, calls=100.0), "x", NOW)
    assert not hits(spray, seen(invalid=60.0, calls=1_000.0), "x", NOW), "a busy trader loses some races"


@pytest.mark.parametrize("rate", [10.0, 60.0, 1_000.0])
def test_a_flood_is_more_than_limits_allow_anybody(rate: float) -> None:
    """Whoever raises the limits raises what is a flood: what is refused, and as much of that as anybody may send."""
    limits = LimitSettings(user=Rate(per_s=rate, burst=100), premium=3.0)
    flood = patterns(limits)[0]
    assert (flood.name, flood.of) == ("message_flood", ("limited",))
    assert flood.threshold >= 3.0 * (rate * (flood.window_s + 2 * SLOT_S) + 100)


def test_a_report_is_no_longer_than_a_slot() -> None:
    assert AbuseSettings().report_s <= SLOT_S
    with pytest.raises(ValidationError):
        AbuseSettings(report_s=SLOT_S + 0.1)


def test_what_a_web_page_can_make_its_visitors_do_is_no_guess() -> None:
    assert "origin_refused" not in KNOWN["guessing"].of


def test_other_thresholds() -> None:
    changed = adjusted(KNOWN.values(), {"replay": 7.0, "jumping": 0.0})
    by_name = {p.name: p for p in changed}
    assert by_name["replay"].threshold == 7.0
    assert "jumping" not in by_name
    assert len(changed) == len(KNOWN) - 1


def test_half_a_pattern_of_an_unusual_user() -> None:
    pattern = KNOWN["teleporting"]
    (hit,) = hits([pattern], seen(corrections=0.6 * pattern.threshold), "x", NOW, least=0.5)
    made = unusual(hit)
    assert made.strength == pytest.approx(1.2)
    assert (made.pattern.name, made.pattern.action) == ("unusual_teleporting", Level.SLOW)
