from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from cluster.errors import Conflict, InvalidInput, NotFound, Ours, Unauthorized, Unavailable
from cluster.ports.accounts import TokenReused
from cluster.ports.protection import Revocation
from cluster.security.keys import KeyRing
from cluster.security.lifetimes import access_s
from serve_apps.accounts.passwords import Passwords
from serve_apps.accounts.service import AccountService
from tests.unit.serve_apps.accounts.conftest import CHEAP, NOW, World, checker_of

PASSWORD = "correct horse"
FULL, AWAY = InvalidInput([("subject", "too many")]), Unavailable("redis")


def refuse(monkeypatch: pytest.MonkeyPatch, service: AccountService, error: Exception) -> None:
    """The table of revocations takes none."""

    async def revoke(revocation: Revocation) -> None:
        raise error

    monkeypatch.setattr(service.protection, "revoke", revoke)


async def entries_of(service: AccountService) -> tuple[Revocation, ...]:
    held = await service.protection.load(-1)
    assert held is not None
    return held.revocations


class TestLogin:
    async def test_registering_logs_in(self, service: AccountService) -> None:
        tokens = await service.register("ada", PASSWORD)
        claims = await service.authenticate(tokens.access_token)
        assert claims.user_id == tokens.user_id
        assert tokens.user_id.startswith("usr_")
        assert tokens.expires_in == CHEAP.access_ttl_s == claims.expires_at - NOW

    async def test_a_taken_name_costs_no_hash(self, service: AccountService, monkeypatch: pytest.MonkeyPatch) -> None:
        await service.register("ada", PASSWORD)

        async def refuse(password: str) -> str:
            raise AssertionError("hashed for nothing")

        monkeypatch.setattr(service.passwords, "hash", refuse)
        with pytest.raises(Conflict, match="username taken"):
            await service.register("ada", "another password")

    async def test_of_two_at_once_one_registers(self, service: AccountService) -> None:
        results = await asyncio.gather(*(service.register("ada", PASSWORD) for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(result, Conflict) for result in results) == 4

    @pytest.mark.parametrize("username", ["ada", "ADA", "Ada"])
    async def test_the_case_of_a_username_does_not_matter(self, service: AccountService, username: str) -> None:
        registered = await service.register("ada", PASSWORD)
        assert (await service.login(username, PASSWORD)).user_id == registered.user_id

    async def test_a_password_may_be_typed_in_two_ways(self, service: AccountService) -> None:
        await service.register("ada", "caf\u00e9 au lait")
        await service.login("ada", "cafe\u0301 au lait")

    @pytest.mark.parametrize(
        ("username", "password"),
        [
            ("ada", "wrong horse"),
            ("eve", PASSWORD),
            ("ada", ""),
            ("ada", "x" * 200),
            ("a", PASSWORD),
            ("ada\n", PASSWORD),
            ("аda", PASSWORD),
        ],
    )
    async def test_wrong_credentials_look_alike_and_cost_alike(
        self, service: AccountService, monkeypatch: pytest.MonkeyPatch, username: str, password: str
    ) -> None:
        await service.register("ada", PASSWORD)
        calls = 0
        verify = Passwords.verify

        async def counting(self: Passwords, stored: str | None, password: str) -> object:
            nonlocal calls
            calls += 1
            return await verify(self, stored, password)

        monkeypatch.setattr(Passwords, "verify", counting)
        with pytest.raises(Unauthorized) as refused:
            await service.login(username, password)
        assert (refused.value.reason, str(refused.value)) == ("bad_credentials", "wrong username or password")
        assert calls == 1

    async def test_old_parameters_are_replaced_at_login(self, service: AccountService) -> None:
        old = Passwords(CHEAP.model_copy(update={"argon2_time_cost": 2}))
        await replace(service, passwords=old).register("ada", PASSWORD)
        old.close()
        before = await service.accounts.by_username("ada")
        await service.login("ada", PASSWORD)
        after = await service.accounts.by_username("ada")
        assert before is not None
        assert after is not None
        assert "t=2" in before.password_hash
        assert "t=1" in after.password_hash
        await service.login("ada", PASSWORD)
        assert await service.accounts.by_username("ada") == after

    async def test_a_process_without_the_private_key_gives_no_tokens(self, service: AccountService) -> None:
        public = replace(service, checker=checker_of(service.settings, service.keys.public_only()))
        with pytest.raises(Ours):
            await public.register("ada", PASSWORD)


class TestAccess:
    async def test_it_ends(self, service: AccountService, world: World) -> None:
        token = (await service.register("ada", PASSWORD)).access_token
        world.now += CHEAP.access_ttl_s + CHEAP.clock_skew_s - 0.01
        (await service.authenticate(token))
        world.now += 0.01
        with pytest.raises(Unauthorized, match="token expired"):
            (await service.authenticate(token))

    async def test_another_realm(self, service: AccountService) -> None:
        token = (await service.register("ada", PASSWORD)).access_token
        other = replace(
            service, checker=checker_of(service.settings.model_copy(update={"realm": "other"}), service.keys)
        )
        with pytest.raises(Unauthorized, match="token invalid"):
            (await other.authenticate(token))

    async def test_rotated_keys(self, service: AccountService, world: World) -> None:
        token = (await service.register("ada", PASSWORD)).access_token
        keys = service.keys.rotated(NOW, CHEAP.access_ttl_s)
        rotated = replace(service, checker=checker_of(service.settings, keys))
        assert (await rotated.authenticate(token)) == (await service.authenticate(token))
        with pytest.raises(Unauthorized):
            await replace(service, checker=checker_of(service.settings, KeyRing.create(NOW))).authenticate(token)


class TestRoles:
    async def test_who_is_named_in_the_settings_has_one_from_login_and_refresh(self, service: AccountService) -> None:
        accounts = CHEAP.model_copy(update={"roles": {"ada": "moderator"}})
        service = replace(service, settings=service.settings.model_copy(update={"accounts": accounts}))
        for username, role in (("ada", "moderator"), ("eve", "player")):
            first = await service.register(username, PASSWORD)
            again = await service.login(username.upper(), PASSWORD)
            fresh = await service.refresh(first.refresh_token)
            assert [(await service.authenticate(t.access_token)).role for t in (first, again, fresh)] == [role] * 3

    async def test_who_has_none_any_more_is_a_player_with_the_next_token(self, service: AccountService) -> None:
        settings, tokens = service.settings, await service.register("ada", PASSWORD)
        for roles, role in (({"ada": "operator"}, "operator"), ({"eve": "operator"}, "player"), ({}, "player")):
            accounts = CHEAP.model_copy(update={"roles": roles})
            service = replace(service, settings=settings.model_copy(update={"accounts": accounts}))
            tokens = await service.refresh(tokens.refresh_token)
            assert (await service.authenticate(tokens.access_token)).role == role


async def test_premium_is_in_the_token(service: AccountService) -> None:
    accounts = CHEAP.model_copy(update={"premium": frozenset({"ada"})})
    service = replace(service, settings=service.settings.model_copy(update={"accounts": accounts}))
    for username, premium in (("ada", True), ("eve", False)):
        first = await service.register(username, PASSWORD)
        fresh = await service.refresh(first.refresh_token)
        assert [(await service.authenticate(t.access_token)).premium for t in (first, fresh)] == [premium] * 2


class TestRefresh:
    async def test_a_chain(self, service: AccountService, world: World) -> None:
        first = await service.register("ada", PASSWORD)
        seen = {first.refresh_token}
        tokens = first
        for _ in range(4):
            world.now += CHEAP.refresh_ttl_s - 1  # each use begins the time anew
            tokens = await service.refresh(tokens.refresh_token)
            assert tokens.user_id == first.user_id
            assert (await service.authenticate(tokens.access_token)).user_id == first.user_id
            seen.add(tokens.refresh_token)
        assert len(seen) == 5

    async def test_a_second_use_ends_the_family_and_is_logged(self, service: AccountService) -> None:
        first = await service.register("ada", PASSWORD)
        elsewhere = await service.login("ada", PASSWORD)
        second = await service.refresh(first.refresh_token)
        with capture_logs() as logs, pytest.raises(TokenReused):
            await service.refresh(first.refresh_token)
        assert [(entry["event"], entry["user_id"]) for entry in logs] == [("refresh_token_reused", first.user_id)]
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(second.refresh_token)
        assert (await service.refresh(elsewhere.refresh_token)).user_id == first.user_id

    async def test_a_second_use_ends_the_access_tokens_that_came_of_it(self, service: AccountService) -> None:
        first, elsewhere = await service.register("ada", PASSWORD), await service.login("ada", PASSWORD)
        second = await service.refresh(first.refresh_token)
        with pytest.raises(TokenReused):
            await service.refresh(first.refresh_token)
        await service.look()
        for tokens in (first, second):
            with pytest.raises(Unauthorized, match="token revoked"):
                await service.authenticate(tokens.access_token)
        await service.authenticate(elsewhere.access_token)

    async def test_a_revoked_user_gets_no_more_tokens_without_a_login(
        self, service: AccountService, world: World
    ) -> None:
        old = await service.register("ada", PASSWORD)
        world.now += 10.0
        await service.protection.revoke(Revocation("user", old.user_id, world.now, world.now + 1e6))
        with pytest.raises(Unauthorized, match="token revoked"):
            await service.refresh(old.refresh_token)
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(old.refresh_token)
        fresh = await service.login("ada", PASSWORD)
        await service.authenticate((await service.refresh(fresh.refresh_token)).access_token)

    async def test_from_a_socket_the_same_call_may_come_again(self, service: AccountService, world: World) -> None:
        first = await service.register("ada", PASSWORD)
        second = await service.refresh(first.refresh_token, first.user_id, "ses_1")
        world.now += 50.0
        again = await service.refresh(first.refresh_token, first.user_id, "ses_1")
        assert again.refresh_token == second.refresh_token
        third = await service.refresh(again.refresh_token, first.user_id, "ses_1")
        assert third.refresh_token not in (first.refresh_token, second.refresh_token)
        with pytest.raises(TokenReused):
            await service.refresh(first.refresh_token, first.user_id, "ses_1")

    async def test_much_later_it_is_a_second_use(self, service: AccountService, world: World) -> None:
        first = await service.register("ada", PASSWORD)
        await service.refresh(first.refresh_token, first.user_id, "ses_1")
        world.now += 61.0
        with pytest.raises(TokenReused):
            await service.refresh(first.refresh_token, first.user_id, "ses_1")

    async def test_from_another_socket_of_the_user_it_is_a_second_use(self, service: AccountService) -> None:
        """A thief with an access token has a socket of that user, too."""
        first = await service.register("ada", PASSWORD)
        second = await service.refresh(first.refresh_token, first.user_id, "ses_1")
        with pytest.raises(TokenReused):
            await service.refresh(first.refresh_token, first.user_id, "ses_2")
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(second.refresh_token, first.user_id, "ses_1")
        await service.look()
        with pytest.raises(Unauthorized, match="token revoked"):
            await service.authenticate(second.access_token)

    @pytest.mark.parametrize(("error", "outcome"), [(FULL, "full"), (AWAY, "unavailable")])
    async def test_a_second_use_is_one_when_nothing_can_be_written_down(
        self, service: AccountService, monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str
    ) -> None:
        first = await service.register("ada", PASSWORD)
        second = await service.refresh(first.refresh_token)
        refuse(monkeypatch, service, error)
        counted: list[str] = []
        with pytest.raises(TokenReused):
            await replace(service, revoked=counted.append).refresh(first.refresh_token)
        assert counted == [outcome]
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(second.refresh_token)

    async def test_anothers_token_ends_that_login(self, service: AccountService) -> None:
        ada, eve = await service.register("ada", PASSWORD), await service.register("eve", PASSWORD)
        with pytest.raises(Unauthorized, match="other user"):
            await service.refresh(ada.refresh_token, eve.user_id)
        await service.look()
        with pytest.raises(Unauthorized):
            await service.refresh(ada.refresh_token)
        with pytest.raises(Unauthorized, match="token revoked"):
            await service.authenticate(ada.access_token)
        await service.authenticate(eve.access_token)

    async def test_logging_out_ends_all_that_came_of_the_login(self, service: AccountService, world: World) -> None:
        told: list[float] = []
        service = replace(service, changed=lambda: told.append(world.now))
        first, elsewhere = await service.register("ada", PASSWORD), await service.login("ada", PASSWORD)
        second = await service.refresh(first.refresh_token)
        await service.logout(second.refresh_token)
        assert told == [NOW]
        await service.logout(second.refresh_token)
        await service.logout("rrt_unknown")
        assert told == [NOW], "nobody can make processes look by logging out again and again"
        await service.look()
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(second.refresh_token)
        for tokens in (first, second):
            with pytest.raises(Unauthorized, match="token revoked"):
                await service.authenticate(tokens.access_token)
        await service.authenticate(elsewhere.access_token)
        entries = await entries_of(service)
        assert [(entry.kind, entry.until) for entry in entries] == [("family", NOW + access_s(service.settings))]

    @pytest.mark.parametrize(("error", "outcome"), [(FULL, "full"), (AWAY, "unavailable")])
    async def test_logging_out_ends_the_family_when_nothing_can_be_written_down(
        self, service: AccountService, monkeypatch: pytest.MonkeyPatch, error: Exception, outcome: str
    ) -> None:
        tokens = await service.register("ada", PASSWORD)
        refuse(monkeypatch, service, error)
        counted: list[str] = []
        await replace(service, revoked=counted.append).logout(tokens.refresh_token)
        assert counted == [outcome]
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(tokens.refresh_token)

    async def test_it_ends(self, service: AccountService, world: World) -> None:
        tokens = await service.register("ada", PASSWORD)
        world.now += CHEAP.refresh_ttl_s
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(tokens.refresh_token)

    @pytest.mark.parametrize("token", ["", "rrt_", "x" * 1024, "é"])
    async def test_what_is_no_token(self, service: AccountService, token: str) -> None:
        with pytest.raises(Unauthorized, match="token invalid"):
            await service.refresh(token)
        await service.logout(token)

    async def test_only_digests_reach_the_store(self, service: AccountService, monkeypatch: pytest.MonkeyPatch) -> None:
        stored: list[str] = []
        start = type(service.refresh_tokens).start

        async def spy(self: object, family_id: str, user_id: str, token_hash: str, *rest: float) -> None:
            stored.append(token_hash)
            await start(service.refresh_tokens, family_id, user_id, token_hash, *rest)

        monkeypatch.setattr(type(service.refresh_tokens), "start", spy)
        tokens = await service.register("ada", PASSWORD)
        assert stored == [hashlib.sha256(tokens.refresh_token.encode()).hexdigest()]
        assert len(tokens.refresh_token) >= 43  # 256 bits in base64


class TestCharacters:
    async def test_new_ones_stand_about_the_middle_of_the_spawn_zone(self, service: AccountService) -> None:
        character = await service.create_character("usr_1", "Ada")
        other = await service.create_character("usr_1", "Borin")
        assert (character.zone, character.y) == ("zon_meadow", 0.0)
        assert all(94.0 <= c <= 106.0 for c in (character.x, character.z, other.x, other.z))
        assert (character.x, character.z) != (other.x, other.z)
        assert character.created_at == NOW
        assert character.character_id.startswith("chr_")
        listed = await service.list_characters("usr_1")
        assert sorted(c.name for c in listed) == ["Ada", "Borin"]

    async def test_names_and_numbers_are_limited(self, service: AccountService) -> None:
        for n in range(CHEAP.max_characters):
            await service.create_character("usr_1", f"Ada {n}")
        with pytest.raises(Conflict, match="too many characters"):
            await service.create_character("usr_1", "One more")
        with pytest.raises(Conflict, match="name taken"):
            await service.create_character("usr_2", "ADA 1")

    async def test_one_in_the_world_stays(self, service: AccountService, world: World) -> None:
        character = await service.create_character("usr_1", "Ada")
        world.live_sessions.add("ses_1")
        await service.characters.claim(character.character_id, "usr_1", "ses_1")
        with pytest.raises(Conflict, match="in world"):
            await service.delete_character("usr_1", character.character_id)
        world.live_sessions.clear()
        with pytest.raises(NotFound):
            await service.delete_character("usr_2", character.character_id)
        await service.delete_character("usr_1", character.character_id)
        assert await service.list_characters("usr_1") == []


async def test_no_secret_is_logged(service: AccountService) -> None:
    with capture_logs() as logs:
        tokens = await service.register("ada", PASSWORD)
        more = await service.login("ada", PASSWORD)
        with pytest.raises(Unauthorized):
            await service.login("ada", "wrong horse")
        await service.refresh(tokens.refresh_token)
        with pytest.raises(TokenReused):
            await service.refresh(tokens.refresh_token)
        await service.logout(more.refresh_token)
    assert logs
    text = repr(logs)
    secrets = [PASSWORD, "wrong horse", tokens.refresh_token, tokens.access_token, more.refresh_token]
    assert not [secret for secret in secrets if secret in text or secret[:20] in text]
    assert PASSWORD not in repr(service)
