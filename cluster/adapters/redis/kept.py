"""The stores of what the realm keeps on its users, for operations (cluster/operations/desk.py)."""

from __future__ import annotations

from redis.asyncio import Redis

from cluster.adapters.redis.chat import RedisChatStore
from cluster.adapters.redis.device_keys import RedisDeviceKeys
from cluster.adapters.redis.log_levels import RedisLogLevels
from cluster.adapters.redis.parties import RedisPartyStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.operations.desk import Kept


def kept(client: Redis, namespace: str) -> Kept:
    return Kept(
        RedisSocialStore(client, namespace),
        RedisPartyStore(client, namespace),
        RedisChatStore(client, namespace),
        RedisDeviceKeys(client, namespace),
        RedisTopicLog(client, namespace),
        RedisLogLevels(client, namespace),
    )
