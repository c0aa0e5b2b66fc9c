"""Made-up histories: one in which nothing is wrong, and a way to spoil it."""

from __future__ import annotations

import itertools
from typing import Any

from cluster.chaos.checker import Verdict, check

BOTS = ("ann", "ben", "cid")


class Story:
    """Events in order, a tenth of a second apart."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._ops = itertools.count(1)
        self._seq: dict[str, int] = {}
        self.t = 0.0

    def add(self, k: str, **more: Any) -> dict[str, Any]:
        self.t = round(self.t + 0.1, 3)
        event = {"k": k, "t": self.t, **more}
        self.events.append(event)
        return event

    def invoke(self, bot: str, do: str, **more: Any) -> int:
        op = next(self._ops)
        self.add("invoked", op=op, bot=bot, do=do, **more)
        return op

    def done(self, bot: str, do: str, result: dict[str, Any] | None = None, **more: Any) -> None:
        op = self.invoke(bot, do, **more)
        self.add("acknowledged", op=op, **(result or {}))

    def ready(self, bot: str, **changes: Any) -> None:
        seq = self._seq.setdefault(bot, 0)
        told = {"session": f"ses_{bot}", "stream": f"s{bot}", "seq": seq, "resumed": True, "recovered": True}
        self.add("ready", bot=bot, **told | {"zone": None} | changes)
        self._seq[bot] = changes.get("seq", seq)

    def first_ready(self, bot: str) -> None:
        self.ready(bot, resumed=False, recovered=False)

    def hear(self, bot: str, text: str, id_: str, channel: str = "all", method: str = "chat.message") -> None:
        self._seq[bot] += 1
        more = {"method": method, "id": id_, "channel": channel, "text": text}
        self.add("notice", bot=bot, seq=self._seq[bot], **more)

    def skip(self, bot: str, count: int) -> None:
        """Numbers that do not come, or come again."""
        self._seq[bot] += count

    def say(self, bot: str, text: str, id_: str, channel: str = "all", to: tuple[str, ...] = BOTS) -> None:
        self.done(bot, "chat", {"message_id": id_}, channel=channel, text=text)
        for other in to:
            self.hear(other, text, id_, channel)

    def change(self, bot: str, version: int, n: int, stay: int = 1) -> None:
        self.done(bot, "state", {"version": version + 1}, stay=stay, version=version, n=n)

    def read(self, bot: str, version: int, n: int | None, stay: int = 1) -> None:
        self.add("state", bot=bot, stay=stay, version=version, n=n)

    def view(self, bot: str, tick: int, zone: str = "", epoch: int = 0) -> None:
        self.add("view", bot=bot, tick=tick, **({"zone": zone, "epoch": epoch} if zone else {}))

    def output(self, epoch: int, tick: int, viewers: tuple[int, ...] = (0, 1), **more: Any) -> None:
        told = {"zone": "zon_a", "gateway": "gw_1"} | more
        self.add("output", epoch=epoch, tick=tick, viewers=list(viewers), **told)

    def verdict(self) -> Verdict:
        return check(self.events)

    def found(self) -> dict[str, int]:
        """name -> count, of what was found."""
        told = self.verdict().violations
        return {name: sum(v.count for v in told if v.name == name) for name in {v.name for v in told}}


def good_story() -> Story:
    """Three bots are there, talk, write and see."""
    story = Story()
    for bot in BOTS:
        story.first_ready(bot)
        story.done(bot, "join", channel="all")
        story.done(bot, "enter", stay=1, zone="zon_a")
        story.read(bot, 1, None)
        story.view(bot, 5, "zon_a", 1)
        story.view(bot, 6)
    story.output(1, 5)
    story.output(1, 6)
    story.say("ann", "hello", "m1")
    story.say("ben", "hi", "m2")
    story.change("ann", 1, 1)
    story.change("ann", 2, 2)
    story.read("ann", 3, 2)
    story.done("ann", "attribute", name="a", n=7)
    story.add("attributes", bot="ann", values={"a": 7})
    return story
