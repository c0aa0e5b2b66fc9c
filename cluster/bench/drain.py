"""A gateway gives up its sockets while their players walk: the longest that any of them saw nothing, and what they missed (row 7.9)."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import uvloop

from cluster.bench.fleet import REQUEST_S, Fleet, until
from cluster.bench.plan import side_of
from cluster.bench.realm_under_test import RunningRealm, crowd_config, realm_under_test
from cluster.bench.returning import Returning
from cluster.bench.walker import Walker
from cluster.errors import Ours
from rayrealm_client.codec import Notification, OwnMove, encode
from rayrealm_client.errors import RealmError
from rayrealm_client.models import Character, Ready, World

GATEWAYS = 2
SEED = 6
CHANNEL = "drain"
SAY_EVERY_S = 1.0
MOVES_HZ = 10.0
GROUPS = 10
SPEED_M_S = 5.0
CALM_S = 5.0
HEAR_S = 20.0
RESTART = 1012
MARGIN_M = 5.0
AGAIN_S = 0.5
