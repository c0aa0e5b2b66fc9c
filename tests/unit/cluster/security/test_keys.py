from __future__ import annotations

import json
import os
import pickle
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.errors import Ours, StartRefused
from cluster.security.keys import KeyRing, thumbprint

NOW = 1_800_000_000.5
# RFC 8037, appendix A.2 and A.3.
RFC_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
RFC_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


def test_a_kid_is_the_thumbprint_of_rfc_7638() -> None:
    assert thumbprint(RFC_PUBLIC) == RFC_THUMBPRINT


class TestFile:
    def test_it_survives_a_restart(self, path: Path) -> None:
        made = KeyRing.load_or_create(path, NOW)
        assert KeyRing.load_or_create(path, NOW + 1) == made
        assert made.verify[0].created_at == NOW

    def test_nobody_else_may_read_it(self, path: Path) -> None:
        before = os.umask(0)
        try:
            KeyRing.load_or_create(path, NOW)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
    def test_one_that_others_may_read_is_refused(self, path: Path, mode: int) -> None:
        KeyRing.load_or_create(path, NOW)
        path.chmod(mode)
        with pytest.raises(StartRefused, match="chmod 600"):
            KeyRing.load_or_create(path, NOW)

    def test_no_draft_is_left_behind(self, path: Path) -> None:
        ring = KeyRing.load_or_create(path, NOW)
        ring.rotated(NOW, 60).save(path)
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def test_of_many_makers_at_once_one_wins(self, path: Path) -> None:
        barrier = threading.Barrier(8)
        rings: list[KeyRing] = []

        def make() -> None:
            barrier.wait(10)
            rings.append(KeyRing.load_or_create(path, NOW))

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(rings) == 8
        assert {ring.verify[0].kid for ring in rings} == {KeyRing.load_or_create(path, NOW).verify[0].kid}
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]

    def damage(self, document: dict[str, list[dict[str, object]]], how: str) -> object:
        (key,) = document["keys"]
        match how:
            case "no keys":
                document["keys"] = []
            case "no private key":
                del key["d"]
            case "two signers":
                document["keys"].append(key)
            case "halves of two pairs":
                key["d"] = key["x"]
            case "short key":
                key["x"] = "AAAA"
            case "another kid":
                key["kid"] = RFC_THUMBPRINT
            case "another curve":
                key["crv"] = "X25519"
            case "no number":
                key["iat"] = "yesterday"
            case "no time":
                key["exp"] = float("nan")
            case "a list":
                return [key]
        return document

    @pytest.mark.parametrize(
        "how",
        [
            "no keys",
            "no private key",
            "two signers",
            "halves of two pairs",
            "short key",
            "another kid",
            "another curve",
            "no number",
            "no time",
            "a list",
        ],
    )
    def test_a_damaged_one_stops_the_start_and_is_not_replaced(self, path: Path, how: str) -> None:
        KeyRing.load_or_create(path, NOW)
        document = json.loads(path.read_text())
        secret = document["keys"][0]["d"]
        path.write_text(json.dumps(self.damage(document, how)))
        damaged = path.read_bytes()
        with pytest.raises(StartRefused, match="no set of keys") as refused:
            KeyRing.load_or_create(path, NOW)
        assert path.read_bytes() == damaged
        assert secret not in str(refused.value)

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null"])
    def test_what_is_no_json_stops_the_start(self, path: Path, content: bytes) -> None:
        KeyRing.load_or_create(path, NOW)
        path.write_bytes(content)
        with pytest.raises(StartRefused):
            KeyRing.load_or_create(path, NOW)


class TestRing:
    def test_it_can_be_pickled(self) -> None:
        ring = KeyRing.create(NOW)
        assert pickle.loads(pickle.dumps(ring)) == ring  # noqa: S301  our own bytes

    def test_the_public_part_holds_no_secret(self) -> None:
        ring = KeyRing.create(NOW)
        assert ring.signing is not None
        public = ring.public_only()
        assert ring.signing.private not in pickle.dumps(public)
        assert public.verify == ring.verify
        with pytest.raises(Ours, match="no private key"):
            public.signer()

    def test_the_public_part_is_not_saved_over_the_whole(self, path: Path) -> None:
        ring = KeyRing.load_or_create(path, NOW)
        with pytest.raises(Ours):
            ring.public_only().save(path)
        assert KeyRing.load_or_create(path, NOW) == ring

    def test_printing_it_shows_no_secret(self) -> None:
        ring = KeyRing.create(NOW)
        assert ring.signing is not None
        assert repr(ring.signing.private) not in repr(ring)

    def test_the_jwk_set(self) -> None:
        ring = KeyRing.create(NOW)
        known = replace(ring.verify[0], public=RFC_PUBLIC, kid=RFC_THUMBPRINT)
        assert KeyRing((known,), ring.signing).jwks() == {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": RFC_X,
                    "kid": RFC_THUMBPRINT,
                    "use": "sig",
                    "alg": "EdDSA",
                }
            ]
        }

    def test_an_unknown_kid(self) -> None:
        assert KeyRing.create(NOW).verifier(RFC_THUMBPRINT, NOW) is None


class TestRotation:
    def test_a_new_key_signs_and_the_old_one_verifies_for_a_while(self, path: Path) -> None:
        old = KeyRing.load_or_create(path, NOW)
        new = old.rotated(NOW + 10, keep_s=900)
        old_kid, new_kid = old.signer()[0], new.signer()[0]
        assert old_kid != new_kid
        assert [key["kid"] for key in new.jwks()["keys"]] == [new_kid, old_kid]
        assert new.verifier(old_kid, NOW + 910) is not None
        assert new.verifier(old_kid, NOW + 911) is None
        assert new.verifier(new_kid, NOW + 1e6) is not None

    def test_it_survives_a_restart_and_the_old_secret_does_not(self, path: Path) -> None:
        old = KeyRing.load_or_create(path, NOW)
        new = old.rotated(NOW + 10, keep_s=900)
        new.save(path)
        assert KeyRing.load_or_create(path, NOW) == new
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [key["kid"] for key in json.loads(path.read_text())["keys"] if "d" in key] == [new.signer()[0]]

    def test_keys_whose_time_is_over_are_dropped(self) -> None:
        ring = KeyRing.create(NOW)
        for n in range(5):
            ring = ring.rotated(NOW + 1000 * n, keep_s=900)
        assert len(ring.verify) == 2
