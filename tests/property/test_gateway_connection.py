"""The connection machine and the framings, whatever a client sends: they never raise, and keep and say no more than they may."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cluster.settings import GatewaySettings
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.connection import Closing, Connection, Event, Moved, Nothing, Ping, Received
from serve_apps.gateway.faults import to_fault
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.messages import NO_ID, BadParams, Call, Code, Fault, Framing, Result
from serve_apps.gateway.typed import DECODERS, to_any, to_params
from tests.integration.fuzz import Fuzz

MAX_FRAME = 2_048
LIMITS = GatewaySettings(
    max_frame_bytes=MAX_FRAME, max_inflated_bytes=64 * 1024, max_errors_per_minute=1_000_000, idle_timeout_s=1_000.0
)
ROUTER = build_router()
CODES = {Code.PARSE_ERROR, Code.INVALID_REQUEST, Code.INVALID_PARAMS}
EVENTS = Moved | Received | Closing | Nothing

payloads = st.binary(max_size=80) | st.integers(0, MAX_FRAME + 10).map(bytes)
frames = st.tuples(st.sampled_from(["text", "binary", "continuation"]), payloads, st.booleans())
times = st.floats(0, 50)


def feed(connection: Connection, kind: str, payload: bytes, fin: bool, now: float) -> Event:
    event: Event = getattr(connection, kind)(payload, fin, now)
    assert isinstance(event, EVENTS)
    return event


class TestConnection:
    @settings(max_examples=200)
    @given(
        st.none() | st.sampled_from(Framing),
        st.none() | st.integers(0, 65_535),
        st.lists(st.tuples(times, frames | st.just("sweep") | st.just("alive")), max_size=12),
    )
    def test_it_takes_anything(self, framing: Framing | None, entity: int | None, steps: list[Any]) -> None:
        connection, now, received = Connection(framing, LIMITS, 0.0), 0.0, 0
        connection.entity = entity
        for wait, step in steps:
            now += wait
            if step == "sweep":
                due = connection.sweep(now)
                assert due is None or isinstance(due, Ping | Closing)
                continue
            if step == "alive":
                connection.alive(now)
                continue
            kind, payload, fin = step
            event = feed(connection, kind, payload, fin, now)
            received += len(payload)
            assert connection.bytes_in == received
            assert len(connection._partial or b"") <= MAX_FRAME
            if isinstance(event, Closing):
                assert event.reason.isascii()
                assert len(event.reason) < 124
                return
            assert isinstance(event, Nothing) is not fin
            assert (connection._partial is None) is fin
            if framing is not None:
                assert connection.framing is framing

    @given(st.data(), st.integers(0, 10_000), st.booleans())
    def test_fragments_mean_what_the_whole_means(self, data: st.DataObject, seed: int, text: bool) -> None:
        fuzz = Fuzz(seed, "chr_1")
        payload = (fuzz.json() if text else fuzz.proto())[: MAX_FRAME - 1]
        kind = "text" if text else "binary"
        whole, parts = Connection(None, LIMITS, 0.0), Connection(None, LIMITS, 0.0)
        whole.entity = parts.entity = 3
        expected = feed(whole, kind, payload, True, 0.0)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), min_size=1, max_size=4)))
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        event = feed(parts, kind, pieces[0], False, 0.0)
        for n, piece in enumerate(pieces[1:], 2):
            assert isinstance(event, Nothing)
            parts.alive(0.0)  # control frames may come between
            event = feed(parts, "continuation", piece, n == len(pieces), 0.0)
        assert repr(event) == repr(expected)  # which takes one nan for another
        assert (whole.messages_in, whole.bytes_in) == (parts.messages_in, parts.bytes_in)

    def test_a_long_run_of_damaged_frames(self) -> None:
        """Seeded, so that a failure comes back: thousands of frames on one connection, in and out of the world."""
        rng, fuzz = random.Random(5), Fuzz(5, "chr_1")
        connection, kinds = Connection(None, LIMITS, 0.0), set()
        for n in range(5_000):
            connection.entity = rng.choice([None, 7])
            text = rng.random() < 0.5
            payload = fuzz.json() if text else fuzz.proto()
            if rng.random() < 0.3:
                payload = fuzz.damaged(payload)
            event = feed(connection, "text" if text else "binary", payload, True, n / 100)
            kinds.add(type(event))
            if isinstance(event, Received):
                assert event.decoded.items
                assert len(event.decoded.items) <= LIMITS.max_batch
                for item in event.decoded.items:
                    if isinstance(item, Fault):
                        assert item.code in CODES
                    else:
                        orjson.dumps(item.params)
            elif isinstance(event, Closing):
                assert event.code in (1007, 1009)
        assert kinds == {Moved, Received, Closing}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


class TestIds:
    @given(
        st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.none(),
        st.fixed_dictionaries({}, optional={"method": json_values, "params": json_values, "jsonrpc": json_values}),
    )
    def test_whatever_else_is_wrong_an_id_that_can_be_read_comes_back(self, request_id: Any, wrong: Any) -> None:
        request = {"jsonrpc": "2.0", "method": "m", "params": {}, **wrong, "id": request_id}
        try:
            payload = orjson.dumps(request)
        except TypeError:  # half a surrogate pair
            return
        (item,) = json_framing.decode(payload, 50).items
        answer = Result({}, item.id) if isinstance(item, Call) and item.id is not NO_ID else item
        assert isinstance(answer, Result | Fault)
        said = orjson.loads(json_framing.encode_answers([answer], False))
        assert said["id"] == request_id
        assert type(said["id"]) is type(orjson.loads(orjson.dumps(request_id)))


class TestTyped:
    @given(st.sampled_from(sorted(DECODERS)), st.binary(max_size=60))
    def test_any_bytes_are_plain_json_or_refused(self, url: str, data: bytes) -> None:
        try:
            params = to_params(url, data)
        except BadParams:
            return
        assert isinstance(params, dict)
        assert json_framing.encode_answers([Result({"params": params}, 1)], False)
        assert proto_framing.encode_answers([Result({"params": params}, 1)], False)

    @given(st.text(max_size=200), st.binary(max_size=20))
    def test_any_type_is_known_or_refused_shortly(self, url: str, data: bytes) -> None:
        if url not in DECODERS:
            with pytest.raises(BadParams) as bad:
                to_params(url, data)
            assert len(bad.value.reason) < 1_000

    @given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), json_values, max_size=4))
    def test_what_goes_out_comes_back(self, params: dict[str, Any]) -> None:
        try:
            packed = to_any(params)
        except UnicodeEncodeError:
            return
        assert to_params(packed.type_url, packed.value) == params


def check(item: Call) -> Fault | None:
    """What the router says of a call before its handler runs."""
    route = ROUTER._routes.get(item.method)
    if route is None:
        return Fault(Code.METHOD_NOT_FOUND, {"method": item.method}, item.id)
    try:
        route.params.model_validate(item.params)
    except ValidationError as error:
        return to_fault(error, item.id, item.method)
    return None


class TestWhatIsSaidOfIt:
    @pytest.mark.parametrize("framing", list(Framing))
    def test_errors_are_not_much_longer_than_what_they_are_about(self, framing: Framing) -> None:
        """An error must not be a way to make the realm send much for little."""
        fuzz, module = Fuzz(11, "chr_1"), json_framing if framing is Framing.JSON else proto_framing
        faults = 0
        for _ in range(3_000):
            payload = fuzz.json() if framing is Framing.JSON else fuzz.proto()
            decoded = (
                json_framing.decode(payload, 50)
                if framing is Framing.JSON
                else proto_framing.decode(proto_framing.parse(payload), 50, 65_536)
            )
            for item in decoded.items:
                fault = item if isinstance(item, Fault) else check(item)
                if fault is not None:
                    faults += 1
                    assert len(module.encode_answers([fault], False)) < 20 * len(payload) + 2_000
        assert faults > 500
