"""How many players are in each zone, and how often which status was chosen: a service that reads Rayrealm's event streams.

Needs nothing of Rayrealm, only `pip install nats-py`. Run it as often as you like: all of them together get every event once.

    python analytics.py --server nats://127.0.0.1:4222 --token SECRET
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from itertools import compress
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NothingCame
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError, ServiceUnavailableError

PATIENCE_S = 1.0  # how long to wait for the next events before looking at the clock
BATCH = 100


class Analytics:
    """What the presence events say. Of each user the newest version counts: events may come twice, or out of order."""

    def __init__(self) -> None:
        self.status_changes: Counter[str] = Counter()
        self._newest: dict[str, dict[str, Any]] = {}

    def take(self, event: dict[str, Any]) -> None:
        known = self._newest.get(event["user_id"])
        if known is not None and known["version"] >= event["version"]:
            return
        if known is None or known["status"] != event["status"]:
            self.status_changes[event["status"]] += 1
        self._newest[event["user_id"]] = event

    @property
    def players_by_zone(self) -> dict[str, int]:
        """Of the users that events have told of."""
        zones = (event["zone"] for event in self._newest.values() if event["status"] != "offline" and event["zone"])
        return dict(Counter(zones))


async def subscribe(client: Client, options: argparse.Namespace) -> JetStreamContext.PullSubscription:
    """One durable consumer for all who run with the same name: JetStream gives each event to one of them."""
    prefix = options.prefix
    stream = f"{prefix.upper()}_PRESENCE" if prefix else "PRESENCE"
    subject = f"{prefix}.presence.user.*" if prefix else "presence.user.*"
    config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=options.again)
    return await client.jetstream().pull_subscribe(subject, durable=options.durable, stream=stream, config=config)


async def acknowledged(message: Msg) -> bool:
    """Whether JetStream says that the event is ours. If not, it gives it again, to us or to somebody else."""
    try:
        await message.ack_sync(timeout=PATIENCE_S)
    except (NothingCame, NoRespondersError):
        return False
    return True


async def run(options: argparse.Namespace) -> None:
    client = await nats.connect(options.server, token=options.token or None, max_reconnect_attempts=-1)
    loop = asyncio.get_running_loop()
    until = loop.time() + options.seconds if options.seconds else float("inf")
    analytics, taken = Analytics(), 0
    subscription = None
    while loop.time() < until and (not options.count or taken < options.count):
        left = options.count - taken if options.count else BATCH
        try:
            if subscription is None:
                subscription = await subscribe(client, options)
                print("reading", flush=True)
            messages = await subscription.fetch(min(BATCH, left), timeout=PATIENCE_S)
            events = [json.loads(message.data) for message in messages]
            for event in events:
                analytics.take(event)
            # Only now: who is killed before this line leaves the events to somebody else.
            ours = await asyncio.gather(*map(acknowledged, messages))
            taken += sum(ours)
            if options.verbose:
                for event in compress(events, ours):
                    print(f"event {event['user_id']} {event['version']}", flush=True)
        except NothingCame:
            continue
        except (NotFoundError, ServiceUnavailableError, NoRespondersError):  # no stream yet, or the server just starts
            subscription = None
            await asyncio.sleep(PATIENCE_S)
    await client.close()
    summary = {
        "events": taken,
        "players_by_zone": analytics.players_by_zone,
        "status_changes": analytics.status_changes,
    }
    print(json.dumps(summary))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="nats://127.0.0.1:4222", help="the NATS that the realm uses")
    parser.add_argument("--token", default="", help="its token, if it wants one")
    parser.add_argument("--prefix", default="", help="the realm's events.prefix")
    parser.add_argument("--durable", default="analytics", help="the consumer's name")
    parser.add_argument(
        "--again", type=float, default=30.0, help="seconds after which an event that nobody acknowledged is given again"
    )
    parser.add_argument("--count", type=int, default=0, help="end after so many events")
    parser.add_argument("--seconds", type=float, default=0.0, help="end after so long")
    parser.add_argument("--verbose", action="store_true", help="print each event's user and version")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
