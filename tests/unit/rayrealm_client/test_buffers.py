"""What a slow reader loses, and what it never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client.buffers import NoticeBuffer, ViewBuffer
from rayrealm_client.errors import NoticesLost
from rayrealm_client.scene import Scene
from rayrealm_client.view import Place, State, View


def view(tick: int, came: int | None = None, left: int | None = None) -> View:
    states = () if came is None else (State(came, f"ent_{came}", "player", "N", 1, {}),)
    places = () if came is None else (Place(came, tick, tick, 0, 0, 0.0),)
    return View(tick, tick, places, (), states, () if left is None else (left,))


class TestViewBuffer:
    @given(st.integers(2, 5), st.integers(1, 30))
    async def test_bounded_and_no_state_or_leave_is_lost(self, limit: int, count: int) -> None:
        buffer, live, late = ViewBuffer(limit), Scene(), Scene()
        for tick in range(count):
            sent = view(tick, came=tick, left=tick - 3 if tick >= 3 else None)
            live.apply(sent)
            buffer.put(sent)
            assert len(buffer) <= limit
        buffer.close()
        received = [seen async for seen in buffer]
        for seen in received:
            late.apply(seen)
        assert set(late.entities) == set(live.entities)
        assert received[-1].tick == count - 1
        assert buffer.merged == count - len(received)

    async def test_a_reader_that_keeps_up_gets_each_view_as_it_was(self) -> None:
        buffer = ViewBuffer(2)
        for tick in range(10):
            buffer.put(view(tick, came=tick))
            assert await anext(buffer) == view(tick, came=tick)
        assert buffer.merged == 0


class TestNoticeBuffer:
    async def test_a_gap_is_announced_once_and_the_rest_comes(self) -> None:
        buffer = NoticeBuffer[int](2)
        for number in range(5):
            buffer.put(number)
        with pytest.raises(NoticesLost) as gap:
            await anext(buffer)
        assert gap.value.count == 3
        buffer.close()
        assert [number async for number in buffer] == [3, 4]


def test_a_buffer_too_small_to_merge_is_refused() -> None:
    with pytest.raises(ValueError, match="two"):
        ViewBuffer(1)
