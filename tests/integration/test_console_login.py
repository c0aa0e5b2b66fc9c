"""A whole login at the console (row 7.8): invitation, second factor, cookies, and what is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pyotp
import pytest

from cluster import operators
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.security_settings import LoginSettings
from tests.integration.console_rig import API, PASSWORD, ConsoleRig, Visitor, console_rig
from tests.integration.identity_rig import eventually

FAILURES = 3


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[ConsoleRig]:
    login = LoginSettings(failures=FAILURES, lock_s=60.0)
    async with console_rig(valkey_url, nats_url, nats_token, login=login) as made:
        yield made


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["reason"]


async def code_of(rig: ConsoleRig, visitor: Visitor) -> str:
    """One that was not used: the newest step is taken back, as no test waits half a minute for the next."""
    await operators.change(rig.store, visitor.name, lambda record: replace(record, totp_step=0))
    return pyotp.TOTP(visitor.key).now()


async def notes(rig: ConsoleRig) -> list[tuple[str, str, str, str]]:
    log = RedisAuditLog(rig.realm.gateway._runtime.redis, rig.realm.settings.namespace, 1_000)
    return [(each.actor, each.action, each.result, str(each.details.get("why", ""))) for each in await log.newest(100)][
        ::-1
    ]


class TestEnrolment:
    async def test_an_invited_operator_comes_in(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada", "admin")
        me = (await ada.get("me")).json()
        assert (me["name"], me["role"], me["mfa"], me["recovery_left"]) == ("ada", "admin", True, 10)
        assert {"operators.invite", "zones.split", "realm.overview"} <= set(me["operations"])
        assert abs(me["now"] - time.time()) < 5.0
        assert ("operator:ada", "operator.enrol", "done", "") in await notes(rig)

    async def test_the_invitation_shows_one_key_until_it_is_used(self, rig: ConsoleRig) -> None:
        token, eve = await rig.invite("eve", "viewer"), rig.visitor("eve")
        first, second = [(await eve.post("invitation", {"token": token})).json() for _ in range(2)]
        assert first == second
        assert first["uri"].startswith("otpauth://totp/Rayrealm%20test-")
        assert first["secret"] in first["uri"]
        assert first["qr"].startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        assert "style" not in first["qr"]
        body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(first["secret"]).now()}
        accepted = (await eve.post("invitation/accept", body)).json()
        assert len(set(accepted["recovery_codes"])) == 10
        assert accepted["role"] == "viewer"
        assert refused(await eve.post("invitation", {"token": token})) == (404, "invitation_unknown")
        assert refused(await eve.post("invitation/accept", body)) == (404, "invitation_unknown")

    async def test_of_two_who_accept_at_once_one_does(self, rig: ConsoleRig) -> None:
        token, eve = await rig.invite("eve", "viewer"), rig.visitor("eve")
        key = (await eve.post("invitation", {"token": token})).json()["secret"]
        body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(key).now()}
        answers = await asyncio.gather(*(rig.visitor("eve").post("invitation/accept", body) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]

    @pytest.mark.parametrize(
        ("body", "wanted"),
        [
            ({"password": "short"}, (422, "invalid_input")),
            ({"password": "eleven char"}, (422, "invalid_input")),
            ({"password": "a" * 20}, (422, "password_too_common")),
            ({"code": "000000"}, (401, "code_wrong")),
            ({"code": ""}, (401, "code_wrong")),
            ({"token": "rrin.eve.something"}, (404, "invitation_unknown")),
            ({"token": "\x00"}, (404, "invitation_unknown")),
            ({"surprise": 1}, (422, "invalid_input")),
        ],
    )
    async def test_what_is_wrong_is_refused(
        self, rig: ConsoleRig, body: dict[str, Any], wanted: tuple[int, str]
    ) -> None:
        token, eve = await rig.invite("eve", "viewer"), rig.visitor("eve")
        key = (await eve.post("invitation", {"token": token})).json()["secret"]
        right = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(key).now()}
        assert refused(await eve.post("invitation/accept", {**right, **body})) == wanted
        assert (await eve.post("invitation/accept", right)).status_code == 200, "it is not used up by that"

    async def test_it_ends(self, rig: ConsoleRig) -> None:
        given = await operators.invite(rig.store, "eve", "viewer", "command", time.time() - 100.0, 99.0)
        assert refused(await rig.visitor().post("invitation", {"token": given.secret})) == (404, "invitation_unknown")


class TestLogin:
    async def test_password_and_code(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        ada.http.cookies.clear()
        assert refused(await ada.get("me")) == (401, "not_logged_in")
        assert refused(await ada.login()) == (401, "code_needed")
        answer = await ada.login(code=await code_of(rig, ada))
        assert answer.status_code == 200
        assert (await ada.get("me")).json()["name"] == "ada"

    async def test_a_code_works_once(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        code = await code_of(rig, ada)
        assert (await ada.login(code=code)).status_code == 200
        assert refused(await ada.login(code=code)) == (401, "code_wrong")

    async def test_of_many_at_once_with_one_code_one_comes_in(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        code = await code_of(rig, ada)
        answers = await asyncio.gather(*(ada.login(code=code) for _ in range(3)))
        assert [answer.status_code for answer in answers].count(200) == 1

    async def test_a_recovery_code_works_once(self, rig: ConsoleRig) -> None:
        token, eve = await rig.invite("eve", "viewer"), rig.visitor("eve")
        key = (await eve.post("invitation", {"token": token})).json()["secret"]
        body = {"token": token, "password": PASSWORD, "code": pyotp.TOTP(key).now()}
        codes = (await eve.post("invitation/accept", body)).json()["recovery_codes"]
        assert (await eve.login(code=codes[3].upper())).status_code == 200
        assert (await eve.get("me")).json()["recovery_left"] == 9
        assert refused(await eve.login(code=codes[3])) == (401, "code_wrong")
        assert ("operator:eve", "operator.login", "done", "recovery code") in await notes(rig)

    async def test_a_wrong_name_and_a_wrong_password_look_alike(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        answers = [await ada.login("wrong password!"), await rig.visitor("nobody").login("wrong password!")]
        answers.append(await rig.visitor("../operators\x00").login("wrong password!"))
        told = [{k: v for k, v in answer.json().items() if k != "error_id"} for answer in answers]
        assert [refused(answer) for answer in answers] == [(401, "credentials_wrong")] * 3
        assert told[0] == told[1] == told[2]

    async def test_every_failed_step_counts_for_the_lock(self, rig: ConsoleRig) -> None:
        eve = await rig.operator("eve", "viewer")
        assert refused(await eve.login("wrong password!")) == (401, "credentials_wrong")
        assert refused(await eve.login()) == (401, "code_needed")
        assert refused(await eve.login(code="000000")) == (401, "code_wrong")
        locked = await eve.login(code=await code_of(rig, eve))
        assert refused(locked) == (429, "locked")
        assert int(locked.headers["retry-after"]) > 30
        assert (await eve.get("me")).status_code == 200, "who is in stays in"

    async def test_names_of_nobody_are_locked_alike(self, rig: ConsoleRig) -> None:
        stranger = rig.visitor("zoe")
        for _ in range(FAILURES):
            assert refused(await stranger.login("wrong password!")) == (401, "credentials_wrong")
        assert refused(await stranger.login("wrong password!")) == (429, "locked")

    async def test_what_is_written_down(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        await ada.login("wrong password!")
        await ada.post("logout")
        assert [note[:3] for note in await notes(rig)][-2:] == [
            ("operator:ada", "operator.login", "failed"),
            ("operator:ada", "operator.logout", "done"),
        ]
        assert "wrong password!" not in str(await notes(rig))

    async def test_a_logout_ends_the_session(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        kept = ada.cookie
        answer = await ada.post("logout")
        assert answer.status_code == 200
        assert 'rayrealm-operator=""' in answer.headers["set-cookie"]
        ada.http.cookies.set("rayrealm-operator", kept, domain="127.0.0.1", path="/console")
        assert refused(await ada.get("me")) == (401, "not_logged_in")


class TestCookies:
    async def login(self, rig: ConsoleRig, **headers: str) -> Any:
        ada = await rig.operator("ada")
        body = {"name": "ada", "password": PASSWORD, "code": await code_of(rig, ada)}
        answer = await rig.visitor().post("login", body, **headers)
        assert answer.status_code == 200, answer.text
        return SimpleCookie(answer.headers["set-cookie"])

    async def test_in_the_clear(self, rig: ConsoleRig) -> None:
        morsel = (await self.login(rig))["rayrealm-operator"]
        assert morsel["httponly"]
        assert not morsel["secure"]
        assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("strict", "/console", "")

    async def test_over_tls(self, rig: ConsoleRig) -> None:
        host = rig.origin.removeprefix("http://")
        morsel = (await self.login(rig, Origin=f"https://{host}"))["__Host-rayrealm-operator"]
        assert morsel["httponly"]
        assert morsel["secure"]
        assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("strict", "/", "")


class TestForgeries:
    @pytest.mark.parametrize("path", ["logout", "actions/operators.invite", "actions/operators.invite/plan"])
    async def test_csrf_and_origin(self, rig: ConsoleRig, path: str) -> None:
        ada = await rig.operator("ada")
        body = {"name": "eve"}
        assert refused(await ada.post(path, body, **{"X-CSRF-Token": ""})) == (403, "csrf")
        assert refused(await ada.post(path, body, **{"X-CSRF-Token": ada.csrf[:-1]})) == (403, "csrf")
        for origin in ("https://evil.example", "null", ""):
            assert refused(await ada.post(path, body, Origin=origin)) == (403, "origin_refused")
        bare = await ada.http.post(f"{API}/{path}", json=body, headers={"X-CSRF-Token": ada.csrf})
        assert refused(bare) == (403, "origin_refused")
        assert (await ada.get("me")).status_code == 200

    @pytest.mark.parametrize("path", ["login", "invitation", "invitation/accept"])
    async def test_who_is_not_logged_in_comes_from_the_page_too(self, rig: ConsoleRig, path: str) -> None:
        body = {"name": "ada", "password": PASSWORD, "token": "x"}
        answer = await rig.visitor().post(path, body, Origin="https://evil.example")
        assert refused(answer) == (403, "origin_refused")


class TestEnds:
    async def test_another_role_ends_sessions_at_once(self, rig: ConsoleRig) -> None:
        ada, eve = await rig.operator("ada"), await rig.operator("eve", "operator")
        job = await ada.act("operators.role", {"name": "eve", "role": "viewer"})
        assert (job["state"], job["result"]["outcome"]) == ("done", "is viewer")
        assert refused(await eve.get("me")) == (401, "not_logged_in")

    async def test_so_does_a_reset_and_the_invitation_is_told_to_who_ordered_it_alone(self, rig: ConsoleRig) -> None:
        ada, bob, eve = [await rig.operator(name) for name in ("ada", "bob", "eve")]
        job = await ada.act("operators.reset", {"name": "eve"})
        token = job["result"]["token"]
        assert token.startswith("rrin.eve.")
        seen = (await bob.get(f"jobs/{job['id']}")).json()
        assert set(seen["result"]["token"]) == {"*"}
        redis, namespace = rig.realm.gateway._runtime.redis, rig.realm.settings.namespace
        for key in await redis.keys(f"{namespace}:*"):
            assert token.encode() not in (await redis.dump(key) or b""), "no token is kept"
        assert refused(await eve.get("me")) == (401, "not_logged_in")
        assert refused(await eve.login()) == (401, "credentials_wrong")
        assert (await eve.post("invitation", {"token": token})).json()["role"] == "admin"

    async def test_the_last_admin_stays(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        plan = (await ada.post("actions/operators.remove/plan", {"name": "ada"})).json()
        assert plan["warnings"]
        job = await ada.act("operators.remove", {"name": "ada"})
        assert (job["state"], job["error"]) == ("failed", "last admin")
        assert (await ada.get("me")).status_code == 200

    async def test_idle_and_absolute_ends(self, valkey_url: str, nats_url: str, nats_token: str) -> None:
        short = {"idle_s": 0.6, "session_s": 1.5}
        async with console_rig(valkey_url, nats_url, nats_token, console=short) as rig:
            ada, began = await rig.operator("ada"), time.monotonic()
            secret = ada.cookie
            ada.http.cookies.clear()  # a client that keeps it for longer than it is told to
            ada.http.cookies.set("rayrealm-operator", secret, domain="127.0.0.1", path="/console")

            async def out() -> bool:
                return (await ada.get("me")).status_code == 401

            await eventually(out, 5.0)  # asked all the time: not idle
            assert 1.0 < time.monotonic() - began < 4.0
            eve = await rig.operator("eve")
            redis, namespace = rig.realm.gateway._runtime.redis, rig.realm.settings.namespace

            async def idle() -> bool:
                return not await redis.keys(f"{namespace}:operator-session:*")

            await eventually(idle, 5.0)
            assert refused(await eve.get("me")) == (401, "not_logged_in")


class TestWithoutSecondFactor:
    async def test_a_password_is_enough(self, valkey_url: str, nats_url: str, nats_token: str) -> None:
        async with console_rig(valkey_url, nats_url, nats_token, console={"mfa_needed": False}) as rig:
            ada = await rig.operator("ada")
            assert ada.key == ""
            assert (await rig.visitor("ada").login()).status_code == 200
            assert (await rig.visitor().get("login")).json()["mfa"] is False

    async def test_who_has_none_is_not_let_in_where_it_is_needed(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        await operators.change(rig.store, "ada", lambda record: replace(record, totp=""))
        assert refused(await ada.login(code="123456")) == (401, "mfa_missing")


class TestTokens:
    async def test_a_token_for_scripts(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        job = await ada.act("operators.token", {"name": "ada", "role": "viewer", "label": "charts", "for_s": 60.0})
        token = {"Authorization": f"Bearer {job['result']['token']}"}
        script = rig.visitor().http
        me = (await script.get(f"{API}/me", headers=token)).json()
        assert (me["name"], me["role"], me["csrf"]) == ("ada", "viewer", "")
        said = await script.post(f"{API}/actions/operators.invite", json={"name": "eve"}, headers=token)
        assert refused(said) == (403, "role_too_low")
        listed = (await ada.get("operators/list")).json()["operators"][0]["tokens"]
        assert [(each["label"], each["role"]) for each in listed] == [("charts", "viewer")]
        await ada.act("operators.revoke", {"name": "ada", "token": listed[0]["id"]})
        assert refused(await script.get(f"{API}/me", headers=token)) == (401, "token_invalid")

    async def test_it_needs_no_page_and_no_csrf(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        job = await ada.act("operators.token", {"name": "ada", "role": "admin"})
        token = {"Authorization": f"Bearer {job['result']['token']}"}
        answer = await rig.visitor().http.post(
            f"{API}/actions/operators.invite/plan", json={"name": "eve"}, headers=token
        )
        assert answer.status_code == 200

    @pytest.mark.parametrize("sent", ["Bearer", "Bearer rrop.ada.x", "Bearer rrop..x", "Basic YTpi", "Bearer \xff"])
    async def test_others_count_for_nothing(self, rig: ConsoleRig, sent: str) -> None:
        ada = await rig.operator("ada")
        answer = await ada.http.get(f"{API}/me", headers=[(b"Authorization", sent.encode("latin-1"))])
        assert refused(answer) == (401, "token_invalid")


class TestAddresses:
    async def test_others_are_refused_by_the_app_too(self, valkey_url: str, nats_url: str, nats_token: str) -> None:
        edge = {"console_from": ["192.0.2.0/24"]}
        async with console_rig(valkey_url, nats_url, nats_token, edge=edge) as rig:
            visitor = rig.visitor()
            for path in ("/console/", f"{API}/login", f"{API}/openapi.json"):
                assert refused(await visitor.http.get(path)) == (403, "console_refused")
            with pytest.raises(Exception, match="HTTP 403"):
                async with visitor.live("overview"):
                    pass
