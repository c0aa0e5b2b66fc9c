"""An acknowledged message reaches every member of its channel, once, and all members hear the same order (row 2.3)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.bench import order
from cluster.chaos.history import Event
from cluster.chaos.verdict import Violation


@dataclass(slots=True)
class _Said:
    """A message by its text, which is unique. `id` once it was acknowledged."""

    bot: str
    channel: str
    at: float
    id: str | None = None


class ChatCheck:
    """Feed it all events in order; `finish` judges. Nobody leaves a channel."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.acknowledged = 0
        self._ops: dict[int, Event] = {}
        self._said: dict[str, _Said] = {}
        self._joined: dict[str, dict[str, float]] = defaultdict(dict)
        self._heard: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        """bot -> channel -> (id, text), in the order they came."""

    def feed(self, event: Event) -> None:
        match event["k"]:
            case "invoked" if event["do"] in ("chat", "join"):
                self._ops[event["op"]] = event
                if event["do"] == "chat":
                    self._said.setdefault(event["text"], _Said(event["bot"], event["channel"], event["t"]))
            case "acknowledged" if event["op"] in self._ops:
                self._acknowledged(self._ops.pop(event["op"]), event)
            case "notice" if event["method"] == "chat.message":
                self._heard[event["bot"]][event["channel"]].append((event["id"], event["text"]))

    def _acknowledged(self, asked: Event, answer: Event) -> None:
        if asked["do"] == "join":
            self._joined[asked["channel"]].setdefault(asked["bot"], answer["t"])
            return
        said, id_ = self._said[asked["text"]], answer["message_id"]
        if said.id is None:
            self.acknowledged += 1
        elif said.id != id_:
            what = f"{asked['text']} was acknowledged as {said.id}, and again as {id_}"
            self._found("duplicates", answer["t"], asked["bot"], what)
        said.id = id_

    def finish(self, holes: Mapping[str, Sequence[float]]) -> None:
        """`holes`: bot -> when it was told that it had missed something, which is counted already."""
        for bot, channels in self._heard.items():
            for heard in channels.values():
                self._twice(bot, heard)
        self._missing(holes)
        for channel in self._joined:
            wrong = tangled(channels[channel] for channels in self._heard.values() if channel in channels)
            if wrong:
                what = f"not the same order for all in {channel}: {sorted(wrong)[:5]}"
                self._found("misordered", 0.0, "everyone", what, len(wrong))

    def missing_now(self) -> list[tuple[str, str]]:
        """(bot, text) of acknowledged messages that a member has not heard."""
        texts = {
            bot: {text for heard in channels.values() for _, text in heard} for bot, channels in self._heard.items()
        }
        return [
            (bot, text)
            for text, said in self._said.items()
            if said.id is not None
            for bot, since in self._joined[said.channel].items()
            if since <= said.at and text not in texts.get(bot, ())
        ]

    def _twice(self, bot: str, heard: Sequence[tuple[str, str]]) -> None:
        for text, times in Counter(text for _, text in heard).items():
            if times > 1:
                self._found("duplicates", 0.0, bot, f"{text} came {times} times", times - 1)
            elif text not in self._said:
                self._found("phantoms", 0.0, bot, f"{text!r} was said by nobody")
        for id_, text in heard:
            said = self._said.get(text)
            if said is not None and said.id not in (None, id_):
                self._found("lost_acks", 0.0, bot, f"{text} was acknowledged as {said.id} and came as {id_}")

    def _missing(self, holes: Mapping[str, Sequence[float]]) -> None:
        heard_by: dict[str, set[str]] = defaultdict(set)
        for bot, channels in self._heard.items():
            for heard in channels.values():
                for _, text in heard:
                    heard_by[text].add(bot)
        for text, said in self._said.items():
            members = {bot for bot, since in self._joined[said.channel].items() if since <= said.at}
            missed = {bot for bot in members - heard_by[text] if not any(t >= said.at for t in holes.get(bot, ()))}
            if not missed:
                continue
            if said.id is not None:
                what = f"{text} ({said.id}), acknowledged, did not reach {_some(missed)}"
                self._found("lost_acks", said.at, said.bot, what, len(missed))
            elif heard_by[text]:
                what = f"{text} reached some, but not {_some(missed)}"
                self._found("gaps", said.at, said.bot, what, len(missed))

    def _found(self, name: str, t: float, who: str, what: str, count: int = 1) -> None:
        self.violations.append(Violation(name, t, who, what, count))


def tangled(lists: Iterable[Sequence[tuple[str, str]]]) -> set[str]:
    """The ids that no single order can hold."""
    return order.tangled([id_ for id_, _ in heard] for heard in lists)


def _some(bots: set[str]) -> str:
    names = sorted(bots)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
