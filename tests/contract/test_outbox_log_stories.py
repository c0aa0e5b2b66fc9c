"""Outbox logs in memory and in Redis do the same, whatever is done to them."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import Fenced
from tests.contract.outbox_logs import Rig, connected, memory_rig, redis_rig
from tests.contract.session_stores import NOW, A

SESSIONS = ("ses_1", "ses_2", "ses_3")
TOPICS = ("news", "chat:ö", "")
places = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda pair: f"{pair[0]}-{pair[1]}")
steps = st.one_of(
    st.tuples(
        st.just("append"),
        st.booleans(),
        st.dictionaries(st.sampled_from((*SESSIONS, "ses_none")), st.integers(0, 20)),
        st.dictionaries(st.sampled_from(TOPICS), places),
        st.floats(-60.0, 60.0),
    ),
    st.tuples(st.just("follow"), st.booleans(), st.dictionaries(st.sampled_from(TOPICS), places | st.just(""))),
    st.tuples(st.just("unfollow"), st.booleans(), st.lists(st.sampled_from(TOPICS))),
    st.tuples(st.just("expire"), st.sampled_from(SESSIONS)),
    st.tuples(st.just("restart")),
)
numbers = itertools.count()


async def told(rig: Rig, story: list[tuple[object, ...]]) -> list[object]:
    """Everything that can be seen after each step. Every second actor that writes may be an old one."""
    old = new = await rig.stores.actor()
    for session_id in SESSIONS:
        await rig.stores.place(new=session_id)
    expired: set[str] = set()
    seen: list[object] = []
    for number, step in enumerate(story):
        try:
            match step:
                case ("append", bool(fresh), dict(seqs), dict(cursors), float(offset)):
                    await rig.append(new if fresh else old, b"%d" % number, seqs, cursors, NOW + offset)
                case ("follow", bool(fresh), dict(cursors)):
                    await rig.log.follow(new if fresh else old, cursors)
                case ("unfollow", bool(fresh), list(topics)):
                    await rig.log.unfollow(new if fresh else old, topics)
                case ("expire", str(session_id)) if session_id not in expired:
                    await rig.stores.expire(session_id)
                    expired.add(session_id)
                case ("restart",):
                    old, new = new, await rig.stores.actor()
        except Fenced:
            seen.append("fenced")
        records = [await rig.stores.sessions.get(session_id) for session_id in SESSIONS]
        seen.append([record and record.seq for record in records])
        seen.append((await rig.log.load(A, NOW - 30.0), await rig.log.cursors(A)))
    return seen


@given(story=st.lists(steps, max_size=12))
def test_memory_and_redis_tell_the_same_story(valkey_url: str, story: list[tuple[object, ...]]) -> None:
    async def both() -> tuple[list[object], list[object]]:
        async with connected(valkey_url) as client:
            rig = redis_rig(client, f"test-outbox-story-{next(numbers)}")
            return await told(memory_rig(), story), await told(rig, story)

    in_memory, in_redis = asyncio.run(both())
    assert in_memory == in_redis
