"""Every error that a zone may refuse with arrives as it was (row 2.4)."""

from __future__ import annotations

import pytest

from actors.games.api import Refused
from cluster import errors
from cluster.errors import Elsewhere, Fenced, NotOwner, Ours, RealmError, SettingsError, StartRefused, Theirs
from cluster.refusals import from_refusal, to_refusal
from realm_proto import internal_pb2

SAID: list[RealmError] = [
    errors.Unavailable("redis", 2.5),
    errors.InvalidInput([("name", "too long"), ("age", "not a number")]),
    errors.InvalidState("not_now", "in_world"),
    errors.Conflict("stale_version", {"version": 3, "properties": {"hat": None}, "position": {"x": 1.5}}),
    errors.Conflict("name_taken"),
    errors.RateLimited("zone_full", 5.0),
    errors.SubscriptionLimit(64),
    errors.Unauthorized("not_yours"),
    errors.SessionGone("ended", "The session has ended."),
    errors.NotFound("no_such_entity"),
    Theirs("something_else", "in words"),
]


@pytest.mark.parametrize("error", SAID, ids=lambda error: f"{type(error).__name__}-{error}")
def test_as_it_was(error: RealmError) -> None:
    said = internal_pb2.ZoneRefusal.FromString(to_refusal(error).SerializeToString())
    again = from_refusal(said)
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_no_class_of_theirs_is_forgotten() -> None:
    """A class that a client is told of, and that is not among those above, would lose what it says."""

    def below(kind: type[RealmError]) -> set[type[RealmError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__() if each.__module__ == errors.__name__))

    apart: set[type[RealmError]] = {RealmError, Ours, Fenced, Elsewhere, NotOwner, SettingsError, StartRefused}
    assert {type(error) for error in SAID} == below(RealmError) - apart


def test_a_subclass_goes_as_the_nearest_that_is_known() -> None:
    again = from_refusal(to_refusal(Refused("too_far")))
    assert type(again) is errors.InvalidState
    assert vars(again) == vars(errors.InvalidState("too_far", "in_world"))


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), Fenced("x"), RealmError("x"), KeyError()])
def test_what_is_no_refusal_is_a_fault_of_ours(error: Exception) -> None:
    again = from_refusal(to_refusal(error))
    assert type(again) is Ours
    assert type(error).__name__ in str(again)


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("Conflict", b"{"),
        ("Conflict", b"[1, 2, 3]"),
        ("InvalidInput", b'["x"]'),
        ("InvalidInput", b"[]"),
        ("NotFound", b"7"),
        ("SystemExit", b"[]"),
        ("", b""),
    ],
)
def test_what_cannot_be_read_is_one_too(kind: str, args: bytes) -> None:
    assert type(from_refusal(internal_pb2.ZoneRefusal(kind=kind, args_json=args))) is Ours
