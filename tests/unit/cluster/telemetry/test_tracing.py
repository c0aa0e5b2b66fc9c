"""Trace contexts: what is one, who is sampled, and how they are handed on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping

import pytest

from cluster.adapters.memory.calls import MemoryCalls
from cluster.errors import Conflict
from cluster.operator_settings import TracingSettings
from cluster.telemetry import tracing
from cluster.telemetry.tracing import Kind, Sampling, Traced, Value

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"  # of the standard's examples
CONTEXT = f"00-{TRACE}-{SPAN}-01"


class FakeSpan:
    def __init__(self, owner: FakeSpans, name: str, parent: str, traceparent: str) -> None:
        self.name, self.parent, self.traceparent, self._owner = name, parent, traceparent, owner
        self.error: BaseException | None = None

    def end(self, error: BaseException | None) -> None:
        self.error = error
        self._owner.ended.append(self)


class FakeSpans:
    def __init__(self) -> None:
        self.ended: list[FakeSpan] = []
        self._count = 0

    def begin(self, name: str, kind: Kind, parent: str, values: Mapping[str, Value]) -> FakeSpan:
        self._count += 1
        trace = parent.split("-")[1] if parent else f"{self._count:032x}"
        return FakeSpan(self, name, parent, f"00-{trace}-{self._count:016x}-01")


@pytest.fixture
def spans() -> Iterator[FakeSpans]:
    made = FakeSpans()
    tracing.use(made)
    yield made
    tracing.use(None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CONTEXT, (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", (TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", (TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"{CONTEXT}\n", None),
        ("", None),
        ("-" * 10_000, None),
    ],
)
def test_what_a_context_is(text: str, found: tuple[str, str, bool] | None) -> None:
    assert tracing.parse(text) == found
    assert tracing.told(text) == (text if found is not None and found[2] else "")


def test_nothing_is_begun_where_nothing_is_traced(spans: FakeSpans) -> None:
    with tracing.span("a") as context:
        assert context == tracing.here() == ""
        assert tracing.headers() is None
    assert spans.ended == []


def test_spans_hang_together(spans: FakeSpans) -> None:
    with tracing.root("request", Kind.SERVER, CONTEXT) as outer, tracing.span("inner") as inner:
        assert tracing.here() == inner
        assert tracing.headers() == {"traceparent": inner}
    assert tracing.here() == ""
    assert [(span.name, span.parent) for span in spans.ended] == [("inner", outer), ("request", CONTEXT)]
    with tracing.root("new", Kind.SERVER, ""):
        pass
    assert spans.ended[-1].parent == ""


def test_a_failure_is_told_and_goes_on(spans: FakeSpans) -> None:
    with pytest.raises(Conflict), tracing.root("request", Kind.SERVER, CONTEXT):
        raise Conflict("taken")
    assert isinstance(spans.ended[0].error, Conflict)
    assert tracing.here() == ""


def test_the_same_work_in_several_traces(spans: FakeSpans) -> None:
    parents = [f"00-{number:032x}-{SPAN}-01" for number in range(1, 12)]
    with tracing.spans("batch", Kind.INTERNAL, parents) as contexts:
        assert tracing.here() == contexts[0]
    assert [span.parent for span in reversed(spans.ended)] == parents[: tracing.MOST_AT_ONCE]
    assert contexts[tracing.MOST_AT_ONCE :] == parents[tracing.MOST_AT_ONCE :]
    with tracing.spans("nothing", Kind.INTERNAL, []) as none:
        assert none == []


def test_without_spans_contexts_are_passed_on() -> None:
    assert not tracing.on()
    with tracing.span("a", parent=CONTEXT):
        assert tracing.here() == CONTEXT


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def sampling(clock: Clock, ratio: float, forced_per_s: float = 10.0) -> Sampling:
    return Sampling(TracingSettings(otlp="http://c", ratio=ratio, forced_per_s=forced_per_s), clock, random.Random(1))


def test_a_share_of_those_without_a_context() -> None:
    some = sampling(Clock(), ratio=0.1)
    found = [some.parent("") for _ in range(10_000)]
    assert 800 < found.count("") < 1_200
    assert set(found) == {"", None}
    assert {sampling(Clock(), ratio=0.0).parent("") for _ in range(1_000)} == {None}


def test_a_client_cannot_have_everything_traced() -> None:
    clock = Clock()
    some = sampling(clock, ratio=0.0, forced_per_s=10.0)
    assert [some.parent(CONTEXT) for _ in range(100)].count(CONTEXT) == 10
    clock.now += 1.0
    assert [some.parent(CONTEXT) for _ in range(100)].count(CONTEXT) == 10
    assert (some.forced, some.refused) == (20, 180)
    clock.now += 1.0
    for other in (f"00-{TRACE}-{SPAN}-00", "nonsense"):
        assert some.parent(other) is None
    assert some.refused == 180


class Actor(Traced):
    def __init__(self) -> None:
        self.seen = ""

    async def greet(self, name: str) -> str:
        self.seen = tracing.here()
        return f"hello {name}"

    def plain(self) -> str:
        return "plain"


async def test_calls_of_actors_carry_it(spans: FakeSpans) -> None:
    actor = Actor()
    calls = MemoryCalls({"a": actor})
    assert await calls.call("a", "greet", "ann", deadline_s=1.0) == "hello ann"
    assert (actor.seen, spans.ended) == ("", [])
    with tracing.root("request", Kind.SERVER, CONTEXT):
        assert await calls.call("a", "greet", "bob", deadline_s=1.0) == "hello bob"
        assert await calls.call("a", "plain", deadline_s=1.0) == "plain"
    assert [span.name for span in spans.ended] == [
        "actor.greet", "call.greet", "actor.plain", "call.plain", "request",
    ]  # fmt: skip
    assert spans.ended[0].parent == spans.ended[1].traceparent
    assert actor.seen == spans.ended[0].traceparent


async def test_an_actor_that_knows_nothing_of_traces(spans: FakeSpans) -> None:
    class Older:
        async def greet(self) -> str:
            return tracing.here()

    calls = MemoryCalls({"a": Older()})
    with tracing.root("request", Kind.SERVER, CONTEXT):
        assert await calls.call("a", "greet", deadline_s=1.0) == ""
    await asyncio.sleep(0)
