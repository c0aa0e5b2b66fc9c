"""Signed messages, byte by byte as proto/golden has them, and what each end refuses (row 6.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from rayrealm_client import codec
from rayrealm_client.signing import (
    MAX_TRAILER,
    TO_CLIENT,
    TO_SERVER,
    Agreement,
    BadSignature,
    ClientSigner,
    Keys,
    Opener,
    Sealer,
    encode,
    ratchet,
    read_point,
)

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[3] / "proto/golden/signing.json").read_text())
READY = bytes.fromhex(GOLDEN["ready"])
STREAM: list[dict[str, Any]] = GOLDEN["stream"]
KEY = bytes(32)


def agreement(who: str) -> Agreement:
    secret = int(GOLDEN[who]["private"], 16)
    return Agreement(ec.derive_private_key(secret, ec.SECP256R1()))


def both() -> tuple[Keys, Keys]:
    """As each end finds them."""
    session, attach = GOLDEN["session_id"], GOLDEN["attach"]
    client, server = agreement("client"), agreement("server")
    return (
        client.as_client(read_point(GOLDEN["server"]["public"]), READY, session, attach),
        server.as_server(read_point(GOLDEN["client"]["public"]), READY, session, attach),
    )


def said(line: dict[str, Any]) -> bytes | str:
    data = bytes.fromhex(line["signed"])
    return data if line["kind"] == "binary" else data.decode()


def a_client() -> ClientSigner:
    client = ClientSigner(agreement("client"))
    (notice,) = codec.decode(READY)
    assert isinstance(notice, codec.Notification)
    client.agree(READY, notice.params["session_id"], notice.params["signing"])
    return client


class TestGolden:
    def test_both_ends_find_the_keys(self) -> None:
        for keys in both():
            client, server, at = keys.client, keys.server, 0
            for line in GOLDEN["keys"]:
                while at < line["rotations"]:
                    client, server, at = ratchet(client), ratchet(server), at + 1
                assert (client.hex(), server.hex()) == (line["client"], line["server"])

    def test_a_client_signs_and_believes(self) -> None:
        client = a_client()
        assert client.offer == GOLDEN["client"]["public"]
        for line in STREAM:
            message = bytes.fromhex(line["message"])
            plain: bytes | str = message if line["kind"] == "binary" else message.decode()
            if line["from"] == "client":
                assert client.seal(plain) == said(line)
            else:
                assert client.open(said(line)) == plain

    def test_a_server_signs_and_believes(self) -> None:
        keys = both()[1]
        sealer, opener = Sealer(keys.server, TO_CLIENT), Opener(keys.client, TO_SERVER, follows=False)
        for line in STREAM:
            message, signed = bytes.fromhex(line["message"]), bytes.fromhex(line["signed"])
            binary = line["kind"] == "binary"
            if line["from"] == "client":
                assert (opener.binary(signed) if binary else opener.text(signed)) == message
                continue
            if line["key_id"] > sealer.key_id:
                sealer.rotate()
                opener.rotate(30.0)
            assert (sealer.binary(message) if binary else sealer.text(message)) == signed

    @pytest.mark.parametrize("line", GOLDEN["refused"], ids=[line["name"] for line in GOLDEN["refused"]])
    def test_refuses(self, line: dict[str, Any]) -> None:
        client = a_client()
        for before in STREAM[: line["at"]]:
            if before["from"] == line["from"]:
                client.open(said(before))
        with pytest.raises(BadSignature) as raised:
            client.open(said(line))
        assert raised.value.reason == line["reason"]


class TestAgreement:
    @pytest.mark.parametrize(
        "text",
        [
            "", "A", "not a key", "BA", GOLDEN["client"]["public"][:-1], GOLDEN["client"]["public"] + "=",
            encode(b"\x04" + bytes(64)),  # not on the curve
            encode(b"\x00"),  # the point at infinity
            encode(b"\x02" + read_point(GOLDEN["client"]["public"])[1:33]),  # compressed
            encode(b"\x05" + read_point(GOLDEN["client"]["public"])[1:]),
        ],
    )  # fmt: skip
    def test_what_is_no_point_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            read_point(text)

    @pytest.mark.parametrize("changed", ["ready", "session", "attach", "client", "server"])
    def test_the_keys_are_of_one_socket(self, changed: str) -> None:
        client, server = Agreement(), Agreement()
        keys = server.as_server(client.public, READY, "ses_1", 1)
        assert client.as_client(server.public, READY, "ses_1", 1) == keys
        other = Agreement().public
        assert (
            client.as_client(
                other if changed == "server" else server.public,
                READY + b" " if changed == "ready" else READY,
                "ses_2" if changed == "session" else "ses_1",
                2 if changed == "attach" else 1,
            )
            if changed != "client"
            else Agreement().as_client(server.public, READY, "ses_1", 1)
        ) != keys
        assert keys.client != keys.server

    @pytest.mark.parametrize(
        "signing",
        [{}, {"public": 1, "attach": 1, "key_id": 0}, {"public": GOLDEN["server"]["public"], "attach": True, "key_id": 0},
         {"public": GOLDEN["server"]["public"], "attach": 1, "key_id": 1}, {"public": "AAAA", "attach": 1, "key_id": 0}],
    )  # fmt: skip
    def test_an_offer_of_another_shape_is_refused(self, signing: dict[str, Any]) -> None:
        client = ClientSigner()
        with pytest.raises(ValueError, match=r"."):
            client.agree(READY, "ses_1", signing)
        with pytest.raises(BadSignature):
            client.seal(b"too early")
        with pytest.raises(BadSignature):
            client.open(b"too early")

    def test_keys_are_not_shown(self) -> None:
        keys = Keys(b"client's", b"server's")
        assert "client's" not in repr(keys)
        assert "server's" not in repr(keys)


class TestRotation:
    def test_the_former_key_counts_for_a_while(self) -> None:
        late, opener = Sealer(KEY, TO_SERVER), Opener(KEY, TO_SERVER, follows=False)
        opener.rotate(30.0)
        assert opener.binary(late.binary(b"on its way"), 29.9) == b"on its way"
        with pytest.raises(BadSignature, match="unknown_key"):
            opener.binary(late.binary(b"too late"), 30.0)

    def test_who_has_the_new_key_is_not_believed_by_the_former(self) -> None:
        sealer, opener = Sealer(KEY, TO_SERVER), Opener(KEY, TO_SERVER, follows=False)
        opener.rotate(30.0)
        former = Sealer(KEY, TO_SERVER)
        former.sequence = 1
        sealer.rotate()
        opener.binary(sealer.binary(b"new"), 1.0)
        with pytest.raises(BadSignature, match="unknown_key"):
            opener.binary(former.binary(b"old"), 1.0)

    def test_a_client_does_not_decide(self) -> None:
        sealer, opener = Sealer(KEY, TO_SERVER), Opener(KEY, TO_SERVER, follows=False)
        sealer.rotate()
        with pytest.raises(BadSignature, match="unknown_key"):
            opener.binary(sealer.binary(b"by a key that nobody said"))

    def test_a_key_id_comes_again_with_another_key(self) -> None:
        """After 256 rotations the id is the same; the key is not, and the sequence went on."""
        sealer, opener = Sealer(KEY, TO_CLIENT), Opener(KEY, TO_CLIENT, follows=True)
        first = sealer.binary(b"first")
        assert opener.binary(first) == b"first"
        for _ in range(256):
            sealer.rotate()
            opener.binary(sealer.binary(b"next"))
        assert (sealer.key_id, opener.key_id) == (0, 0)
        with pytest.raises(BadSignature, match="bad_mac"):
            opener.binary(first)

    def test_a_forged_new_key_changes_nothing(self) -> None:
        sealer, opener = Sealer(KEY, TO_CLIENT), Opener(KEY, TO_CLIENT, follows=True)
        forged = Sealer(bytes(31) + b"\1", TO_CLIENT)
        forged.rotate()
        with pytest.raises(BadSignature, match="bad_mac"):
            opener.binary(forged.binary(b"x"))
        assert opener.key_id == 0
        assert opener.binary(sealer.binary(b"still")) == b"still"


def test_frames_that_the_gateway_threw_away_leave_gaps_and_nothing_else_does() -> None:
    sealer, opener = Sealer(KEY, TO_SERVER), Opener(KEY, TO_SERVER, follows=False)
    sealer.binary(b"thrown away")
    opener.skip()
    assert opener.binary(sealer.binary(b"read")) == b"read"
    sealer.binary(b"stolen on the way")
    with pytest.raises(BadSignature, match="missing"):
        opener.binary(sealer.binary(b"read"))


@pytest.mark.parametrize("message", [b"", b"x" * 65_536])
def test_trailers_are_no_longer_than_said(message: bytes) -> None:
    sealer = Sealer(KEY, TO_SERVER)
    sealer.sequence = 2**53 - 3
    sealer.key_id = 255
    assert len(sealer.text(message)) - len(message) == MAX_TRAILER
    assert len(sealer.binary(message)) - len(message) == 43
