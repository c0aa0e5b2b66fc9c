"""What people were told of each other and by each other, held against what they did (rows 2.3 and 3.2).

Plain: times are arguments, in seconds. Whoever plays the people writes down what they ask for before they ask, and what they are
told as it comes.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cluster.bench.order import tangled

EXAMPLES = 8
ON_ITS_WAY_S = 1.0
OFFLINE = "offline"
# Each is a fault. `lost`: acknowledged, and a member did not hear it; `doubled`: heard again; `misordered`: messages that members
# heard in different orders; `renamed`: kept twice, under two ids; `foreign`: said by nobody, refused, or heard by who is no member.
CHAT_FAULTS = ("lost", "doubled", "misordered", "renamed", "foreign")
# `false_offline`: of somebody who has a session; `wrong_status`: at the end; `went_back`: an older one was told as the newest;
# `unasked`: of somebody who is not watched, or a status that nobody chose.
STATUS_FAULTS = ("false_offline", "wrong_status", "went_back", "unasked")


@dataclass
class Findings:
    """`counts` by fault, with the first few in words."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, fault: str, words: str, count: int = 1) -> None:
        self.counts[fault] += count
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{fault}: {words}")


class Arrivals:
    """When things came to one person, and when they had been asked for: both in seconds, in the order they came."""

    def __init__(self) -> None:
        self.at, self.asked = array("d"), array("d")

    def add(self, at: float, asked: float) -> None:
        self.at.append(at)
        self.asked.append(asked)

    def first_since(self, since: float) -> float | None:
        """When the first came that was asked for after `since`."""
        at, asked = np.asarray(self.at), np.asarray(self.asked)
        later = at[asked > since]
        return float(later.min()) if later.size else None

    def took_s(self, begin: float, end: float) -> np.ndarray:
        """Of those that were asked for in [begin, end)."""
        at, asked = np.asarray(self.at), np.asarray(self.asked)
        chosen = (asked >= begin) & (asked < end)
        took: np.ndarray = at[chosen] - asked[chosen]
        return took


def figures_ms(seconds: np.ndarray | list[float]) -> dict[str, float | None]:
    """p50, p99 and the most; null where there are none."""
    given = np.asarray(seconds, float) * 1_000.0
    if not given.size:
        return dict.fromkeys(("p50_ms", "p99_ms", "max_ms"))
    p50, p99 = np.percentile(given, (50, 99))
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1), "max_ms": round(float(given.max()), 1)}


def took_ms(arrivals: Iterable[Arrivals], begin: float, end: float) -> dict[str, float | None]:
    """Over all people."""
    parts = [each.took_s(begin, end) for each in arrivals]
    return figures_ms(np.concatenate(parts) if parts else [])


def back_ms(arrivals: Sequence[Arrivals], since: float, until: float) -> dict[str, float | None]:
    """By person, from `since` to the first thing that came and had been asked for later; `missed`: nothing did any more.

    `slowest_ms`: what took longest of all that was asked for up to `until`, from when it may have been on its way at `since`.
    """
    slowest = took_ms(arrivals, since - ON_ITS_WAY_S, until)["max_ms"]
    firsts = [each.first_since(since) for each in arrivals]
    told = figures_ms([first - since for first in firsts if first is not None])
    return {"p50_ms": told["p50_ms"], "max_ms": told["max_ms"], "missed": firsts.count(None), "slowest_ms": slowest}


# --- chat ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Said:
    speaker: str
    channel: str
    at: float
    id: str = ""  # as it was acknowledged, or first heard
    kept: bool = False
    refused: bool = False


class ChatBook:
    """Texts are unique. Nobody leaves a channel; whoever has joined before a message was said must hear it."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.arrivals: defaultdict[str, Arrivals] = defaultdict(Arrivals)
        self._members: defaultdict[str, dict[str, float]] = defaultdict(dict)  # channel -> member -> since
        self._said: dict[str, _Said] = {}
        self._heard: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._texts: defaultdict[str, set[str]] = defaultdict(set)  # by member

    @property
    def acknowledged(self) -> int:
        return sum(said.kept for said in self._said.values())

    @property
    def deliveries(self) -> int:
        """The first time that somebody heard something."""
        return sum(len(texts) for texts in self._texts.values())

    def joined(self, member: str, channel: str, at: float) -> None:
        """It was acknowledged."""
        self._members[channel].setdefault(member, at)

    def said(self, speaker: str, channel: str, text: str, at: float) -> None:
        """It is about to be sent for the first time."""
        self._said[text] = _Said(speaker, channel, at)

    def kept(self, text: str, message_id: str) -> None:
        """It was acknowledged, perhaps again."""
        self._named(text, message_id)
        self._said[text].kept = True

    def refused(self, text: str) -> None:
        """And no attempt before was left without an answer."""
        self._said[text].refused = True

    def heard(self, member: str, channel: str, text: str, message_id: str, at: float) -> None:
        said = self._said.get(text)
        if said is None or said.refused or said.channel != channel or member not in self._members[channel]:
            what = "was said by nobody" if said is None else "was refused" if said.refused else "is not for it"
            self.findings.add("foreign", f"{member} heard {text!r} in {channel}, which {what}")
            return
        self._named(text, message_id)
        if text in self._texts[member]:
            self.findings.add("doubled", f"{member} heard {text!r} in {channel} again")
            return
        self._texts[member].add(text)
        self._heard[channel][member].append(text)
        self.arrivals[member].add(at, said.at)

    def missing(self) -> list[tuple[str, str]]:
        """(member, text) of what was acknowledged and has not come, up to now."""
        return [
            (member, text)
            for text, said in self._said.items()
            if said.kept
            for member, since in self._members[said.channel].items()
            if since <= said.at and text not in self._texts[member]
        ]

    def judge(self) -> None:
        """Once, at the end: what is lost, and the orders."""
        for member, text in self.missing():
            self.findings.add("lost", f"{member} did not hear {text!r} in {self._said[text].channel}")
        for channel, heard in self._heard.items():
            knot = sorted(tangled(heard.values()))
            if knot:
                self.findings.add("misordered", f"in {channel}: {', '.join(knot[:4])}", len(knot))

    def _named(self, text: str, message_id: str) -> None:
        said = self._said[text]
        if said.id and said.id != message_id:
            self.findings.add("renamed", f"{text!r} is {said.id} and {message_id}")
        said.id = said.id or message_id


# --- presence --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Self:
    """What a user did. `chosen`: by number, the status and when it was first asked for; `last`: the newest acknowledged."""

    chosen: dict[int, tuple[str, float]]
    last: int = 0
    gone_from: float | None = None


@dataclass(slots=True)
class _Shown:
    status: str
    number: int
    version: int


class StatusBook:
    """Each status that a user chooses has a number, which grows and travels as the presence's text; 0: none, as it came."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.arrivals: defaultdict[str, Arrivals] = defaultdict(Arrivals)
        self.acknowledged = 0
        self.outdated = 0
        """How often something came whose version was not newer than what its watcher knew: clients drop it."""
        self._users: dict[str, _Self] = {}
        self._shown: defaultdict[str, dict[str, _Shown | None]] = defaultdict(dict)  # watcher -> user

    def came(self, user: str, status: str, at: float) -> None:
        """It has a session, and this status."""
        self._users[user] = _Self({0: (status, at)})

    def asked(self, user: str, number: int, status: str, at: float) -> None:
        """It is about to be sent for the first time."""
        self._users[user].chosen[number] = (status, at)

    def kept(self, user: str, number: int) -> None:
        """It was acknowledged."""
        self.acknowledged += 1
        self._users[user].last = max(self._users[user].last, number)

    def left(self, user: str, gone_from: float) -> None:
        """It has left, and its session is over at `gone_from`, not before."""
        self._users[user].gone_from = gone_from

    def watches(self, watcher: str, user: str) -> None:
        """It is about to ask."""
        self._shown[watcher].setdefault(user, None)

    def shown(self, watcher: str, presence: Mapping[str, Any], at: float, *, asked: bool = False) -> None:
        """As a notification says it, or an answer (`asked`), whose time is of no interest."""
        user_id, status, version = str(presence["user_id"]), str(presence["status"]), int(presence["version"])
        user, shown = self._users.get(user_id), self._shown[watcher]
        if user is None or user_id not in shown:
            self.findings.add("unasked", f"{watcher} is told of {user_id}, whom it does not watch")
            return
        if status == OFFLINE and (user.gone_from is None or at < user.gone_from):
            self.findings.add("false_offline", f"{watcher} is told at {at:.2f} that {user_id} is offline")
        before = shown[user_id]
        if before is not None and version <= before.version:
            self.outdated += 1
            return
        if status == OFFLINE:
            shown[user_id] = _Shown(status, before.number if before is not None else 0, version)
            return
        number = _number(presence.get("text"))
        chosen = user.chosen.get(number)
        if chosen is None or chosen[0] != status:
            self.findings.add("unasked", f"{watcher} is told that {user_id} is {status} ({number}), which it never was")
            return
        if before is not None and number < before.number:
            self.findings.add("went_back", f"{watcher} is told {number} of {user_id} after {before.number}")
        elif not asked and (before is None or number > before.number):
            self.arrivals[watcher].add(at, chosen[1])
        shown[user_id] = _Shown(status, number, version)

    def wrong(self) -> list[tuple[str, str, str]]:
        """(watcher, user, in words) where what was shown last is not how it is. Nothing may be on its way."""
        found = []
        for watcher, shown in self._shown.items():
            for user_id, last in shown.items():
                user = self._users[user_id]
                status = OFFLINE if user.gone_from is not None else user.chosen[user.last][0]
                told = (last.status, last.number) if last is not None else ("nothing", 0)
                if told[0] != status or (status != OFFLINE and told[1] != user.last):
                    found.append((watcher, user_id, f"{told[0]} ({told[1]}) instead of {status} ({user.last})"))
        return found

    def judge(self) -> None:
        """Once, when it has settled."""
        for watcher, user_id, words in self.wrong():
            self.findings.add("wrong_status", f"{watcher} sees {user_id} {words}")


def _number(text: object) -> int:
    """-1 for a text that is no number of ours."""
    if not text:
        return 0
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else -1


# --- verdicts --------------------------------------------------------------------------------------------------------------


def chat_shortcomings(result: Mapping[str, Any]) -> list[str]:
    """Why a run of the chat benchmark does not count; empty if it does."""
    zero = (*CHAT_FAULTS, "unanswered", "refused", "not_recovered", "new_sessions")
    problems = [f"{name}: {result[name]}" for name in zero if result[name]]
    if result["deliveries"] < result["expected"]:
        problems.append(f"{result['deliveries']} deliveries of {result['expected']}")
    return problems


def social_shortcomings(result: Mapping[str, Any]) -> list[str]:
    """The same of the social one: what was lost on the way may be asked for again, but nothing may be seen wrong."""
    zero = (*CHAT_FAULTS, *STATUS_FAULTS, "refused", "restless", "not_recovered", "new_sessions")
    problems = [f"{name}: {result[name]}" for name in zero if result[name]]
    for fault in result["faults"]:
        if not fault["restarted"]:
            problems.append(f"{fault['kind']} did not come back")
        for what in ("status", "chat"):
            missed = fault[what]["missed"]
            if missed:
                problems.append(f"after the kill of {fault['kind']} {missed} got no {what} any more")
    return problems
