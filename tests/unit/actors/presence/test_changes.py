"""What a session record says of its user's presence."""

from __future__ import annotations

from actors.presence.changes import SessionPresence, presence_of
from cluster.ports.sessions import SessionRecord


def test_a_record_says_all_there_is_to_know() -> None:
    record = SessionRecord(
        "ses_1",
        "usr_a",
        "sessions/0",
        "in_world",
        "gtw_a",
        3,
        "chr_a",
        "Ann",
        "zon_a",
        "online",
        watching=("usr_b",),
        idle=True,
        status_text="brb",
        status_metadata={"song": "x"},
    )
    presence = presence_of(record)
    assert presence == SessionPresence(
        "ses_1",
        "usr_a",
        "sessions/0",
        "online",
        "zon_a",
        "chr_a",
        ("usr_b",),
        idle=True,
        name="Ann",
        text="brb",
        metadata={"song": "x"},
    )
    assert presence.effective == "away"
