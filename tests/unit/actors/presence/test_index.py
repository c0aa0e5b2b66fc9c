"""The presence index: watchers are told what changed for them, and only that (row 3.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.presence.changes import SessionPresence
from actors.presence.index import REMEMBERED, VERSIONS, PresenceIndex
from actors.presence.merging import UserPresence
from actors.presence.privacy import NOBODY, Circle
from tests.unit.actors.presence.stage import Stage, apart, friends, session


def over(known: SessionPresence) -> SessionPresence:
    return replace(known, present=False)


@pytest.fixture
def stage() -> Stage:
    """Bob watches Ann; both sides know."""
    stage = Stage()
    stage.told(session("w", "bob", watching=("ann",)))
    return stage


class TestWatchers:
    def test_they_are_told_once_of_what_adds_up(self, stage: Stage) -> None:
        assert stage.told(session("1", status="away"), session("1", status="busy"), session("1")) == [
            ("ses_w", "usr_ann", "online")
        ]
        assert stage.told() == []

    def test_not_of_what_they_cannot_see(self, stage: Stage) -> None:
        stage.told(session("1"))
        assert stage.told(session("1", actor="sessions/1")) == []
        assert stage.told(session("2", status="away")) == []
        assert stage.told(session("3", status="invisible")) == []
        assert stage.told(session("1", status="away"), session("1")) == []

    def test_becoming_invisible_looks_like_leaving(self, stage: Stage) -> None:
        stage.told(session("1", zone_id="zon_a"))
        invisible = session("1", status="invisible", zone_id="zon_a")
        assert stage.told(invisible) == [("ses_w", "usr_ann", "offline")]
        assert stage.told(replace(invisible, zone_id="zon_b")) == []
        assert stage.told(over(invisible)) == [], "nobody learns when somebody left whom they did not see"

    def test_coming_invisible_is_told_to_nobody(self, stage: Stage) -> None:
        assert stage.told(session("1", status="invisible")) == []

    def test_idle_is_away_until_it_is_not(self, stage: Stage) -> None:
        stage.told(session("1"))
        assert stage.told(session("1", idle=True)) == [("ses_w", "usr_ann", "away")]
        assert stage.told(session("1")) == [("ses_w", "usr_ann", "online")]

    def test_each_is_told_through_its_own_actor(self) -> None:
        stage = Stage()
        stage.apply(session("w", "bob", actor="sessions/1", watching=("ann",)), session("v", "cid", watching=("ann",)))
        stage.apply(session("1"))
        assert stage.index.take_news().watchers == {
            "sessions/1": {"usr_ann": {"ses_w"}},
            "sessions/0": {"usr_ann": {"ses_v"}},
        }

    def test_who_stopped_watching_or_ended_is_not_told(self, stage: Stage) -> None:
        other = session("v", "cid", watching=("ann",))
        stage.told(other)
        stage.apply(session("1"))
        news = stage.index.take_news().watchers["sessions/0"]["usr_ann"]
        assert news == {"ses_v", "ses_w"}
        stage.apply(session("w", "bob"), over(other))
        assert stage.index.audience("usr_ann", news) == {}, "also not of what was to be told when they stopped"
        assert stage.told(session("1", status="busy")) == []

    def test_one_may_watch_oneself_and_sees_more(self) -> None:
        stage = Stage()
        assert stage.told(session("1", watching=("ann",))) == [("ses_1", "usr_ann", "online")]
        assert stage.told(session("1", status="invisible", watching=("ann",))) == [("ses_1", "usr_ann", "invisible")]

    def test_the_last_device_that_ends_leaves_the_user_offline(self, stage: Stage) -> None:
        one, two = session("1"), session("2")
        stage.told(one, two)
        assert stage.told(over(one)) == []
        assert stage.told(over(two)) == [("ses_w", "usr_ann", "offline")]
        assert len(stage.index) == 1


class TestLooking:
    def test_who_was_shown_a_state_in_between_is_told_of_its_end(self, stage: Stage) -> None:
        stage.told(session("1"))
        stage.apply(session("1", status="busy"))
        assert stage.status("bob", "ann") == "busy"
        assert stage.told(session("1")) == [("ses_w", "usr_ann", "online")]

    def test_so_is_who_was_told_of_it(self, stage: Stage) -> None:
        """What is sent is how the user is at that moment, and may be newer than what the news were about."""
        stage.told(session("1"))
        stage.apply(session("1", status="busy"))
        stage.index.take_news()
        stage.apply(session("1", status="away"))
        [(presence, _)] = stage.index.audience("usr_ann", ["ses_w"]).values()
        assert presence.status == "away"
        assert stage.told(session("1", status="busy")) == [("ses_w", "usr_ann", "busy")]

    def test_every_state_has_a_number_of_its_own(self, stage: Stage) -> None:
        versions = [stage.index.version]
        stage.apply(session("1"))
        versions.append(stage.index.version)
        stage.refresh(ann=friends("bob"))
        versions.append(stage.index.version)
        stage.apply(over(session("1")))
        versions.append(stage.index.version)
        assert versions == sorted(set(versions))
        assert PresenceIndex(2).version == 2 * VERSIONS > versions[-1], "the next incarnation's are greater"

    def test_what_changes_nothing_has_the_same(self, stage: Stage) -> None:
        stage.told(session("1"))
        version = stage.index.version
        stage.refresh(ann=NOBODY)
        stage.index.take_news()
        assert (stage.status("bob", "ann"), stage.index.version) == ("online", version)


class TestOrder:
    def test_what_comes_late_is_passed_over(self, stage: Stage) -> None:
        stage.told(session("1", status="busy", revision=2))
        assert stage.told(session("1", revision=1)) == []
        assert stage.status("bob", "ann") == "busy"

    def test_nobody_comes_back_from_the_end(self, stage: Stage) -> None:
        stage.told(session("1", revision=1), over(session("1", revision=3)))
        assert stage.told(session("1", revision=2)) == []
        assert stage.status("bob", "ann") == "offline"

    def test_but_it_is_forgotten_some_day(self, stage: Stage) -> None:
        stage.told(session("1"), over(session("1")))
        stage.apply(*(over(session(f"x{number}")) for number in range(REMEMBERED)))
        assert len(stage.index._over) == REMEMBERED
        stage.told(session("1"))
        assert stage.status("bob", "ann") == "online"


class TestTies:
    def test_who_is_blocked_sees_one_leave_and_nothing_more(self, stage: Stage) -> None:
        stage.told(session("1"))
        stage.refresh(ann=apart("bob"), bob=apart("ann"))
        assert stage.told() == [("ses_w", "usr_ann", "offline")]
        assert stage.told(session("1", status="busy")) == []
        assert stage.told(over(session("1"))) == []
        stage.told(session("2"))
        stage.refresh(ann=NOBODY, bob=NOBODY)
        assert stage.told() == [("ses_w", "usr_ann", "online")]

    def test_of_one_who_is_not_there_nobody_is_told_that_it_blocks(self, stage: Stage) -> None:
        stage.refresh(ann=apart("bob"), bob=apart("ann"))
        assert stage.told() == []

    def test_nor_of_one_who_is_invisible(self, stage: Stage) -> None:
        stage.told(session("1", status="invisible"))
        stage.refresh(ann=apart("bob"), bob=apart("ann"))
        assert stage.told() == []

    @pytest.mark.parametrize("there", [False, True])
    def test_a_new_friend_is_told_when_one_was_there_last(self, stage: Stage, there: bool) -> None:
        """The same whether one is invisible or away: nobody can tell the two apart."""
        if there:
            stage.told(session("1", status="invisible"))
        stage.refresh(ann=friends("bob"), bob=friends("ann"))
        assert stage.told() == [("ses_w", "usr_ann", "offline")]
        stage.refresh(ann=NOBODY, bob=NOBODY)
        assert stage.told() == [("ses_w", "usr_ann", "offline")]

    def test_a_choice_is_told_to_those_whom_it_concerns(self) -> None:
        stage = Stage(ann=friends("bob"), bob=friends("ann"))
        stage.told(
            session("1", zone_id="zon_a"),
            session("f", "bob", watching=("ann",)),
            session("v", "cid", watching=("ann",)),
        )
        stage.refresh(ann=friends("bob", zone="friends"))
        assert stage.told() == [("ses_v", "usr_ann", "online")]
        assert stage.told(session("1", zone_id="zon_b")) == [("ses_f", "usr_ann", "online")]
        stage.refresh(ann=friends("bob", zone="nobody"))
        assert stage.told() == [("ses_f", "usr_ann", "online")]
        assert stage.told(session("1", zone_id="zon_c")) == []

    def test_towards_one_who_is_away_ones_own_ties_count(self) -> None:
        stage = Stage(bob=friends("ann"))
        stage.told(session("w", "bob"))
        assert [place for _, place in stage.index.see("usr_bob", ["usr_ann", "usr_cid", "usr_bob"])] == [
            "friend",
            "other",
            "self",
        ]
        assert [place for _, place in stage.index.see("usr_dan", ["usr_ann"], apart("ann"))] == ["hidden"]


class TestRebuilt:
    """An index that died comes back from session records, which may be ahead of what its watchers were told."""

    @staticmethod
    def rebuilt(*sessions: SessionPresence, **circles: Circle) -> Stage:
        stage = Stage(2, **circles)
        stage.rebuild(session("w", "bob", watching=("ann",)), *sessions)
        return stage

    def test_nobody_becomes_offline_and_nobody_is_told(self) -> None:
        stage = self.rebuilt(session("1", zone_id="zon_a"))
        assert stage.index.of_user("usr_ann") == UserPresence("usr_ann", "online", "zon_a")
        assert len(stage.index) == 2
        assert stage.told() == []

    def test_a_change_that_the_old_one_did_not_tell_is_told(self) -> None:
        busy = session("1", status="busy", revision=1)
        stage = self.rebuilt(replace(busy, revision=0))
        assert stage.told(busy) == [("ses_w", "usr_ann", "busy")]
        assert stage.told(busy) == [], "once"

    def test_what_had_to_wait_does_not_undo_a_newer_record(self) -> None:
        """The record is written before the change is told: it may have the next one already, and somebody may have looked."""
        stage = self.rebuilt(session("1", status="busy", text="newer", edition=8))
        before = session("1", status="away", text="older", revision=1, edition=7)
        assert stage.told(before) == [("ses_w", "usr_ann", "busy")]
        assert stage.told(session("1", status="busy", text="newer", revision=2, edition=8)) == []
        assert stage.told(before) == [], "it has a revision now"
        assert stage.told(session("1", revision=3, edition=9)) == [("ses_w", "usr_ann", "online")]

    def test_an_end_that_is_told_again_ends(self) -> None:
        stage = self.rebuilt(session("1", edition=8))
        assert stage.told(over(session("1", revision=1, edition=7))) == [("ses_w", "usr_ann", "offline")]

    def test_so_is_an_end(self) -> None:
        assert self.rebuilt().told(over(session("1"))) == [("ses_w", "usr_ann", "offline")]

    def test_who_is_blocked_is_not_told_again(self) -> None:
        stage = self.rebuilt(session("1"), ann=apart("bob"), bob=apart("ann"))
        assert stage.told(session("1", status="busy")) == []

    def test_but_of_a_block_that_came_with_it(self) -> None:
        stage = self.rebuilt(session("1", status="invisible"))
        stage.apply(session("1", status="invisible"))
        stage.refresh(ann=apart("bob"), bob=apart("ann"))
        assert stage.told() == [("ses_w", "usr_ann", "offline")]


class TestNews:
    def test_when_somebody_was_there(self, stage: Stage) -> None:
        def seen(*changes: SessionPresence) -> dict[str, str]:
            stage.apply(*changes)
            return stage.index.take_news().seen

        assert seen(session("1", name="Ann")) == {"usr_ann": "Ann"}
        assert seen(session("1", name="Ann", status="away")) == {}
        assert seen(session("1", name="Annie")) == {"usr_ann": "Annie"}
        assert seen(session("1", name="Annie", status="invisible")) == {"usr_ann": "Annie"}
        assert seen(session("1", name="Other", status="invisible")) == {}
        assert seen(over(session("1", status="invisible"))) == {}, "nobody learns when one left whom they did not see"
        assert seen(session("2")) == {"usr_ann": ""}
        assert seen(over(session("2"))) == {"usr_ann": ""}

    def test_what_is_public(self) -> None:
        stage = Stage(ann=Circle(zone="friends"))
        stage.apply(session("1"))
        assert stage.index.take_news().public == ["usr_ann"]
        stage.apply(session("1", zone_id="zon_a"))
        assert stage.index.take_news().public == []
        stage.apply(session("1", status="invisible"))
        assert stage.index.take_news().public == ["usr_ann"]
        stage.apply(session("1", status="invisible", text="x"))
        assert stage.index.take_news().public == []


def test_what_is_over_is_known_by_its_sessions(stage: Stage) -> None:
    stage.told(session("1"), session("2", "cid"))
    assert sorted(stage.index.sessions()) == ["ses_1", "ses_2", "ses_w"]
    ended = stage.index.over(["ses_1", "ses_none"])
    assert [(change.session_id, change.present) for change in ended] == [("ses_1", False)]
    assert stage.told(*ended) == [("ses_w", "usr_ann", "offline")]
    assert sorted(stage.index.sessions()) == ["ses_2", "ses_w"]
    assert sorted(stage.index.users()) == ["usr_bob", "usr_cid"]


def test_whose_ties_must_be_looked_up(stage: Stage) -> None:
    changes = [session("1"), session("2"), session("w", "bob"), over(session("3", "cid"))]
    assert stage.index.unknown(changes) == ["usr_ann"]
    assert (stage.index.knows("usr_bob"), stage.index.knows("usr_ann")) == (True, False)


def test_nothing_is_left_of_those_who_went(stage: Stage) -> None:
    gone = session("1", watching=("bob", "cid"))
    stage.told(gone)
    stage.told(over(gone), over(session("w", "bob", watching=("ann",))))
    index = stage.index
    assert (index._sessions, index._users, index._watchers, index._before, index._untold) == ({}, {}, {}, {}, {})
