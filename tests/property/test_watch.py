"""The watch on abuse against simpler twins: windows against a list, and verdicts against what they promise (row 6.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.watch.judging import SPARED, Judge
from actors.watch.patterns import RELEASE, Hit, Pattern
from actors.watch.windows import Windows
from cluster.measures import Level
from cluster.security_settings import AbuseSettings

KEEP_S, SLOT_S = 60.0, 5.0
NAMES = ("count", "gauge")
gaps = st.floats(0.0, 40.0)
events = st.lists(st.tuples(gaps, st.sampled_from("ab"), st.sampled_from(NAMES), st.integers(1, 9)), max_size=40)


@given(events, st.sampled_from([5.0, 10.0, 30.0, 60.0]))
def test_windows_are_what_a_list_says(said: list[tuple[float, str, str, int]], window_s: float) -> None:
    """A window of W seconds holds all of the last W seconds and nothing older than one slot more."""
    windows, log, now = Windows(KEEP_S, SLOT_S, 10, ("gauge",)), [], 1_000.0
    for gap, subject, name, value in said:
        now += gap
        windows.add(subject, {name: float(value)}, now)
        log.append((now, subject, name, value))
        for who in "ab":
            for what, fold in (("count", sum), ("gauge", lambda found: max(found, default=0))):
                mine = [(at, v) for at, s, n, v in log if (s, n) == (who, what)]
                least = fold([v for at, v in mine if at > now - window_s])
                most = fold([v for at, v in mine if at >= now - window_s - SLOT_S])
                assert least <= windows.total(who, (what,), window_s, now) <= most


PATTERNS = [Pattern(f"p{level.name}", "user", ("x",), 10.0, 10.0, level) for level in Level if level]
strengths = st.floats(RELEASE, 20.0)
found = st.lists(st.builds(lambda p, s: Hit(p, p.threshold * s), st.sampled_from(PATTERNS), strengths), max_size=3)
steps = st.lists(st.tuples(st.floats(0.1, 500.0), st.sampled_from(["usr_a", "usr_b"]), found), max_size=30)
roles = st.sampled_from(["player", *SPARED])


@given(steps, roles)
def test_verdicts(said: list[tuple[float, str, list[Hit]]], role: str) -> None:
    """One measure at a time; none harder than the pattern's without its cause; each ends; staff is never touched."""
    judge, now = Judge(AbuseSettings()), 1_000.0
    began: set[str] = set()
    blocked: set[str] = set()
    for gap, user, hits in said:
        now += gap
        before = judge.level("user", user, now)
        measures = judge.judge("user", user, role, hits, now)
        assert len(measures) <= 1
        for measure in measures:
            assert measure.until > now
            assert measure.reason in {hit.pattern.name for hit in hits}
            if measure.level > Level.MONITOR:
                assert role == "player"
                assert measure.level > before, "nothing is done twice"
            if not any(hit.strength >= 1.0 for hit in hits):
                assert user in began, "below its threshold nothing begins"
                assert measure.level <= Level.SLOW
            strongest = max(hit.pattern.action for hit in hits)
            if measure.level == Level.BAN and strongest < Level.BAN:
                assert user in blocked, "nobody is banned before a block"
            began.add(user)
            if measure.level >= Level.BLOCK:
                blocked.add(user)
        assert judge.level("user", user, now) >= before, "nothing ends before its time"
    assert all(judge.level("user", user, now + 1e6) == Level.NONE for user in ("usr_a", "usr_b"))
    judge.sweep(now + 1e6)
    assert len(judge) == 0
