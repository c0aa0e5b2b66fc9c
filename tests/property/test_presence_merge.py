"""Presence: sessions merge into users in any order, and whoever keeps the newest of what was told of a user is right (row 3.2)."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from itertools import pairwise, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.presence.changes import SessionPresence
from actors.presence.index import PresenceIndex
from actors.presence.merging import merged, more_present, rank, speaker
from actors.presence.privacy import NOBODY
from tests.property.presence_world import OWNERS, USERS, World

statuses = st.sampled_from(["online", "away", "busy", "invisible"])
zones = st.sampled_from(["", "zon_a", "zon_b"])
names = st.sampled_from(["", "Ann"])
session_ids = st.sampled_from(sorted(OWNERS))
user_ids = st.sampled_from(USERS)
audiences = st.sampled_from(["all", "friends", "nobody"])
numbers = st.integers(0, 50)

of_one_user = st.builds(
    lambda number, status, idle, zone, name, revision, present: SessionPresence(
        f"ses_{number}",
        "usr_a",
        "sessions/0",
        status,
        zone_id=zone,
        idle=idle,
        name=name,
        revision=revision,
        present=present,
    ),
    st.integers(1, 5),
    statuses,
    st.booleans(),
    zones,
    names,
    st.integers(1, 3),
    st.booleans() | st.just(True),
)


@given(st.lists(of_one_user, min_size=3, max_size=3, unique_by=rank))
def test_of_two_the_more_present_one_is_a_maximum(three: list[SessionPresence]) -> None:
    a, b, c = three
    assert more_present(a, b) == more_present(b, a)
    assert more_present(a, a) == a
    assert more_present(more_present(a, b), c) == more_present(a, more_present(b, c))


@given(st.lists(of_one_user, max_size=4, unique_by=rank))
def test_the_merge_does_not_depend_on_order_or_repetition(sessions: list[SessionPresence]) -> None:
    wanted = merged("usr_a", sessions)
    for order in permutations(sessions):
        assert merged("usr_a", order) == wanted
    assert merged("usr_a", sessions + sessions) == wanted
    assert merged("usr_a", [*sessions, *filter(None, [speaker(sessions)])]) == wanted, "merging what was merged"


@given(st.lists(of_one_user, min_size=1, max_size=5, unique_by=lambda s: s.session_id), st.data())
def test_parts_may_be_merged_first(sessions: list[SessionPresence], data: Any) -> None:
    there = [session for session in sessions if session.present]
    cut = data.draw(st.integers(0, len(there)))
    parts = [part for part in (there[:cut], there[cut:]) if part]
    if parts:
        assert reduce(more_present, [reduce(more_present, part) for part in parts]) == speaker(sessions)


@given(
    st.lists(of_one_user, max_size=8, unique_by=lambda s: (s.session_id, s.revision)), st.randoms(use_true_random=False)
)
def test_changes_in_any_order_and_repeated_come_to_the_newest(changes: list[SessionPresence], rng: Any) -> None:
    """Of each session the change with the highest revision counts, whenever it comes: but an end is for good."""
    newest: dict[str, SessionPresence] = {}
    for change in sorted(changes, key=lambda c: c.revision):
        if change.session_id not in newest or newest[change.session_id].present:
            newest[change.session_id] = change
    ended = {c.session_id for c in changes if not c.present}
    told = [c for c in changes if c.session_id not in ended] + [
        replace(newest[s], present=False) for s in sorted(ended)
    ]
    told = [*told, *told]
    rng.shuffle(told)
    told += [c for c in told if not c.present]  # an end that was overtaken comes at last
    index = PresenceIndex()
    for change in told:
        index.apply([change], {"usr_a": NOBODY})
    there = [change for session_id, change in newest.items() if session_id not in ended]
    assert sorted(index.sessions()) == sorted(change.session_id for change in there)
    [(seen, _)] = index.see("usr_a", ["usr_a"])
    assert seen == merged("usr_a", there)


steps = st.one_of(
    st.tuples(st.just("change"), session_ids, statuses, st.booleans(), zones, names),
    st.tuples(st.just("end"), session_ids),
    st.tuples(st.just("watch"), session_ids, st.lists(user_ids, max_size=4, unique=True).map(tuple)),
    st.tuples(st.just("get"), session_ids, user_ids),
    st.tuples(st.just("tie"), st.sampled_from(["friends", "apart"]), user_ids, user_ids),
    st.tuples(st.just("privacy"), user_ids, audiences, audiences),
    st.tuples(st.just("late"), numbers),
    st.tuples(st.just("news")),
    st.tuples(st.just("deliver"), numbers),
    st.tuples(st.just("restart")),
)


@settings(max_examples=300)
@given(st.lists(steps, min_size=8, max_size=40))
def test_whoever_keeps_the_newest_is_right(story: list[tuple[Any, ...]]) -> None:
    world = World()
    for what, *arguments in story:
        getattr(world, what)(*arguments)
        fresh = world.fresh()
        assert sorted(world.index.sessions()) == sorted(fresh.sessions()) == sorted(world.records)
        assert len(world.index) == len(fresh)
    world.settle()
    fresh = world.fresh()
    for viewer in USERS:
        for user in USERS:
            assert world.look(world.index, viewer, user) == world.look(fresh, viewer, user), (viewer, user)
    for session_id, client in world.clients.items():
        assert set(client.believes) == set(client.watching)
        for user, (_, look) in client.believes.items():
            assert look == world.look(fresh, OWNERS[session_id], user), (session_id, user)


@given(st.lists(steps, max_size=30))
def test_versions_only_grow(story: list[tuple[Any, ...]]) -> None:
    world = World()
    versions = [world.index.version]
    for what, *arguments in story:
        getattr(world, what)(*arguments)
        versions.append(world.index.version)
    assert all(a <= b for a, b in pairwise(versions))


@given(st.lists(steps, max_size=30), user_ids)
def test_nobody_sees_whom_they_must_not(story: list[tuple[Any, ...]], viewer: str) -> None:
    """Neither in an answer nor in anything on its way: those who block each other, and whoever is invisible."""
    world = World()
    for what, *arguments in story:
        before = len(world.wire)
        getattr(world, what)(*arguments)
        for session_id, user, _, (presence, past) in world.wire[before:]:
            viewer_id = OWNERS[session_id]
            if viewer_id == user:
                continue
            assert presence.status != "invisible"
            if frozenset((viewer_id, user)) in world.apart:
                assert presence.status == "offline"
                assert not past
            zone, character = world.audiences.get(user, ("all", "all"))
            friend = frozenset((viewer_id, user)) in world.friends
            assert not presence.zone_id or zone == "all" or (zone == "friends" and friend)
            assert not presence.name or character == "all" or (character == "friends" and friend)
