"""`client.sealed`: direct messages that the realm cannot read (PROTOCOL.md, "Sealed messages"; row 6.4)."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of
from rayrealm_client.errors import CodecError, Conflict, RateLimited, RealmError
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.key_file import Keyring
from rayrealm_client.models import shape, text
from rayrealm_client.policy import Backoff, Random
from rayrealm_client.sealed_models import IdentityChange, SealedMessage, Unopened
from rayrealm_client.sealed_people import People
from rayrealm_client.sealing import BadSeal, Opened, Pin, read, say, seal, unseal
from rayrealm_client.wishes import Ask

log = logging.getLogger("rayrealm_client")
Kept = TypeVar("Kept")

WAITING = 256
"""Messages that wait to be opened; what is more is asked for again, from the inbox."""
REMEMBERED = 1_024
MOST_PAGES = 10
ATTEMPTS = 4
AT_ONCE = 50
"""Messages that are opened together: their senders are asked about in one request."""
MOST_READ = 200
LATER = 6
"""Times in a row that the inbox is asked again for what could not be opened now."""
OF_KEYS = frozenset({"no_keys", "bad_signature", "identity_changed"})
"""Reasons that newer keys of the sender may change."""
FINAL = frozenset(
    {"cannot_open", "bad_signature", "wrong_sender", "wrong_receiver", "wrong_time", "malformed", "replayed"}
)
"""Reasons that nothing will change: such messages leave the inbox, where others wait for their place."""


@dataclass(frozen=True, slots=True)
class _Item:
    message_id: str
    sender: str
    to: str
    jwe: str


class Sealed:
    """`begin` with a keyring; from then on messages are opened and told, each once. The keyring is changed in place.

    `clock`: Unix seconds; `monotonic`: seconds that never run backwards.
    """

    def __init__(
        self,
        asking: Asking,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        rng: Random | None = None,
    ) -> None:
        self._asking = asking
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng or random.SystemRandom()
        self._save: Callable[[Keyring], None] = lambda _: None
        self._ring: Keyring | None = None
        self._people = People(self._own, lambda ring: self._save(ring), monotonic)
        self._messages = Feed[SealedMessage]("chat.sealed", _never)
        self._unopened = Feed[Unopened]("chat.sealed", _never)
        self._waiting: deque[dict[str, Any]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._fetcher: asyncio.Task[None] | None = None
        self._later_s: float | None = None  # until the inbox is asked for what was not opened when it came
        self._told: dict[str, tuple[str, float]] = {}  # the realm's id -> its key, and when it was said
        self._passed_over: dict[str, str] = {}  # the realm's id -> why
        self._unwanted: dict[str, None] = {}  # the realm's ids of what is to leave the inbox

    # --- one's own keys ----------------------------------------------------------------------------------------

    async def begin(
        self, keyring: Keyring, save: Callable[[Keyring], None] | None = None, *, replace: bool = False
    ) -> None:
        """Publish the keys, and open what waits. `save` is called after each change of the keyring.

        Raises Conflict (`identity_known`) if the user has another identity already: then its keys are needed, or `replace`, which
        puts its devices out and is told to friends.
        """
        self._save = save or self._save
        for _ in range(ATTEMPTS):
            keys = keyring.keys
            params: dict[str, Json] = {"identity": keys.identity.record, "device": keys.device.record}
            try:
                await self._asking.repeat("keys.publish", params | ({"replace": True} if replace else {}))
                break
            except Conflict as conflict:
                version = conflict.current.get("version")
                if conflict.reason != "stale_version" or type(version) is not int:
                    raise
                keyring.keys = keys.renumbered(**{str(conflict.current.get("what")): version + 1})
        else:
            raise BadSeal("no_keys")
        if keyring is not self._ring:
            self._people.forget_all()
        self._ring = keyring
        self._save(keyring)
        await self.fetch_inbox(self._asking.request)

    async def remove_device(self, device: str) -> bool:
        """Of one's own: nothing is sealed for it any more. What it has it keeps; if it was lost, `begin` with a new identity."""
        return bool(object_of(await self._asking.request("keys.remove", {"device": device})).get("removed"))

    # --- who others are ----------------------------------------------------------------------------------------

    async def look_up(self, user_ids: Iterable[str]) -> dict[str, Pin]:
        """Who these are, as the realm tells it now; those who have published no keys are missing."""
        asked, ring = list(user_ids), self._own()
        await self._people.look_up(asked, self._asking.request)
        return {user_id: ring.pins[user_id] for user_id in asked if user_id in self._people}

    def pin(self, user_id: str) -> Pin | None:
        return self._own().pins.get(user_id)

    def safety_number(self, user_id: str) -> str:
        """To be compared with what the other one sees, by another way than the realm. Raises BadSeal("no_keys")."""
        return self._people.safety_number(user_id)

    def verify(self, user_id: str) -> None:
        """The safety numbers are the same. Raises BadSeal: no_keys, identity_changed."""
        self._people.verify(user_id)

    def accept(self, user_id: str) -> None:
        """The identity that the realm tells of is believed from now on, as on first sight. Raises BadSeal("no_keys")."""
        self._people.accept(user_id)

    # --- messages ----------------------------------------------------------------------------------------------

    async def tell(self, user_id: str, text: str, *, suite: str | None = None) -> str:
        """The message's id, once the realm keeps it for devices of the other one. What could not be sealed for the rest is logged.

        Raises BadSeal: `no_keys` if the other one has published none, `identity_changed` until it is accepted; and as `Chat.say`.
        """
        ring = self._own()
        message_id, kept = secrets.token_hex(12), ""
        said = say(ring.keys, user_id, text, message_id, self._clock())
        served: set[tuple[str, str, int]] = set()  # with the version of the keys that it was sealed for
        left: set[tuple[str, str, int]] = set()
        for attempt in range(ATTEMPTS):
            try:
                if attempt or user_id not in self._people or ring.keys.user_id not in self._people:
                    await self.look_up([user_id, ring.keys.user_id])
                self._people.unchanged(user_id)
                items, copies = (self._items(each, said, suite, served) for each in (user_id, ring.keys.user_id))
                if not items and not (kept and copies):
                    raise BadSeal("no_keys")
                params: dict[str, Json] = {"to": user_id, "device": ring.keys.device.device}
                params |= {"client_id": f"{message_id}.{attempt}" if kept else message_id}
                answer = object_of(
                    await self._asking.repeat("chat.sealed", params | {"items": [*items], "copies": [*copies]})
                )
            except RealmError as error:
                if isinstance(error, Conflict) and error.reason == "stale_devices":
                    continue
                if kept:
                    break
                raise
            kept = kept or str(answer.get("message_id", ""))
            left = {(str(m["user_id"]), str(m["device"]), int(m["version"])) for m in answer.get("missing") or []}
            missed = {each[:2] for each in left}
            sent = [(user_id, each) for each in items] + [(ring.keys.user_id, each) for each in copies]
            served |= {
                (whose, each["device"], each["version"])
                for whose, each in sent
                if (whose, each["device"]) not in missed
            }
            left -= served
            if not left:
                break
        if not kept:
            raise BadSeal("no_keys")
        if left:
            log.warning("a sealed message could not be sealed for %d devices", len(left))
        return kept

    def _items(
        self, whose: str, said: str, suite: str | None, served: set[tuple[str, str, int]]
    ) -> list[dict[str, Any]]:
        own = self._own().keys.device.device
        wanted = [each for each in self._people.devices(whose) if (whose, each.device, each.version) not in served]
        return [seal(said, each, suite) for each in wanted if each.device != own]

    async def read(self, message_ids: Iterable[str]) -> None:
        """These have been read on this device: they wait no longer, and are refused if they come again."""
        ring, ids = self._own(), list(message_ids)
        ring.mark_read({self._told[each][0]: self._told[each][1] for each in ids if each in self._told}, self._clock())
        self._save(ring)
        await self._asking.repeat("sealed.read", {"device": ring.keys.device.device, "message_ids": ids})

    def on_message(self, callback: Callable[[SealedMessage], object]) -> Remove:
        """What others said, and what the user said on other devices."""
        return self._messages.on(callback)

    def on_change(self, callback: Callable[[IdentityChange], object]) -> Remove:
        """Somebody's identity is not what it was. Also the user's own, if another device has taken it over."""
        return self._people.changes.on(callback)

    def on_unopened(self, callback: Callable[[Unopened], object]) -> Remove:
        return self._unopened.on(callback)

    # --- what the client tells ---------------------------------------------------------------------------------

    async def fetch_inbox(self, ask: Ask) -> None:
        """Open what waits, if there are keys. What cannot be opened now is asked for again later."""
        if self._ring is None:
            return
        began = self._monotonic()
        params: dict[str, Json] = {"device": self._ring.keys.device.device}
        for _ in range(MOST_PAGES):
            page = object_of(await ask("sealed.inbox", params))
            await self._open([object_of(item) for item in page.get("messages") or []], ask, began)
            if not page.get("more") or page.get("cursor") is None:
                break
            params["cursor"] = page["cursor"]
        self._arrange()

    def take(self, params: object) -> None:
        """A `chat.sealed` as it was told: opened as soon as those before it are."""
        if self._ring is None or not isinstance(params, dict):
            return
        if len(self._waiting) >= WAITING:
            self._later(0.0)
            return
        self._waiting.append(params)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    def take_change(self, params: object) -> None:
        """`keys.changed`: what is known of the user may be old."""
        change = self._people.changes.read(params)
        if change is not None and self._ring is not None:
            self._people.take_change(change)

    def close(self) -> None:
        for task in (self._worker, self._fetcher):
            if task is not None:
                task.cancel()
        for feed in (self._messages, self._unopened, self._people.changes):
            feed.close()

    async def _work(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            await self._open(some, self._asking.request, self._monotonic())
        self._arrange()

    def _later(self, wait_s: float) -> None:
        self._later_s = max(self._later_s or 0.0, wait_s)

    def _arrange(self) -> None:
        if self._later_s is not None and (self._fetcher is None or self._fetcher.done()):
            self._fetcher = asyncio.create_task(self._fetch_later())

    async def _fetch_later(self) -> None:
        backoff = Backoff()
        for attempt in range(LATER):
            wait_s, self._later_s = self._later_s or 0.0, None
            await asyncio.sleep(wait_s + backoff.delay(attempt, self._rng))
            try:
                await self.fetch_inbox(self._asking.request)
            except RealmError as error:
                self._put_off(error)
            if self._later_s is None:
                return
        log.warning("sealed messages wait in the inbox")  # until the next one comes, or the next beginning

    def _put_off(self, error: RealmError) -> None:
        log.warning("sealed messages could not be opened now: %s", error)
        self._later(error.retry_after_s if isinstance(error, RateLimited) else 0.0)

    # --- opening -----------------------------------------------------------------------------------------------

    async def _open(self, told: Iterable[Mapping[str, Any]], ask: Ask, began: float) -> None:
        """Those that are told together: what is not known of their senders is asked in one request, or in two. `began`: keys that
        the realm has told of since then are the newest ones.
        """
        own = self._own().keys.user_id
        left = [item for each in told if (item := self._mine(each)) is not None]
        for again in (False, True):
            senders = {
                each.sender for each in left if each.sender != own and (again or each.sender not in self._people)
            }
            try:
                await self._people.look_again(sorted(senders), ask)
            except RealmError as error:
                self._put_off(error)
            doubtful = []
            for each in left:
                if not self._settle(each, began, again):
                    doubtful.append(each)
                await asyncio.sleep(0)  # whatever else the loop does is not held up by many of these
            left = doubtful
            if not left:
                break
        else:
            self._later(max(self._people.wait_s(each.sender) for each in left))
        try:
            await self._take_out(ask)
        except RealmError as error:
            log.warning("sealed messages that are not wanted stay in the inbox: %s", error)

    def _mine(self, params: Mapping[str, Any]) -> _Item | None:
        device = self._own().keys.device.device
        try:
            with shape("chat.sealed"):
                message_id, sender, to = text(params["message_id"]), text(params["from"]), text(params["to"])
                mine = [text(item["jwe"]) for item in params["items"] if item["device"] == device]
        except CodecError as error:
            log.warning("passed over: %s", error)
            return None
        return _Item(message_id, sender, to, mine[0]) if mine and message_id not in self._told else None

    def _settle(self, item: _Item, began: float, again: bool) -> bool:
        """Opens it, or passes it over. False if newer keys of its sender may open it: the realm was not asked about these since
        it came.
        """
        ring = self._own()
        if item.message_id in self._told:
            return True
        try:
            opened = self._opened(ring, item)
        except BadSeal as error:
            asked = item.sender == ring.keys.user_id or self._people.is_asked_since(item.sender, began)
            told = again and error.reason == "identity_changed"  # it waits to be accepted
            if error.reason in OF_KEYS and not asked and not told:
                return False
            self._pass_over(item, error.reason)
            return True
        if any(opened.key == known for known, _ in self._told.values()):
            _keep(self._unwanted, item.message_id, None)  # sealed once more, for a device that had new keys
            return True
        _keep(self._told, item.message_id, (opened.key, opened.at))
        pin = ring.pins.get(item.to if item.sender == ring.keys.user_id else item.sender)
        verified = pin is not None and pin.verified
        self._messages.tell(SealedMessage(item.message_id, item.sender, item.to, opened.text, opened.at, verified))
        return True

    def _opened(self, ring: Keyring, item: _Item) -> Opened:
        own = ring.keys.identity
        said = unseal(item.jwe, ring.keys)
        if item.sender == own.user_id:
            sender = own
        elif item.to != own.user_id:
            raise BadSeal("wrong_receiver")
        else:
            self._people.unchanged(item.sender)
            sender = self._people.known(item.sender).identity
        opened = read(said, sender, item.to, self._clock())
        if opened.key in ring.read:
            raise BadSeal("replayed")
        return opened

    def _pass_over(self, item: _Item, reason: str) -> None:
        if reason in FINAL:
            _keep(self._unwanted, item.message_id, None)
        if self._passed_over.get(item.message_id) != reason:
            _keep(self._passed_over, item.message_id, reason)
            log.warning("a sealed message of %s was not opened: %s", item.sender, reason)
            self._unopened.tell(Unopened(item.message_id, item.sender, reason))

    async def _take_out(self, ask: Ask) -> None:
        while self._unwanted:
            some = list(self._unwanted)[:MOST_READ]
            await ask("sealed.read", {"device": self._own().keys.device.device, "message_ids": [*some]})
            for each in some:
                self._unwanted.pop(each, None)

    def _own(self) -> Keyring:
        if self._ring is None:
            raise BadSeal("no_keys")
        return self._ring


def _keep(kept: dict[str, Kept], key: str, value: Kept) -> None:
    """The newest of them."""
    kept[key] = value
    for oldest in list(kept)[:-REMEMBERED]:
        del kept[oldest]


def _never(_: Mapping[str, Any]) -> Any:
    raise CodecError("told after it was opened")
