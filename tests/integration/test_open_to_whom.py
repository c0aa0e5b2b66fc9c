"""What a realm that is open to the network shows to others (row 6.4): one port, over TLS, and no secret in any arguments."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster.own_realm import own_realm
from tests.real_realm import RealRealm
from tests.servers import free_port

pytestmark = pytest.mark.realm

ANY = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
HERE = ("127.", "::1", "::ffff:127.")
SECRETS = ("valkey/password", "nats/token", "ray-token", "recovery-secret", "edge-secret")
RELOAD_S = 0.5  # how often the launcher looks at the certificate
RENEWED_WITHIN_S = 15.0


@pytest.fixture(scope="module")
def redirect_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory, redirect_port: int) -> Iterator[RealRealm]:
    folder = tmp_path_factory.mktemp("open")
    toml = folder / "realm.toml"
    toml.write_text(
        f"""
host = "0.0.0.0"
[edge.tls]
redirect_port = {redirect_port}
reload_s = {RELOAD_S}
[firewall]
exempt = []
[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
"""
    )
    environment = {"RAYREALM_CONFIG": str(toml), "XDG_STATE_HOME": str(folder / "state")}
    with own_realm(gateways=1, environment=environment, tls=True) as own:
        yield RealRealm(own, environment)


@pytest.fixture
def trust(realm: RealRealm) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=realm.own.authority)


def family(realm: RealRealm) -> list[psutil.Process]:
    launcher = psutil.Process(realm.own.launcher.pid)
    return [launcher, *launcher.children(recursive=True)]


def get(
    realm: RealRealm, trust: ssl.SSLContext, path: str, source: str = "127.0.0.1", **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", realm.port, timeout=10, context=trust, source_address=(source, 0)
    )
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_players_come_over_tls(realm: RealRealm, trust: ssl.SSLContext) -> None:
    assert realm.url == f"https://127.0.0.1:{realm.port}"
    status, body = get(realm, trust, "/v1/healthz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    with pytest.raises(ssl.SSLCertVerificationError):
        get(realm, ssl.create_default_context(), "/v1/healthz")


def test_its_own_programs_trust_it(realm: RealRealm) -> None:
    done = realm.command("bots", "--count", "3", "--seconds", "15", "--url", realm.url)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["logins"] >= 3, done.stderr
    assert summary["moves"] > 0, done.stderr


def test_http_leads_to_https(realm: RealRealm, redirect_port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", redirect_port, timeout=10)
    try:
        connection.request("GET", "/play/?a=1")
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Location"]) == (308, f"https://127.0.0.1:{realm.port}/play/?a=1")
    finally:
        connection.close()


def test_metrics_are_not_for_the_network(realm: RealRealm, trust: ssl.SSLContext) -> None:
    """Whatever a client says of itself; and this machine may."""
    assert get(realm, trust, "/metrics")[0] == 200
    other = next(
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family.name == "AF_INET" and not each.address.startswith("127.")
    )
    forged = {"X_Forwarded_For": "127.0.0.1", "X_Real_IP": "127.0.0.1", "X_Rayrealm_Edge": "1"}
    assert get(realm, trust, "/metrics", source=other, **forged)[0] == 403
    assert get(realm, trust, "/v1/healthz", source=other, **forged)[0] == 200


def test_nothing_else_is_open(realm: RealRealm, redirect_port: int) -> None:
    """Valkey, NATS, Ray, the replicas, HAProxy's pages: all of it on loopback."""
    listening = {
        (process.name(), connection.laddr.ip, connection.laddr.port)
        for process in family(realm)
        for connection in process.net_connections("inet")
        if connection.laddr and (connection.status == psutil.CONN_LISTEN or _hears(process, connection))
    }
    names = {name for name, _, _ in listening}
    assert {"haproxy", "nats-server", "gcs_server", "raylet"} <= names
    opened = {(name, ip, port) for name, ip, port in listening if not ip.startswith(HERE)}
    assert opened == {("haproxy", "0.0.0.0", port) for port in (realm.port, redirect_port)}  # noqa: S104 - compared


def _hears(process: psutil.Process, connection: Any) -> bool:
    """A datagram socket that is for more than HAProxy's log, which it sends from one that it never reads."""
    return bool(connection.status == psutil.CONN_NONE) and process.name() != "haproxy"


def test_servers_on_loopback_want_a_password(realm: RealRealm) -> None:
    """Other users of this machine can reach them."""
    details = json.loads((realm.data / "realm.json").read_text())
    redis_port = int(details["redis_url"].rpartition(":")[2].partition("/")[0])
    nats_port = int(details["nats_url"].rpartition(":")[2])

    async def said(port: int, what: bytes) -> bytes:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(what)
            got = await reader.read(4_096)
            while b"-" not in got:
                more = await reader.read(4_096)
                if not more:
                    break
                got += more
            writer.close()
            return got

    assert b"NOAUTH" in asyncio.run(said(redis_port, b"PING\r\n"))
    nats = asyncio.run(said(nats_port, b'CONNECT {"verbose":false}\r\nPING\r\n'))
    assert b"Authorization Violation" in nats


def test_no_secret_is_in_a_processs_arguments(realm: RealRealm) -> None:
    """All users of a machine may read those."""
    secrets = [(realm.data / name).read_text().strip() for name in SECRETS]
    secrets.append(json.loads((realm.data / "realm.json").read_text())["redis_url"])
    secrets += [
        value
        for key in _dictionaries(json.loads((realm.data / "keys.json").read_text()))
        for name, value in key.items()
        if name in {"private", "private_key", "d", "pem"} and isinstance(value, str)
    ]
    assert len(secrets) > len(SECRETS) + 1
    lines = []
    for entry in Path("/proc").iterdir():
        try:
            lines.append((entry / "cmdline").read_bytes() if entry.name.isdigit() else b"")
        except OSError:  # it has ended
            continue
    everything = b"\n".join(lines)
    assert b"rayrealm" in everything or b"cluster.cli.main" in everything
    assert [number for number, secret in enumerate(secrets) if secret.encode() in everything] == []


def _dictionaries(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _dictionaries(each)
    elif isinstance(value, list):
        for each in value:
            yield from _dictionaries(each)


def test_no_secret_is_in_the_logs(realm: RealRealm) -> None:
    secrets = [(realm.data / name).read_text().strip().encode() for name in SECRETS]
    files = [path for path in (realm.data / "logs").resolve().rglob("*") if path.is_file()]
    files += [realm.own.log, realm.data / "valkey" / "valkey.log", realm.data / "nats" / "nats.log"]
    assert len(files) > 5
    found = [path.name for path in files for secret in secrets if secret in path.read_bytes()]
    assert found == []


def test_folders_are_the_users_own(realm: RealRealm) -> None:
    session = Path(json.loads((realm.data / "realm.json").read_text())["session"])
    for path in (realm.data, session, *(realm.data / name for name in SECRETS), realm.data / "keys.json"):
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.stat().st_uid == os.getuid()


def test_a_new_certificate_under_a_running_realm(realm: RealRealm, trust: ssl.SSLContext) -> None:
    """The launcher makes one when it is time; here, because it is gone. Nobody is disconnected."""

    def serial() -> str:
        connection = http.client.HTTPSConnection("127.0.0.1", realm.port, timeout=10, context=trust)
        try:
            connection.connect()
            assert isinstance(connection.sock, ssl.SSLSocket)
            return str((connection.sock.getpeercert() or {})["serialNumber"])
        finally:
            connection.close()

    before = serial()
    haproxy = sorted(process.pid for process in family(realm) if process.name() == "haproxy")
    (realm.data / "tls" / "certificate.pem").unlink()
    until = time.monotonic() + RENEWED_WITHIN_S
    while serial() == before:
        assert time.monotonic() < until, realm.own.log.read_text()
        time.sleep(RELOAD_S / 5)
    assert "HAProxy uses the new certificate" in realm.own.log.read_text()
    assert sorted(process.pid for process in family(realm) if process.name() == "haproxy") == haproxy
