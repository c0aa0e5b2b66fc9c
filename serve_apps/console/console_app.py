"""The console as a Ray Serve deployment: one replica, with its own connections to Redis and NATS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from ray import serve
from ray.serve import Application

import serve_apps.play
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.jobs import RedisJobs
from cluster.adapters.redis.kept import kept
from cluster.adapters.redis.limits import RedisLimiter
from cluster.adapters.redis.lockouts import RedisLockouts
from cluster.adapters.redis.operators import RedisOperators
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.runtime import OpenRuntime, Runtime, open_runtime
from cluster.adapters.serve_scale import scale_from_inside
from cluster.beats import Beats
from cluster.errors import InvalidInput, StartRefused
from cluster.limiting import SharedLimits
from cluster.operations.all import registry
from cluster.operations.desk import Desk
from cluster.operations.model import Registry
from cluster.publishing import Publisher
from cluster.realm import Realm
from cluster.security.totp import Sealer
from cluster.telemetry.console_metrics import ConsoleMetrics
from cluster.world_control import asking, responder
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.password_rules import PasswordRules
from serve_apps.accounts.passwords import Passwords
from serve_apps.console.accounts import OperatorAccounts, least_password
from serve_apps.console.feed import Feed
from serve_apps.console.history import History, told
from serve_apps.console.http import build_http
from serve_apps.console.jobs import LEASE_S, POLL_S, Jobs
from serve_apps.console.live import Topics
from serve_apps.console.logs import LogLines
from serve_apps.console.routes import ConsoleDeps
from serve_apps.console.sampling import keep_sampling

NAME = "console"
MAX_ONGOING = 1_000

log = structlog.get_logger(__name__)


def page_folder() -> Path:
    """Inside the package where it was installed, beside it in a checkout. Raises StartRefused."""
    package = Path(serve_apps.play.__file__).parent
    for folder in (package / "web" / "console", package.parent.parent / "clients" / "web" / "console"):
        if (folder / "index.html").is_file():
            return folder
    raise StartRefused(f"the console's page is missing from {package}: install rayrealm again")


def desk_of(runtime: Runtime, beats: Beats, ask_console: Callable[..., Any]) -> Desk:
    """The realm's own stores and bus."""
    client, namespace, settings = runtime.redis, runtime.realm.settings.namespace, runtime.realm.settings
    return Desk(
        namespace=namespace,
        subjects=runtime.subjects,
        bus=runtime.bus,
        beats=beats,
        accounts=RedisAccounts(client, namespace),
        characters=RedisCharacters(client, namespace),
        bans=RedisBans(client, namespace),
        protection=RedisProtection(client, namespace),
        sessions=RedisSessionStore(client, namespace),
        audit=RedisAuditLog(client, namespace, settings.abuse.audit_log),
        publisher=Publisher(
            RedisTopicLog(client, namespace), runtime.bus, runtime.subjects, settings.session.topic_log
        ),
        settings=settings.console,
        clock=time.monotonic,
        now=time.time,
        pause=asyncio.sleep,
        scale=scale_from_inside(),
        ask_world=asking(runtime.bus, runtime.subjects.world_control(), time.monotonic, asyncio.sleep),
        kept=kept(client, namespace),
        operators=RedisOperators(client, namespace),
        ask_console=ask_console,
    )


async def start(
    realm: Realm,
    open_with: OpenRuntime = open_runtime,
    operations: Registry | None = None,
    page: Path | None = None,
    lease_s: float = LEASE_S,
    poll_s: float = POLL_S,
) -> FastAPI:
    """The app over real connections, which its lifespan closes. `operations`: all of them; `page`: its folder."""
    settings, made = realm.settings, operations or registry()
    metrics = ConsoleMetrics()
    runtime = await open_with(realm, NAME, NAME, metrics.registry)
    beats, lines = Beats(time.monotonic), LogLines(settings.console.log_lines)
    history = History(settings.console.samples_s, settings.console.history_s, time.time())

    async def tell_history(names: list[str]) -> dict[str, Any]:
        return told(history, names)

    asked = {"history": tell_history}

    async def ask_console(method: str, params: dict[str, Any]) -> Any:
        return await asked[method](**params)

    desk = desk_of(runtime, beats, ask_console)
    job_store = RedisJobs(runtime.redis, settings.namespace)
    running = Jobs(desk, made, job_store, lease_s=lease_s, poll_s=poll_s)
    passwords = Passwords(settings.accounts)
    accounts = OperatorAccounts(
        realm=settings.realm,
        settings=settings.console,
        store=desk.operators,
        audit=desk.audit,
        passwords=passwords,
        rules=PasswordRules(settings.login, settings.realm),
        guard=LoginGuard(
            settings.login,
            settings.firewall.exempt,
            SharedLimits(
                RedisLimiter(runtime.redis, f"{settings.namespace}:console"),
                settings.limits.without_store,
                time.monotonic,
            ),
            RedisLockouts(runtime.redis, settings.namespace),
        ),
        sealer=Sealer(realm.recovery_secret),
        min_password=least_password(settings.login.min_password),
        clock=time.time,
    )
    deps = ConsoleDeps(desk, made, accounts, running, job_store, page or page_folder())
    feed = Feed(Topics(deps, history, lines).make, settings.console.push_s, time.time)

    metrics.watch(running, feed)

    def heard(data: bytes) -> None:
        try:
            beats.heard(data)
        except InvalidInput as error:  # of a process of another version
            log.debug("beat_not_read", why=str(error))

    await runtime.bus.subscribe(runtime.subjects.beats(), heard)
    await runtime.bus.subscribe(runtime.subjects.process_logs(), lines.take)
    await runtime.bus.respond(runtime.subjects.console_control(), responder(asked))
    runtime.beating.add(lambda: {"readers": feed.readers, "history_bytes": history.nbytes})

    running.start()
    sampling = asyncio.create_task(keep_sampling(history, beats, settings.console.samples_s, time.time))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        sampling.cancel()
        feed.stop()
        await running.stop()
        passwords.close()
        await runtime.close()

    return build_http(deps, feed, settings.edge.console_from, realm.edge_secret, lifespan, metrics.answered)


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=MAX_ONGOING,
    ray_actor_options={"num_cpus": 0},
    health_check_period_s=2.0,
    health_check_timeout_s=5.0,
    graceful_shutdown_timeout_s=5.0,
)
@serve.ingress()
class Console:
    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Serve calls this on the replica's loop, then runs the app's lifespan."""
        return await start(self._realm)


def build(realm: Realm) -> Application:
    """The application for cluster/launch.py, by import string."""
    deployment: Any = Console
    application: Application = deployment.bind(realm.without_private_keys())
    return application
