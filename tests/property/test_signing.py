"""Signed sockets, whatever is said on them: honest streams pass, and nothing that was touched is ever believed (row 6.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.signing import TO_CLIENT, TO_SERVER, Agreement, BadSignature, Keys, Opener, Sealer

# Texts here are as JSON is, or not at all: the trailer does not ask.
messages = st.tuples(st.booleans(), st.binary(max_size=80) | st.just(b"s1") | st.just(b"\ns1.0.1."))
steps = st.lists(messages | st.just("rotate"), max_size=30)
KEYS = Keys(bytes(range(32)), bytes(range(32, 64)))


class End:
    """One end of a socket. `rotate`: of a server."""

    def __init__(self, server: bool, keys: Keys = KEYS) -> None:
        speaks, hears = (TO_CLIENT, TO_SERVER) if server else (TO_SERVER, TO_CLIENT)
        mine, theirs = (keys.server, keys.client) if server else (keys.client, keys.server)
        self.sealer, self.opener = Sealer(mine, speaks), Opener(theirs, hears, follows=not server)

    def say(self, message: tuple[bool, bytes]) -> tuple[bool, bytes]:
        text, data = message
        return text, self.sealer.text(data) if text else self.sealer.binary(data)

    def hear(self, signed: tuple[bool, bytes], now: float = 0.0) -> bytes:
        text, data = signed
        heard = self.opener.text(data, now) if text else self.opener.binary(data, now)
        if self.opener._follows and self.opener.key_id != self.sealer.key_id:
            self.sealer.rotate()
        return heard

    def rotate(self, until: float) -> None:
        self.sealer.rotate()
        self.opener.rotate(until)


def spoken(script: list[tuple[bool, bytes] | str]) -> tuple[list[tuple[bool, bytes]], list[bytes]]:
    """What a server says, signed, over rotations; and what it meant."""
    server = End(True)
    signed, meant = [], []
    for step in script:
        if isinstance(step, str):
            server.rotate(1.0)
            step = (False, b"security.key.rotated")
        signed.append(server.say(step))
        meant.append(step[1])
    return signed, meant


@given(steps)
def test_what_a_server_says_is_heard(script: list[tuple[bool, bytes] | str]) -> None:
    signed, meant = spoken(script)
    client = End(False)
    assert [client.hear(frame) for frame in signed] == meant
    assert client.sealer.key_id == script.count("rotate") % 256


@given(steps, st.data())
def test_both_talk_while_keys_change(script: list[tuple[bool, bytes] | str], data: st.DataObject) -> None:
    """Messages are on their way in both directions, each in order, and are read at any moment; nothing honest is refused."""
    server, client = End(True), End(False)
    down: list[tuple[tuple[bool, bytes], bytes]] = []
    up: list[tuple[tuple[bool, bytes], bytes]] = []
    for step in script:
        if isinstance(step, str):
            # A key is used for longer than the former one counts: the client knows it, and what was said before has come.
            for listener, way in ((client, down), (server, up)):
                while way:
                    signed, meant = way.pop(0)
                    assert listener.hear(signed) == meant
            server.rotate(1.0)
            down.append((server.say((False, b"rotated")), b"rotated"))
        else:
            speaker, way = (server, down) if data.draw(st.booleans()) else (client, up)
            way.append((speaker.say(step), step[1]))
        for listener, way in ((client, down), (server, up)):
            for _ in range(data.draw(st.integers(0, len(way)))):
                signed, meant = way.pop(0)
                assert listener.hear(signed) == meant
    for listener, way in ((client, down), (server, up)):
        for signed, meant in way:
            assert listener.hear(signed) == meant


@given(messages, st.data())
def test_no_bit_can_be_changed(message: tuple[bool, bytes], data: st.DataObject) -> None:
    text, signed = End(True).say(message)
    bit = data.draw(st.integers(0, 8 * len(signed) - 1))
    changed = bytearray(signed)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        End(False).hear((text, bytes(changed)))


@given(messages, st.data())
def test_nothing_can_be_cut_off_or_added(message: tuple[bool, bytes], data: st.DataObject) -> None:
    text, signed = End(True).say(message)
    added = data.draw(st.binary(min_size=1, max_size=8))
    cut = data.draw(st.integers(1, len(signed)))
    for changed in (signed[:-cut], signed[cut:], signed + added, added + signed):
        if changed != signed:
            with pytest.raises(BadSignature):
                End(False).hear((text, changed))


@given(st.lists(messages | st.just("rotate"), min_size=2, max_size=12), st.data())
def test_order_is_part_of_it(script: list[tuple[bool, bytes] | str], data: st.DataObject) -> None:
    """Whatever is taken out, repeated or moved: the first message that is not the next one is refused."""
    signed, meant = spoken(script)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.integers(0, len(signed) - 1).filter(lambda index: index != at))
    client = End(False)
    for index in range(at):
        assert client.hear(signed[index]) == meant[index]
    with pytest.raises(BadSignature):
        client.hear(signed[other])


@given(messages)
def test_nothing_comes_back(message: tuple[bool, bytes]) -> None:
    """What one end said is not what the other end said; nor is binary text, or text binary."""
    text, signed = End(True).say(message)
    with pytest.raises(BadSignature):
        End(True).hear((text, signed))
    with pytest.raises(BadSignature):
        End(False).hear((not text, signed))
    same_keys = Keys(KEYS.client, KEYS.client)
    text, signed = End(True, same_keys).say(message)
    with pytest.raises(BadSignature):
        End(True, same_keys).hear((text, signed))


@given(messages, st.binary(max_size=20), st.binary(max_size=20), st.integers(1, 3), st.integers(1, 3))
def test_nothing_counts_on_another_socket(
    message: tuple[bool, bytes], ready: bytes, other_ready: bytes, attach: int, other_attach: int
) -> None:
    """The same two private keys, and still another socket: by its session.ready, or by its attach."""
    client, server = CLIENT, SERVER
    there = server.as_server(client.public, ready, "ses_1", attach)
    here = client.as_client(server.public, other_ready, "ses_1", other_attach)
    signed = End(True, there).say(message)
    if (ready, attach) == (other_ready, other_attach):
        assert End(False, here).hear(signed) == message[1]
    else:
        with pytest.raises(BadSignature):
            End(False, here).hear(signed)


@given(st.booleans(), st.binary(max_size=200))
def test_anything_is_read_or_refused(text: bool, data: bytes) -> None:
    with pytest.raises(BadSignature):
        End(False).hear((text, data))


CLIENT, SERVER = Agreement(), Agreement()
