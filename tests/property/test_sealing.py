"""Whatever is done to a sealed message on its way, it is opened as it was said, by whom it was meant for, or not at all."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from cluster.security.sealed_items import BadItem, suite_of
from rayrealm_client.key_file import Keyring
from rayrealm_client.key_records import (
    DEVICE,
    ECDH,
    ENC,
    IDENTITY,
    MAX_VERSION,
    RSA,
    SUITES,
    BadRecord,
    read_device,
    read_identity,
    sealing_key,
    sign,
)
from rayrealm_client.sealing import (
    MOST_AGE_S,
    MOST_AHEAD_S,
    PAD_TO,
    BadSeal,
    Curve,
    OwnKeys,
    Pin,
    current_devices,
    pinned,
    read,
    safety_number,
    say,
    seal,
    unseal,
)

NOW = 1_800_000_000.0
CURVES: tuple[Curve, ...] = ("X25519", "P-256")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=500)
POINTS = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "d"]), st.sampled_from(["EC", "OKP", "P-256", "X25519", "A" * 43])
)
PLACES = st.integers(min_value=0, max_value=10**6)


@cache
def person(name: str, curve: Curve = "X25519") -> OwnKeys:
    return OwnKeys.create(f"usr_{name}", NOW, curve=curve, rsa_bits=2_048)


def opened(jwe: str, keys: OwnKeys, sender: OwnKeys, now: float = NOW) -> str:
    return read(unseal(jwe, keys), sender.identity, keys.user_id, now).text


def item(text: str = "hello", suite: str = ECDH, to: OwnKeys | None = None, at: float = NOW) -> str:
    receiver = to or person("bob")
    sealed: str = seal(say(person("ann"), receiver.user_id, text, "id", at), receiver.device, suite)["jwe"]
    return sealed


class TestMessages:
    @pytest.mark.parametrize("suite", SUITES)
    @pytest.mark.parametrize("curve", CURVES)
    @given(text=TEXTS)
    def test_what_is_sealed_is_opened(self, suite: str, curve: Curve, text: str) -> None:
        bob = person("bob", curve)
        jwe = item(text, suite, bob)
        assert suite_of(jwe, bob.device.device, bob.device.version) == suite
        assert opened(jwe, bob, person("ann")) == text
        assert len(jwe) <= 8_192, "settings.sealed.max_message has room for what may be said"

    def test_lengths_tell_little(self) -> None:
        assert len({len(item("a" * length)) for length in range(0, 2 * PAD_TO, 5)}) <= 3

    @pytest.mark.parametrize("suite", SUITES)
    @given(place=PLACES, by=st.integers(min_value=1, max_value=63))
    def test_nothing_in_it_can_be_changed(self, suite: str, place: int, by: int) -> None:
        jwe, digits = item(suite=suite), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        place %= len(jwe)
        if jwe[place] == ".":
            changed = jwe[:place] + "A" + jwe[place + 1 :]
        else:
            changed = jwe[:place] + digits[(digits.index(jwe[place]) + by) % 64] + jwe[place + 1 :]
        try:
            assert opened(changed, person("bob"), person("ann")) == "hello"
        except BadSeal:
            return
        # The last digit of a part may have bits that mean nothing (RFC 4648, section 3.5): the bytes are the same.
        assert [_decoded(part) for part in changed.split(".")] == [_decoded(part) for part in jwe.split(".")]

    @pytest.mark.parametrize("suite", SUITES)
    @given(first=PLACES, second=PLACES)
    def test_parts_of_two_messages_make_no_third(self, suite: str, first: int, second: int) -> None:
        one, other = item("one", suite).split("."), item("two", suite).split(".")
        mixed = [(one, other)[((first >> part) ^ (second >> part)) & 1][part] for part in range(5)]
        if mixed in (one, other):
            return
        with pytest.raises(BadSeal, match="cannot_open"):
            opened(".".join(mixed), person("bob"), person("ann"))

    @pytest.mark.parametrize("suite", SUITES)
    def test_another_device_of_the_same_user_cannot_open_it(self, suite: str) -> None:
        bob = person("bob")
        desk = bob.another(NOW, rsa_bits=2_048)
        with pytest.raises(BadSeal, match="not_for_this_device"):
            unseal(item(suite=suite), desk)
        renamed = replace(desk, device=replace(desk.device, device=bob.device.device, version=bob.device.version))
        with pytest.raises(BadSeal, match="cannot_open"):
            unseal(item(suite=suite), renamed)

    @pytest.mark.parametrize("suite", SUITES)
    def test_keys_of_a_former_version_open_nothing(self, suite: str) -> None:
        with pytest.raises(BadSeal, match="not_for_this_device"):
            unseal(item(suite=suite), person("bob").renumbered(device=2))

    def test_a_receiver_cannot_pass_it_on_as_the_sender(self) -> None:
        """Who opens it has what the sender signed, and may seal that for somebody else."""
        eve = person("eve")
        passed_on = seal(unseal(item(), person("bob")), eve.device)["jwe"]
        with pytest.raises(BadSeal, match="wrong_receiver"):
            opened(passed_on, eve, person("ann"))

    def test_nobody_speaks_for_somebody_else(self) -> None:
        eve, bob = person("eve"), person("bob")
        own = seal(say(eve, "usr_bob", "I am Ann", "id", NOW), bob.device)["jwe"]
        with pytest.raises(BadSeal, match="bad_signature"):
            opened(own, bob, person("ann"))
        claims = {"from": "usr_ann", "to": "usr_bob", "id": "id", "at": NOW, "text": "I am Ann"}
        forged = seal(sign("rayrealm-message", claims, eve.signing), bob.device)["jwe"]
        with pytest.raises(BadSeal, match="wrong_sender"):
            opened(forged, bob, eve)

    @pytest.mark.parametrize("kind", [IDENTITY, DEVICE, "JWT", ""])
    def test_what_was_signed_for_something_else_is_no_message(self, kind: str) -> None:
        ann, bob = person("ann"), person("bob")
        claims = {"from": "usr_ann", "to": "usr_bob", "id": "id", "at": NOW, "text": "hello"}
        with pytest.raises(BadSeal, match="bad_signature"):
            opened(seal(sign(kind, claims, ann.signing), bob.device)["jwe"], bob, ann)

    @given(late=st.floats(-2 * MOST_AGE_S, 2 * MOST_AGE_S))
    def test_old_messages_are_not_read_again(self, late: float) -> None:
        jwe = item()
        if -MOST_AHEAD_S <= late <= MOST_AGE_S:
            assert opened(jwe, person("bob"), person("ann"), NOW + late) == "hello"
        else:
            with pytest.raises(BadSeal, match="wrong_time"):
                opened(jwe, person("bob"), person("ann"), NOW + late)

    @given(
        claims=st.dictionaries(
            st.sampled_from(["from", "to", "id", "at", "text"]),
            st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.lists(st.integers(), max_size=2),
        )
    )
    def test_claims_of_other_shapes(self, claims: dict[str, Any]) -> None:
        ann, bob = person("ann"), person("bob")
        given_ = {"from": "usr_ann", "to": "usr_bob", "id": "id", "at": NOW, "text": "hello"} | claims
        jwe = seal(sign("rayrealm-message", given_, ann.signing), bob.device)["jwe"]
        try:
            found = read(unseal(jwe, bob), ann.identity, "usr_bob", NOW)
        except BadSeal:
            return
        assert (found.sender, found.to, found.text, found.message_id) == (
            "usr_ann",
            "usr_bob",
            given_["text"],
            given_["id"],
        )


class TestItems:
    """What the realm lets through, which opens nothing."""

    @given(text=st.text(max_size=200))
    def test_anything(self, text: str) -> None:
        with pytest.raises(BadItem):
            suite_of(text, "dev_1", 1)

    @given(
        header=st.dictionaries(
            st.sampled_from(["alg", "enc", "kid", "epk", "zip", "crit", "p2c", "x"]),
            st.sampled_from([RSA, ECDH, ENC, "dev_1.1", "RSA1_5", "none", "dir", "A128CBC-HS256", "DEF"])
            | st.integers()
            | POINTS,
        )
    )
    def test_headers(self, header: dict[str, Any]) -> None:
        good = {
            frozenset({("alg", RSA), ("enc", ENC), ("kid", "dev_1.1")}): 342,
            frozenset({("alg", ECDH), ("enc", ENC), ("kid", "dev_1.1")}): 54,
        }
        for length in (54, 342):
            jwe = ".".join((_encoded(header), "A" * length, "A" * 16, "AAAA", "A" * 22))
            try:
                suite = suite_of(jwe, "dev_1", 1)
            except BadItem:
                continue
            flat = frozenset((name, value) for name, value in header.items() if name != "epk")
            assert good[flat] == length
            assert ("epk" in header) == (suite == ECDH)

    def test_items_for_another_device_or_version(self) -> None:
        device = person("bob").device
        for other, version in (("dev_other", device.version), (device.device, 2)):
            with pytest.raises(BadItem, match="wrong_device"):
                suite_of(item(), other, version)


class TestRecords:
    @given(place=PLACES, by=st.integers(min_value=1, max_value=255))
    def test_nothing_in_them_can_be_changed(self, place: int, by: int) -> None:
        bob = person("bob")
        record = bob.device.record
        header, payload, signature = record.split(".")
        whole = bytearray(_decoded(payload))
        whole[place % len(whole)] ^= by
        changed = ".".join((header, base64.urlsafe_b64encode(whole).rstrip(b"=").decode(), signature))
        with pytest.raises(BadRecord):
            read_device(changed, bob.identity)

    @given(record=st.text(max_size=100) | st.text("Aa0-_.", max_size=100))
    def test_anything(self, record: str) -> None:
        with pytest.raises(BadRecord):
            read_identity(record, "usr_bob")
        with pytest.raises(BadRecord):
            read_device(record, person("bob").identity)

    @given(version=st.none() | st.integers() | st.floats() | st.booleans() | st.text(max_size=3))
    def test_versions(self, version: Any) -> None:
        bob = person("bob")
        claims = {"user_id": "usr_bob", "version": version, "key": bob.signing.as_dict(private=False)}
        good = type(version) is int and 1 <= version <= MAX_VERSION
        record = sign(IDENTITY, claims, bob.signing)
        if good:
            assert read_identity(record, "usr_bob").version == version
        else:
            with pytest.raises(BadRecord, match=r"bad_version|malformed"):
                read_identity(record, "usr_bob")

    def test_somebody_else_s(self) -> None:
        ann, bob = person("ann"), person("bob")
        for record, user in ((ann.identity.record, "usr_bob"), (bob.identity.record, "usr_ann")):
            with pytest.raises(BadRecord, match="wrong_user"):
                read_identity(record, user)
        with pytest.raises(BadRecord, match="bad_signature"):
            read_device(bob.device.record, ann.identity)
        claims = {"user_id": "usr_bob", "device": "dev_1", "version": 1, "created_at": 1, "keys": bob.device.keys}
        with pytest.raises(BadRecord, match="wrong_user"):
            read_device(sign(DEVICE, claims, ann.signing), ann.identity)

    def test_keys_that_are_none(self) -> None:
        rsa, point = person("bob").device.keys[RSA], person("bob").device.keys[ECDH]
        small = RSAKey.generate_key(2_048).as_dict(private=False)
        bad: list[tuple[str, Any]] = [
            (RSA, point),
            (ECDH, rsa),
            ("RSA1_5", rsa),
            (RSA, None),
            (RSA, {**rsa, "e": "Aw"}),
            (RSA, {**small, "n": small["n"][:-10]}),
            (RSA, {**rsa, "n": "A" * 342}),
            (RSA, {**rsa, "n": str(rsa["n"]) * 3}),
            (RSA, RSAKey.generate_key(2_048).as_dict(private=True)),
            (ECDH, {**point, "x": "A" * 43}),
            (ECDH, {**point, "crv": "Ed25519"}),
            (ECDH, {**point, "use": "enc"}),
            (ECDH, OKPKey.generate_key("X448").as_dict(private=False)),
            (ECDH, OKPKey.generate_key("X25519").as_dict(private=True)),
            (ECDH, ECKey.generate_key("P-384").as_dict(private=False)),
            (ECDH, {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}),
        ]
        for suite, key in bad:
            with pytest.raises(BadRecord):
                sealing_key(suite, key)


class TestTrust:
    def test_the_first_one_is_pinned_and_another_one_is_not_believed(self) -> None:
        bob, other = person("bob"), OwnKeys.create("usr_bob", NOW, suites=[ECDH])
        pin = replace(pinned(None, bob.identity), verified=True)
        changed = pinned(pin, other.identity)
        assert (changed.thumbprint, changed.changed, changed.verified) == (
            bob.identity.thumbprint,
            other.identity.thumbprint,
            True,
        )
        assert pinned(changed, bob.identity) == pin

    @given(versions=st.lists(st.integers(min_value=1, max_value=6), min_size=1, max_size=8))
    def test_a_realm_cannot_go_back_to_former_keys(self, versions: list[int]) -> None:
        bob, pin, newest = person("bob"), Pin(person("bob").identity.thumbprint, 1), 0
        for version in versions:
            record = _device(version)
            pin, devices = current_devices(pin, bob.identity, [record, "forged", person("ann").device.record])
            assert [each.version for each in devices.values()] == ([version] if version >= newest else [])
            newest = max(newest, version)
            assert pin.devices == {bob.device.device: newest}

    def test_safety_numbers(self) -> None:
        ann, bob, eve = (person(name).identity for name in ("ann", "bob", "eve"))
        assert safety_number(ann, bob) == safety_number(bob, ann)
        assert len({safety_number(*two) for two in ((ann, bob), (ann, eve), (bob, eve))}) == 3
        assert [len(group) for group in safety_number(ann, bob).split()] == [5] * 6

    def test_what_was_read_is_forgotten_when_it_is_too_old_to_come_again(self) -> None:
        ring = Keyring(person("bob"))
        ring.mark_read({"a": NOW}, NOW)
        ring.mark_read({"b": NOW + MOST_AGE_S}, NOW + MOST_AGE_S)
        assert list(ring.read) == ["a", "b"]
        ring.mark_read({}, NOW + MOST_AGE_S + 1.0)
        assert list(ring.read) == ["b"]
        again = Keyring.from_json(json.loads(json.dumps(ring.to_json())))
        assert (again.read, again.keys.device, again.pins) == (ring.read, ring.keys.device, {})
        assert opened(item(), again.keys, person("ann")) == "hello"


@cache
def _device(version: int) -> str:
    return person("bob").renumbered(device=version).device.record


def _encoded(header: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_keys_are_not_shown() -> None:
    assert "signing" not in repr(person("ann"))
