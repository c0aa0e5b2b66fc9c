"""New token keys: who signs when, what is published and sealed, and who believes what."""

from __future__ import annotations

import jwt
import pytest

from cluster.errors import Ours, Unauthorized
from cluster.security.keys import KeyRing
from cluster.security.rotation import LiveKeys, Rotation, open_sealed, publish, read_published, seal
from cluster.security.tokens import sign_access, verify_access

NOW = 1_800_000_000.0
ROOT, OTHER = KeyRing.create(NOW - 100), KeyRing.create(NOW)
LEAD, KEEP = 60.0, 900.0


def test_published_first_then_signing_then_the_former_ends() -> None:
    rotation = Rotation(ROOT).rotated(NOW, LEAD, KEEP)
    fresh, former = (key.kid for key in rotation.ring.verify)
    assert former == ROOT.verify[0].kid
    for at, signs in ((NOW, former), (NOW + LEAD - 0.01, former), (NOW + LEAD, fresh), (NOW + 1e6, fresh)):
        assert rotation.at(at).signer()[0] == signs
    for at in (NOW, NOW + LEAD + KEEP):
        token = sign_access(ROOT, "usr_a", NOW + LEAD - 1, KEEP, "realm")
        if at < NOW + LEAD + KEEP - 1:
            verify_access(rotation.at(at), token, NOW + LEAD, 5.0, "realm")
        assert rotation.ring.verifier(former, at) is not None
        assert rotation.ring.verifier(fresh, at) is not None
    assert rotation.ring.verifier(former, NOW + LEAD + KEEP + 0.01) is None


def test_no_second_one_while_one_waits() -> None:
    rotation = Rotation(ROOT).rotated(NOW, LEAD, KEEP)
    assert rotation.rotated(NOW + LEAD - 1, LEAD, KEEP) is rotation
    again = rotation.rotated(NOW + LEAD, LEAD, KEEP)
    assert [key.not_after for key in again.ring.verify] == [None, NOW + 2 * LEAD + KEEP, NOW + LEAD + KEEP]
    much_later = again.rotated(NOW + 1e6, LEAD, KEEP)
    assert len(much_later.ring.verify) == 2, "what is over is forgotten"


def test_a_compromised_one() -> None:
    rotation = Rotation.replaced(NOW)
    with pytest.raises(Unauthorized):
        verify_access(rotation.at(NOW), sign_access(ROOT, "usr_a", NOW, 60, "realm"), NOW, 5.0, "realm")
    assert rotation.at(NOW).signer()[0] == rotation.ring.verify[0].kid


def test_published_keys() -> None:
    ring = Rotation(ROOT).rotated(NOW, LEAD, KEEP).ring
    text = publish(ROOT, ring, NOW)
    read = read_published(ROOT.public_only(), text, NOW)
    assert read == ring.public_only()
    assert ROOT.signing is not None
    assert ROOT.signing.private.hex() not in text


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é", "." * 300_000])
def test_what_nobody_published(text: str) -> None:
    assert read_published(ROOT.public_only(), text, NOW) is None


def test_published_by_others() -> None:
    assert read_published(ROOT.public_only(), publish(OTHER, OTHER, NOW), NOW) is None
    token = sign_access(ROOT, "usr_a", NOW, 60, "realm")  # signed by the root, and no set of keys
    assert read_published(ROOT.public_only(), token, NOW) is None
    with pytest.raises(Unauthorized):
        verify_access(ROOT, publish(ROOT, ROOT, NOW), NOW, 5.0, "realm")


def test_sealed_keys() -> None:
    for rotation in (Rotation(ROOT), Rotation(ROOT).rotated(NOW, LEAD, KEEP), Rotation.replaced(NOW)):
        sealed = seal(ROOT, rotation)
        assert open_sealed(ROOT, sealed) == rotation
        assert open_sealed(OTHER, sealed) is None
        assert open_sealed(ROOT, sealed[:-8] + "AAAAAAA=") is None
        assert rotation.ring.signing is not None
        assert rotation.ring.signing.private.hex() not in sealed
    with pytest.raises(Ours):
        open_sealed(ROOT.public_only(), seal(ROOT, Rotation(ROOT)))


class TestLiveKeys:
    def test_a_gateway_takes_what_its_root_signed(self) -> None:
        keys, ring = LiveKeys(ROOT.public_only()), Rotation(ROOT).rotated(NOW, LEAD, KEEP).ring
        assert keys.adopt(publish(ROOT, ring, NOW), NOW)
        assert keys.ring(NOW).verify == ring.verify
        assert not keys.adopt(publish(ROOT, ring, NOW), NOW), "nothing new"
        for nonsense in ("", "x", publish(OTHER, OTHER, NOW)):
            assert not keys.adopt(nonsense, NOW)
        assert keys.ring(NOW).verify == ring.verify, "what was known stays"

    def test_an_old_set_is_not_put_back(self) -> None:
        """The root signed it; but a key of it was compromised since, and the store may be written by others."""
        keys = LiveKeys(ROOT.public_only())
        old = publish(ROOT, Rotation(ROOT).rotated(NOW, LEAD, KEEP).ring, NOW)
        new = publish(ROOT, Rotation.replaced(NOW + 10).ring, NOW + 10)
        assert keys.adopt(old, NOW)
        assert keys.adopt(new, NOW + 10)
        ring = keys.ring(NOW + 10)
        assert not keys.adopt(old, NOW + 11)
        assert keys.ring(NOW + 11) == ring
        assert keys.adopt(publish(ROOT, Rotation.replaced(NOW + 20).ring, NOW + 20), NOW + 20)

    @pytest.mark.parametrize("iat", [None, "x", [], {}])
    def test_a_set_that_does_not_say_when_it_was_signed(self, iat: object) -> None:
        kid, key = ROOT.signer()
        payload = {"keys": ROOT.public_only().stored()} | ({} if iat is None else {"iat": iat})
        text = jwt.encode(payload, key, algorithm="EdDSA", headers={"kid": kid, "typ": "keys+jwt"})
        assert read_published(ROOT.public_only(), text, NOW) is None

    def test_a_clock_that_was_set_back_stops_no_rotation(self) -> None:
        maker, gateway = LiveKeys(ROOT), LiveKeys(ROOT.public_only())
        first = maker.publish(Rotation(ROOT).rotated(NOW, LEAD, KEEP).ring, NOW)
        assert gateway.adopt(first, NOW)
        replaced = Rotation.replaced(NOW - 600)
        assert gateway.adopt(maker.publish(replaced.ring, NOW - 600), NOW)
        assert gateway.ring(NOW).verify == replaced.ring.verify

    def test_nor_does_a_maker_that_began_anew(self) -> None:
        """It has seen what the process before it published."""
        gateway, again = LiveKeys(ROOT.public_only()), LiveKeys(ROOT)
        first = LiveKeys(ROOT).publish(Rotation(ROOT).rotated(NOW, LEAD, KEEP).ring, NOW)
        assert gateway.adopt(first, NOW)
        assert not again.adopt(first, NOW - 600)
        assert gateway.adopt(again.publish(Rotation.replaced(NOW - 600).ring, NOW - 600), NOW)

    def test_who_makes_them_takes_none(self) -> None:
        keys = LiveKeys(ROOT)
        assert not keys.adopt(publish(ROOT, Rotation.replaced(NOW).ring, NOW), NOW)
        assert keys.ring(NOW) == ROOT
