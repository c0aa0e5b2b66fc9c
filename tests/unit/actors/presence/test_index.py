"""The presence index: devices merge into users, and watchers are told what changed (row 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.presence.changes import SessionPresence, UserPresence, presence_of
from actors.presence.index import PresenceIndex
from cluster.ports.sessions import SessionRecord

Told = list[tuple[UserPresence, list[str]]]


def session(name: str, user: str = "ann", status: str = "online", **more: Any) -> SessionPresence:
    actor = more.pop("actor", "sessions/0")
    watching = tuple(f"usr_{w}" for w in more.pop("watching", ()))
    return SessionPresence(f"ses_{name}", f"usr_{user}", actor, status, watching=watching, **more)


def apply(index: PresenceIndex, *changes: SessionPresence) -> Told:
    return [(user, [w.session_id for w in watchers]) for user, watchers in index.apply(changes)]


def over(known: SessionPresence) -> SessionPresence:
    return replace(known, present=False)


class TestMerging:
    @pytest.mark.parametrize(
        ("statuses", "merged"),
        [
            ([], "offline"),
            (["online"], "online"),
            (["away"], "away"),
            (["busy"], "busy"),
            (["invisible"], "offline"),
            (["invisible", "invisible"], "offline"),
            (["away", "online"], "online"),
            (["away", "busy"], "busy"),
            (["busy", "online", "away"], "online"),
            (["invisible", "away"], "away"),
        ],
    )
    def test_the_most_present_device_speaks(self, statuses: list[str], merged: str) -> None:
        for order in (statuses, statuses[::-1]):
            index = PresenceIndex()
            apply(index, *(session(str(n), status=status) for n, status in enumerate(order)))
            assert index.of_user("usr_ann").status == merged

    def test_where_it_is_comes_from_the_same_device(self) -> None:
        index = PresenceIndex()
        apply(
            index,
            session("1", status="away", zone_id="zon_a", character_id="chr_a"),
            session("2", status="online"),
        )
        assert index.of_user("usr_ann") == UserPresence("usr_ann", "online")
        apply(index, session("3", status="online", zone_id="zon_b", character_id="chr_b"))
        assert index.of_user("usr_ann") == UserPresence("usr_ann", "online", "zon_b", "chr_b")

    def test_an_invisible_one_tells_nothing_of_where_it_is(self) -> None:
        index = PresenceIndex()
        apply(index, session("1", status="invisible", zone_id="zon_a", character_id="chr_a"))
        assert index.of_user("usr_ann").public() == {
            "user_id": "usr_ann",
            "status": "offline",
            "zone": "",
            "character_id": "",
        }

    def test_the_last_device_that_ends_leaves_the_user_offline(self) -> None:
        index = PresenceIndex()
        one, two = session("1"), session("2")
        apply(index, one, two)
        assert apply(index, over(one)) == []
        assert apply(index, over(two)) == [(UserPresence("usr_ann", "offline"), [])]
        assert len(index) == 0

    def test_one_that_ends_twice_or_never_began(self) -> None:
        index = PresenceIndex()
        assert apply(index, over(session("1")), over(session("1"))) == [(UserPresence("usr_ann", "offline"), [])]
        assert len(index) == 0


class TestWatchers:
    def test_they_are_told_once_for_each_batch(self) -> None:
        index = PresenceIndex()
        apply(index, session("w", "bob", watching=("ann",)))
        told = apply(index, session("1", status="away"), session("1", status="busy"), session("1"))
        assert told == [(UserPresence("usr_ann", "online"), ["ses_w"])]

    def test_not_of_what_others_cannot_see(self) -> None:
        index = PresenceIndex()
        apply(index, session("w", "bob", watching=("ann",)), session("1"))
        assert apply(index, session("1", actor="sessions/1")) == []
        assert apply(index, session("2", status="away")) == []
        assert apply(index, session("3", status="invisible")) == []
        assert apply(index, session("1", status="away"), session("1")) == []

    def test_becoming_invisible_looks_like_leaving(self) -> None:
        index = PresenceIndex()
        apply(index, session("w", "bob", watching=("ann",)), session("1", zone_id="zon_a"))
        assert apply(index, session("1", status="invisible", zone_id="zon_a")) == [
            (UserPresence("usr_ann", "offline"), ["ses_w"])
        ]

    def test_each_is_told_through_its_own_actor(self) -> None:
        """Also one without a socket: its actor keeps for it what it missed."""
        index = PresenceIndex()
        apply(index, session("w", "bob", actor="sessions/1", watching=("ann",)), session("v", "cid", watching=("ann",)))
        [(_, watchers)] = index.apply([session("1")])
        assert [(w.session_id, w.actor) for w in watchers] == [("ses_v", "sessions/0"), ("ses_w", "sessions/1")]

    def test_every_device_that_watches_is_told(self) -> None:
        index = PresenceIndex()
        apply(index, session("w2", "bob", watching=("ann",)), session("w1", "bob", watching=("ann", "cid")))
        assert apply(index, session("1")) == [(UserPresence("usr_ann", "online"), ["ses_w1", "ses_w2"])]

    def test_who_stopped_watching_or_ended_is_not_told(self) -> None:
        index = PresenceIndex()
        watcher, other = session("w", "bob", watching=("ann",)), session("v", "cid", watching=("ann",))
        apply(index, watcher, other)
        apply(index, replace(watcher, watching=()), over(other))
        assert apply(index, session("1")) == [(UserPresence("usr_ann", "online"), [])]

    def test_one_may_watch_oneself(self) -> None:
        index = PresenceIndex()
        me = session("1", watching=("ann",))
        assert apply(index, me) == [(UserPresence("usr_ann", "online"), ["ses_1"])]
        assert apply(index, replace(me, status="busy")) == [(UserPresence("usr_ann", "busy"), ["ses_1"])]


class TestRebuilt:
    """An index that died comes back from session records, which may be ahead of what its watchers were told."""

    @staticmethod
    def rebuilt(*sessions: SessionPresence) -> PresenceIndex:
        index = PresenceIndex()
        index.rebuild([session("w", "bob", watching=("ann",)), *sessions])
        return index

    def test_nobody_becomes_offline(self) -> None:
        index = self.rebuilt(session("1", zone_id="zon_a"))
        assert index.of_user("usr_ann") == UserPresence("usr_ann", "online", "zon_a")
        assert len(index) == 2

    def test_a_change_that_the_old_one_did_not_take_is_told(self) -> None:
        """It is in the record, so the index knows it; but the session actor sends it again, and only then is it told."""
        busy = session("1", status="busy")
        index = self.rebuilt(busy)
        assert apply(index, busy) == [(UserPresence("usr_ann", "busy"), ["ses_w"])]
        assert apply(index, busy) == [], "once"

    def test_so_is_an_end(self) -> None:
        assert apply(self.rebuilt(), over(session("1"))) == [(UserPresence("usr_ann", "offline"), ["ses_w"])]


def test_what_is_over_is_known_by_its_sessions() -> None:
    index = PresenceIndex()
    apply(index, session("w", "bob", watching=("ann",)), session("1"), session("2", "cid"))
    assert sorted(index.sessions()) == ["ses_1", "ses_2", "ses_w"]
    ended = index.over(["ses_1", "ses_none"])
    assert [(change.session_id, change.present) for change in ended] == [("ses_1", False)]
    assert apply(index, *ended) == [(UserPresence("usr_ann", "offline"), ["ses_w"])]
    assert sorted(index.sessions()) == ["ses_2", "ses_w"]


def test_a_record_says_all_there_is_to_know() -> None:
    record = SessionRecord(
        "ses_1", "usr_a", "sessions/0", "in_world", "gtw_a", 3, "chr_a", "Ann", "zon_a", "busy", watching=("usr_b",)
    )
    assert presence_of(record) == SessionPresence("ses_1", "usr_a", "sessions/0", "busy", "zon_a", "chr_a", ("usr_b",))


names = st.sampled_from(["1", "2", "3", "4", "5", "6"])
OWNERS = {"1": "ann", "2": "ann", "3": "bob", "4": "bob", "5": "cid", "6": "dan"}
changes = st.builds(
    lambda name, status, actor, zone, watching, present: replace(
        session(name, OWNERS[name], status, actor=actor, zone_id=zone, watching=watching), present=present
    ),
    names,
    st.sampled_from(["online", "away", "busy", "invisible"]),
    st.sampled_from(["sessions/0", "sessions/1"]),
    st.sampled_from(["", "zon_a", "zon_b"]),
    st.lists(st.sampled_from(["ann", "bob", "cid", "dan"]), max_size=3, unique=True),
    st.booleans() | st.just(True),
)
USERS = [f"usr_{name}" for name in ("ann", "bob", "cid", "dan")]


def store(records: dict[str, SessionPresence], batch: list[SessionPresence]) -> None:
    for change in batch:
        records.pop(change.session_id, None)
        if change.present:
            records[change.session_id] = change


@given(
    st.lists(
        st.tuples(st.lists(changes, max_size=5), st.sampled_from(["alive", "alive", "dead", "died after"])), max_size=14
    )
)
def test_whoever_believes_what_it_was_told_is_right(rounds: list[tuple[list[SessionPresence], str]]) -> None:
    """Changes are stored, then told. While the index is dead they wait; an answer that is lost makes them come again.

    After every round in which it lives, the index is as one that was built from the records alone, and so is what others believe.
    """
    index, records = PresenceIndex(), dict[str, SessionPresence]()
    waiting = dict[str, SessionPresence]()
    believed = {user: UserPresence(user, "offline") for user in USERS}
    for batch, fate in rounds:
        store(records, batch)
        waiting |= {change.session_id: change for change in batch}
        if fate != "dead":
            for user, watchers in index.apply(waiting.values()):
                believed[user.user_id] = user
                expected = {s for s, p in records.items() if user.user_id in p.watching}
                assert {w.session_id for w in watchers} == expected
            fresh = PresenceIndex()
            fresh.rebuild(records.values())
            assert sorted(index.sessions()) == sorted(fresh.sessions()) == sorted(records)
            assert len(index) == len(fresh)
            assert {u: index.of_user(u) for u in USERS} == {u: fresh.of_user(u) for u in USERS} == believed
        if fate == "alive":
            waiting.clear()
        else:
            index = PresenceIndex()
            index.rebuild(records.values())
