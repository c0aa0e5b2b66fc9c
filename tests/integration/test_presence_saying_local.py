"""What users write beside their status reaches others clean, and without the words that a realm masks (rows 2.3 and 3.2)."""

from __future__ import annotations

from cluster.social_settings import ChatSettings
from tests.integration.presence_rig import Stage, all_leave
from tests.local_realm import local_realm


async def test_words_are_masked_and_nothing_turns_the_writing_direction(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, chat=ChatSettings(words=("bad",))) as realm:
        stage = Stage(realm)
        ann, bob = await stage.watcher("usr_a"), await stage.watcher("usr_b")
        await bob.subscribe("usr_a")
        said = {"text": "a ba\u0007d egg", "metadata": {"so\u202eng": "Bad\u2067 one", "bad": ""}}
        assert await ann.ask("presence.update", **said) == {
            "status": "online",
            "text": "a *** egg",
            "metadata": {"song": "*** one", "***": ""},
        }
        await bob.hears("usr_a", text="a *** egg", metadata={"song": "*** one", "***": ""})
        profile = (await stage.social.profiles(["usr_a"]))["usr_a"]
        assert (profile.text, profile.metadata) == ("a *** egg", {"song": "*** one", "***": ""})
        await all_leave(ann, bob)
