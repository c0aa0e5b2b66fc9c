"""What operators do to their own login (row 7.8), over the console's real HTTP and real Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pyotp
import pytest

from cluster import operators
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.ports.operators import RoleName
from cluster.security_settings import FirewallSettings, LoginSettings, Rate
from tests.integration.console_rig import API, PASSWORD, ConsoleRig, Visitor, console_rig
from tests.integration.test_console_login import code_of, notes, refused

OTHER = "another long password"
FAILURES = 3


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[ConsoleRig]:
    login = LoginSettings(failures=FAILURES, lock_s=60.0)
    async with console_rig(valkey_url, nats_url, nats_token, login=login) as made:
        yield made


async def again(rig: ConsoleRig, visitor: Visitor) -> Visitor:
    """The same operator, logged in at another browser."""
    other = rig.visitor(visitor.name)
    other.key = visitor.key
    answer = await other.login(code=await code_of(rig, visitor))
    assert answer.status_code == 200, answer.text
    return other


async def sealed(rig: ConsoleRig, name: str) -> str:
    record = await rig.store.get(name)
    assert record is not None
    return record.totp


class TestPassword:
    @pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
    async def test_another_one(self, rig: ConsoleRig, role: RoleName) -> None:
        eve = await rig.operator("eve", role)
        elsewhere, before = await again(rig, eve), eve.csrf
        secret = eve.cookie
        answer = await eve.post("account/password", {"password": PASSWORD, "new": OTHER})
        assert answer.status_code == 200, answer.text
        eve.csrf = answer.json()["csrf"]
        assert eve.cookie != secret
        assert eve.csrf != before
        assert (await eve.get("me")).json()["name"] == "eve", "this login goes on"
        assert (await eve.post("account/sessions/end")).status_code == 200, "with its new CSRF token"
        assert refused(await elsewhere.get("me")) == (401, "not_logged_in")
        assert refused(await eve.login(PASSWORD)) == (401, "credentials_wrong")
        assert (await eve.login(OTHER, await code_of(rig, eve))).status_code == 200
        assert ("operator:eve", "operator.password", "done", "") in await notes(rig)

    @pytest.mark.parametrize(
        ("body", "wanted"),
        [
            ({"password": "wrong password!"}, (422, "invalid_input")),
            ({"password": "\x00"}, (422, "invalid_input")),
            ({"new": "short"}, (422, "invalid_input")),
            ({"new": "a" * 20}, (422, "password_too_common")),
            ({"surprise": 1}, (422, "invalid_input")),
        ],
    )
    async def test_what_is_wrong_changes_nothing(
        self, rig: ConsoleRig, body: dict[str, Any], wanted: tuple[int, str]
    ) -> None:
        eve = await rig.operator("eve", "viewer")
        before = await rig.store.get("eve")
        said = {"password": PASSWORD, "new": OTHER, **body}
        assert refused(await eve.post("account/password", said)) == wanted
        assert await rig.store.get("eve") == before
        assert (await eve.get("me")).status_code == 200

    async def test_guesses_are_counted_with_those_of_logins(self, rig: ConsoleRig) -> None:
        eve = await rig.operator("eve", "viewer")
        for path in ("account/password", "account/recovery", "account/tokens"):
            more = {"new": OTHER} if path == "account/password" else {}
            assert refused(await eve.post(path, {"password": "wrong password!", **more})) == (422, "invalid_input")
        locked = await eve.post("account/password", {"password": PASSWORD, "new": OTHER})
        assert refused(locked) == (429, "locked")
        assert refused(await eve.login(code=await code_of(rig, eve))) == (429, "locked")
        actions = [note[1] for note in await notes(rig) if note[2:] == ("failed", "password")]
        assert actions == ["operator.password", "operator.recovery", "operator.token"]
        assert "wrong password!" not in str(await notes(rig))

    async def test_an_address_has_so_many_tries(self, valkey_url: str, nats_url: str, nats_token: str) -> None:
        login = LoginSettings(attempts_per_address=Rate(per_s=0.001, burst=4))
        async with console_rig(
            valkey_url, nats_url, nats_token, login=login, firewall=FirewallSettings(exempt=())
        ) as rig:
            eve = await rig.operator("eve", "viewer")  # two tries: the invitation is looked at, then accepted
            answers = [await eve.post("account/totp", {"password": PASSWORD, "code": "000000"}) for _ in range(3)]
            assert [refused(answer)[0] for answer in answers] == [422, 422, 429]


class TestFactor:
    async def test_the_old_one_holds_until_the_new_one_is_confirmed(self, rig: ConsoleRig) -> None:
        eve = await rig.operator("eve", "viewer")
        before = await sealed(rig, "eve")
        answer = await eve.post("account/totp", {"password": PASSWORD, "code": await code_of(rig, eve)})
        assert answer.status_code == 200, answer.text
        given = answer.json()
        assert given["secret"] in given["uri"]
        assert given["qr"].startswith("<svg")
        assert given["secret"] != eve.key
        assert await sealed(rig, "eve") == before
        assert (await eve.login(code=await code_of(rig, eve))).status_code == 200, "by the old key"

        wrong = await eve.post("account/totp/confirm", {"enrolment": given["enrolment"], "code": "000000"})
        assert refused(wrong) == (422, "invalid_input")
        body = {"enrolment": given["enrolment"], "code": pyotp.TOTP(given["secret"]).now()}
        assert (await eve.post("account/totp/confirm", body)).status_code == 200
        assert refused(await eve.post("account/totp/confirm", body)) == (404, "enrolment_unknown"), "once"
        assert refused(await eve.login(code=await code_of(rig, eve))) == (401, "code_wrong"), "the old key"
        eve.key = given["secret"]
        assert (await eve.login(code=await code_of(rig, eve))).status_code == 200
        told = [note[1:] for note in await notes(rig) if note[1] == "operator.totp"]
        assert told == [("operator.totp", "failed", "code_wrong"), ("operator.totp", "done", "")]
        assert given["secret"] not in str(await notes(rig))

    async def test_a_recovery_code_stands_for_the_code_of_a_lost_phone(self, rig: ConsoleRig) -> None:
        eve = await rig.operator("eve", "viewer")
        codes = await eve.post("account/recovery", {"password": PASSWORD, "code": await code_of(rig, eve)})
        body = {"password": PASSWORD, "code": codes.json()["recovery_codes"][0]}
        assert (await eve.post("account/totp", body)).status_code == 200
        assert refused(await eve.post("account/totp", body)) == (422, "invalid_input"), "each works once"
        assert (await eve.get("me")).json()["recovery_left"] == 9

    @pytest.mark.parametrize("body", [{"code": ""}, {"code": "000000"}, {"password": "wrong password!"}])
    async def test_it_needs_password_and_code(self, rig: ConsoleRig, body: dict[str, str]) -> None:
        eve = await rig.operator("eve", "viewer")
        said = {"password": PASSWORD, "code": await code_of(rig, eve), **body}
        for path in ("account/totp", "account/recovery"):
            assert refused(await eve.post(path, said)) == (422, "invalid_input")

    async def test_what_was_begun_counts_for_this_login_and_this_operator_alone(self, rig: ConsoleRig) -> None:
        eve, bob = await rig.operator("eve", "viewer"), await rig.operator("bob", "viewer")
        said = {"password": PASSWORD, "code": await code_of(rig, eve)}
        given = (await eve.post("account/totp", said)).json()
        body = {"enrolment": given["enrolment"], "code": pyotp.TOTP(given["secret"]).now()}
        assert refused(await bob.post("account/totp/confirm", body)) == (404, "enrolment_unknown")
        record = await rig.store.get("eve")
        assert record is not None
        forged = {"enrolment": record.totp, "code": await code_of(rig, eve)}
        assert refused(await eve.post("account/totp/confirm", forged)) == (404, "enrolment_unknown")
        answer = await eve.post("account/password", {"password": PASSWORD, "new": OTHER})
        eve.csrf = answer.json()["csrf"]
        assert refused(await eve.post("account/totp/confirm", body)) == (404, "enrolment_unknown")

    async def test_where_none_is_needed(self, valkey_url: str, nats_url: str, nats_token: str) -> None:
        async with console_rig(valkey_url, nats_url, nats_token, console={"mfa_needed": False}) as rig:
            eve = await rig.operator("eve", "viewer")
            for path in ("account/totp", "account/recovery"):
                assert refused(await eve.post(path, {"password": PASSWORD})) == (409, "no_second_factor")
            assert (await eve.post("account/password", {"password": PASSWORD, "new": OTHER})).status_code == 200


class TestRecoveryCodes:
    async def test_the_older_ones_count_no_more(self, rig: ConsoleRig) -> None:
        eve = await rig.operator("eve", "viewer")
        first, second = [
            (await eve.post("account/recovery", {"password": PASSWORD, "code": await code_of(rig, eve)})).json()
            for _ in range(2)
        ]
        assert len(set(first["recovery_codes"]) | set(second["recovery_codes"])) == 20
        assert refused(await eve.login(code=first["recovery_codes"][0])) == (401, "code_wrong")
        assert (await eve.login(code=second["recovery_codes"][0])).status_code == 200
        assert ("operator:eve", "operator.recovery", "done", "") in await notes(rig)


class TestSessions:
    async def test_listed_and_ended(self, rig: ConsoleRig) -> None:
        eve, bob = await rig.operator("eve", "viewer"), await rig.operator("bob", "viewer")
        others = [await again(rig, eve) for _ in range(3)]
        listed = (await eve.get("account/sessions")).json()["sessions"]
        assert [each["own"] for each in listed] == [False, False, False, True]
        assert {each["address"] for each in listed} == {"127.0.0.1"}
        assert all(each["used_at"] >= each["began_at"] - 1.0 > 0.0 for each in listed)

        own = listed[-1]["id"]
        assert refused(await eve.post("account/sessions/end", {"session": own})) == (404, "no_such_session")
        assert refused(await bob.post("account/sessions/end", {"session": own})) == (404, "no_such_session")
        assert (await eve.post("account/sessions/end", {"session": listed[0]["id"]})).json() == {"ended": 1}
        assert refused(await others[-1].get("me")) == (401, "not_logged_in")
        assert (await others[0].get("me")).status_code == 200
        assert (await eve.post("account/sessions/end")).json() == {"ended": 2}
        assert (await eve.post("account/sessions/end")).json() == {"ended": 0}
        assert [(await each.get("me")).status_code for each in (*others, eve, bob)] == [401, 401, 401, 200, 200]
        whys = [note[3] for note in await notes(rig) if note[1] == "operator.sessions_end"]
        assert whys == ["1 ended", "2 ended"]


class TestTokens:
    async def test_ones_own_of_at_most_ones_own_role(self, rig: ConsoleRig) -> None:
        olga = await rig.operator("olga", "operator")
        body = {"password": PASSWORD, "role": "viewer", "label": "charts", "for_s": 60.0}
        made = (await olga.post("account/tokens", body)).json()
        script = {"Authorization": f"Bearer {made['token']}"}
        http = rig.visitor().http
        assert (await http.get(f"{API}/me", headers=script)).json()["role"] == "viewer"
        listed = (await olga.get("account/tokens")).json()["tokens"]
        assert [(each["id"], each["label"], each["role"]) for each in listed] == [(made["id"], "charts", "viewer")]
        more = await olga.post("account/tokens", body | {"role": "admin"})
        assert refused(more) == (422, "invalid_input")
        no = await olga.post("account/tokens", body | {"password": "wrong password!"})
        assert refused(no) == (422, "invalid_input")
        assert (await olga.post("account/tokens/end", {"token": made["id"]})).status_code == 200
        assert refused(await olga.post("account/tokens/end", {"token": made["id"]})) == (404, "no_such_token")
        assert refused(await http.get(f"{API}/me", headers=script)) == (401, "token_invalid")
        log = RedisAuditLog(rig.realm.gateway._runtime.redis, rig.realm.settings.namespace, 1_000)
        assert made["token"] not in str(await log.newest(100))
        told = [note[1:3] for note in await notes(rig) if note[1].startswith("operator.token")]
        assert told == [("operator.token", "done"), ("operator.token", "failed"), ("operator.token_end", "done")]

    async def test_a_token_does_nothing_to_the_login(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        made = (await ada.post("account/tokens", {"password": PASSWORD, "role": "admin"})).json()
        script = {"Authorization": f"Bearer {made['token']}"}
        bodies: dict[str, dict[str, Any]] = {
            "password": {"password": PASSWORD, "new": OTHER},
            "totp": {"password": PASSWORD},
            "totp/confirm": {"enrolment": "x", "code": "000000"},
            "recovery": {"password": PASSWORD},
            "sessions/end": {},
            "tokens": {"password": PASSWORD},
            "tokens/end": {"token": made["id"]},
        }
        for path, body in bodies.items():
            answer = await rig.visitor().http.post(f"{API}/account/{path}", json=body, headers=script)
            assert refused(answer) == (403, "session_needed"), path
        answer = await rig.visitor().http.get(f"{API}/account/sessions", headers=script)
        assert refused(answer) == (403, "session_needed")


class TestForgeries:
    @pytest.mark.parametrize(
        "path", ["password", "totp", "totp/confirm", "recovery", "sessions/end", "tokens", "tokens/end"]
    )
    async def test_csrf_and_origin(self, rig: ConsoleRig, path: str) -> None:
        eve = await rig.operator("eve", "viewer")
        assert refused(await eve.post(f"account/{path}", {}, **{"X-CSRF-Token": ""})) == (403, "csrf")
        strange = await eve.post(f"account/{path}", {}, Origin="https://evil.example")
        assert refused(strange) == (403, "origin_refused")
        assert refused(await rig.visitor().post(f"account/{path}", {})) == (401, "not_logged_in")


async def test_a_reset_meanwhile_ends_what_was_begun(rig: ConsoleRig) -> None:
    eve = await rig.operator("eve", "viewer")
    await operators.change(rig.store, "eve", lambda record: replace(record, generation="another"))
    assert refused(await eve.post("account/password", {"password": PASSWORD, "new": OTHER})) == (401, "not_logged_in")
