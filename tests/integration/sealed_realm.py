"""A realm in a process of its own: `python -m tests.integration.sealed_realm`, with what it needs as JSON on its standard input.

Prints its address and a token for each user, and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from tests.local_realm import local_realm


async def main() -> None:
    asked = json.loads(sys.stdin.readline())
    async with local_realm(asked["valkey"], asked["nats"], asked["nats_token"], asked["namespace"]) as realm:
        told = {"url": realm.url, "tokens": {user: realm.token(user) for user in asked["users"]}}
        sys.stdout.write(f"\n{json.dumps({'realm': told})}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
