"""What a gateway counts of clients and addresses for the watch on abuse."""

from __future__ import annotations

import pytest

from actors.zone.movement import REASONS
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import tally
from serve_apps.gateway.messages import Code
from serve_apps.gateway.tally import MOST_ADDRESSEES, MOST_TEXTS, TELEPORTS, AddressTallies, Said, Tally


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        (Code.METHOD_NOT_FOUND, (1, 0, 0)),
        (Code.INVALID_PARAMS, (0, 1, 0)),
        (Code.CONFLICT, (0, 0, 1)),
        (Code.RATE_LIMITED, (0, 0, 1)),
        (Code.UNAVAILABLE, (0, 0, 0)),
        (Code.INTERNAL_ERROR, (0, 0, 0)),
    ],
)
def test_errors_by_kind(code: Code, counted: tuple[int, int, int]) -> None:
    t = Tally()
    t.failed(code)
    assert (t.unknown, t.invalid, t.refused) == counted


@pytest.mark.parametrize("reason", REASONS)
def test_walking_against_a_wall_is_no_teleport(reason: str) -> None:
    t = Tally()
    t.corrected(pb.Correction(sequence=1, reason=reason).SerializeToString())
    assert t.corrections == (reason in {"too_fast", "too_sudden", "not_finite"})


def test_the_zones_reasons() -> None:
    assert set(REASONS) >= TELEPORTS


def test_those_who_know_it_may_hear_the_same() -> None:
    t = Tally()
    for number in range(20):
        t.spoke("good evening my friend", f"direct:usr_{number}", known=True)
    assert (t.chats, t.said) == (20, None)


GOLD = "Cheap gold at our shop!"


class TestSaid:
    def test_the_same_text_to_many(self) -> None:
        said = Said()
        for number in range(5):
            said.add(f"Cheap GOLD at our shop: ${number}", f"direct:usr_{number}")
        said.add(GOLD, "direct:usr_0")
        assert (said.same_text(), said.addressees()) == (5, 5)

    def test_talking_is_not_the_same_text(self) -> None:
        said = Said()
        for number in range(MOST_TEXTS):
            said.add(f"remark {chr(97 + number) * 6}", "zone")
        assert (said.same_text(), said.addressees()) == (1, 1)

    @pytest.mark.parametrize("text", ["hi", "thanks :)", "12345678901234567890", "!!!!!!!!!!!!!!!!", ""])
    def test_what_everybody_says_to_everybody(self, text: str) -> None:
        said = Said()
        for number in range(20):
            said.add(text, f"direct:usr_{number}")
        assert (said.same_text(), said.addressees()) == (0, 20)

    def test_it_is_forgotten_after_two_turns(self) -> None:
        said = Said()
        said.add(GOLD, "a")
        assert said.turn() is True
        said.add(GOLD, "b")
        assert said.same_text() == 2
        assert said.turn() is True
        assert said.same_text() == 1
        assert said.turn() is False
        assert (said.same_text(), said.addressees()) == (0, 0)

    def test_it_is_bounded(self) -> None:
        said = Said()
        for number in range(1_000):
            said.add(GOLD, f"direct:usr_{number}")
            said.add("remark " + "abcdefghij"[number % 10] * 8 + "xyzuvw"[number % 6], f"channel{number}")
        assert len(said._now) <= MOST_TEXTS
        assert max(len(to) for to in said._now.values()) <= MOST_ADDRESSEES
        assert said.same_text() <= MOST_ADDRESSEES

    def test_any_text_will_do(self) -> None:
        said = Said()
        said.add("\ud800 abcdefghijkl", "\udfff")
        assert said.same_text() == 1


class TestAddresses:
    def test_counted_as_limits_count(self) -> None:
        tallies = AddressTallies()
        tallies.opened("2001:db8::1")
        tallies.opened("2001:db8::2")
        tallies.refused("203.0.113.7", "token_invalid")
        tallies.refused("203.0.113.7", "token_invalid")
        tallies.refused("203.0.113.7", "full")
        taken = tallies.take()
        assert {a: (t.opened, t.refusals) for a, t in taken.items()} == {
            "2001:db8::/64": (2, {}),
            "203.0.113.7": (0, {"token_invalid": 2, "full": 1}),
        }
        assert tallies.take() == {}

    def test_beyond_the_bound_they_are_counted_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tally, "MOST_ADDRESSES", 2)
        tallies = AddressTallies()
        for number in range(5):
            tallies.opened(f"203.0.113.{number}")
        assert {a: t.opened for a, t in tallies.take().items()} == {"203.0.113.0": 1, "203.0.113.1": 1, "": 3}
