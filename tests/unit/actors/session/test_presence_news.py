"""What a session actor tells the presence index, and tells again to the next one (row 3.2)."""

from __future__ import annotations

import asyncio

import pytest

from actors.presence.changes import SessionPresence
from actors.session import presence_news
from actors.session.presence_news import AGAIN_S, ASK_S, BATCH, REVISIONS, PresenceNews


def session(number: int = 1, status: str = "online") -> SessionPresence:
    return SessionPresence(f"ses_{number}", "usr_a", "sessions/0", status)


def said(batch: list[SessionPresence] | None) -> list[tuple[str, str]] | None:
    return None if batch is None else [(change.session_id, change.status) for change in batch]


def test_the_newest_of_each_session_waits() -> None:
    news = PresenceNews(1)
    assert news.take(0.0) is None
    news.add(session(1, "busy"))
    news.add(session(2))
    news.add(session(1, "away"))
    assert said(news.take(0.0)) == [("ses_1", "away"), ("ses_2", "online")]
    assert news.take(0.0) is None


def test_revisions_grow_over_incarnations() -> None:
    news = PresenceNews(3)
    first, second = news.add(session()), news.add(session())
    assert 3 * REVISIONS < first.revision < second.revision < PresenceNews(4).add(session()).revision
    assert news.take(0.0) == [second]


def test_what_failed_waits_unless_there_is_something_newer() -> None:
    news = PresenceNews(1)
    news.add(session(1))
    news.add(session(2))
    batch = news.take(0.0)
    assert batch is not None
    news.add(session(2, "busy"))
    news.failed(batch)
    assert sorted(said(news.take(0.0)) or []) == [("ses_1", "online"), ("ses_2", "busy")]


def test_a_batch_is_bounded() -> None:
    news = PresenceNews(1)
    for number in range(BATCH + 1):
        news.add(session(number))
    assert [len(news.take(0.0) or []) for _ in range(2)] == [BATCH, 1]


def test_another_index_is_told_again_what_the_last_one_may_not_have_told() -> None:
    news = PresenceNews(1)
    news.add(session(1))
    news.told(news.take(0.0) or [], 7, 0.0)
    news.add(session(2))
    news.told(news.take(20.0) or [], 7, 20.0)
    news.add(session(3))
    news.told(news.take(AGAIN_S + 1.0) or [], 8, AGAIN_S + 1.0)
    again = news.take(AGAIN_S + 1.0)
    assert said(again) == [("ses_2", "online")], "the first was long ago; the third it has"
    assert news.take(AGAIN_S + 1.0) is None, "once"


def test_it_asks_whether_there_is_another_one() -> None:
    """Or what died with the index would wait for somebody's next change."""
    news = PresenceNews(1)
    news.add(session(1, "busy"))
    news.told(news.take(0.0) or [], 7, 0.0)
    assert news.take(ASK_S / 2) is None
    assert news.take(ASK_S) == []
    assert news.take(ASK_S) is None
    news.told([], 8, ASK_S)
    assert said(news.take(ASK_S)) == [("ses_1", "busy")]
    news.told([session(1, "busy")], 8, ASK_S)
    assert news.take(ASK_S + AGAIN_S + 1.0) is None, "nothing that could have been lost"


def test_a_newer_change_is_not_undone() -> None:
    news = PresenceNews(1)
    news.add(session(1, "busy"))
    news.told(news.take(0.0) or [], 7, 0.0)
    news.add(session(1, "away"))
    news.add(session(2))
    batch = news.take(1.0) or []
    news.add(session(1, "online"))
    news.told(batch, 8, 1.0)
    assert said(news.take(1.0)) == [("ses_1", "online")]


async def test_it_waits_until_there_is_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_news, "ASK_S", 5.0)
    news = PresenceNews(1)
    waiting = asyncio.create_task(news.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    news.add(session())
    await waiting
    batch = news.take(0.0) or []
    again = asyncio.create_task(news.wait())
    await asyncio.sleep(0)
    assert not again.done(), "all is taken"
    news.failed(batch)
    await again
    monkeypatch.setattr(presence_news, "ASK_S", 0.0)
    news.take(0.0)
    await news.wait()
