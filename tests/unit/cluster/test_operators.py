"""What can be done to operators' records (cluster/operators.py)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster import operators
from cluster.adapters.memory.operators import MemoryOperators
from cluster.errors import Conflict, InvalidInput, NotFound, Unavailable
from cluster.ports.operators import MOST_TOKENS, OperatorRecord

NOW = 1_000.0


@pytest.fixture
def store() -> MemoryOperators:
    return MemoryOperators(lambda: NOW)


async def active(store: MemoryOperators, name: str = "ada", role: str = "admin") -> OperatorRecord:
    record = OperatorRecord(name, role, "g", NOW, "x", password="hash", totp="sealed")  # type: ignore[arg-type]
    await store.save(record, None)
    return record


@pytest.mark.parametrize("name", ["ada", "Ada", "a-b_c9", "x" * 32])
def test_names(name: str) -> None:
    assert operators.clean_name(name) == name.lower()


@pytest.mark.parametrize("name", ["", "a", "9ada", "a b", "a.b", "ädä", "x" * 33, "ada\n"])
def test_no_names(name: str) -> None:
    with pytest.raises(InvalidInput):
        operators.clean_name(name)


async def test_an_invitation_counts_once_it_is_shown_and_until_it_ends(store: MemoryOperators) -> None:
    given = await operators.invite(store, "Ada", "operator", "operator:eve", NOW, 60.0)
    assert given.secret.startswith("rrin.ada.")
    assert given.secret not in str(await store.all())
    found = await operators.by_invitation(store, given.secret, NOW + 59.0)
    assert found == given.record
    assert not found.active
    assert await operators.by_invitation(store, given.secret, NOW + 60.0) is None
    for wrong in ("", "rrin.ada.", "rrin.eve.x", given.secret + "x", given.secret.replace("rrin", "rrop"), "\ud800"):
        assert await operators.by_invitation(store, wrong, NOW) is None


async def test_the_next_invitation_replaces_the_first(store: MemoryOperators) -> None:
    first = await operators.invite(store, "ada", "viewer", "x", NOW, 60.0)
    second = await operators.invite(store, "ada", "admin", "x", NOW, 60.0)
    assert await operators.by_invitation(store, first.secret, NOW) is None
    assert (await operators.by_invitation(store, second.secret, NOW)) == second.record
    assert second.record.role == "admin"


async def test_who_is_an_operator_is_not_invited(store: MemoryOperators) -> None:
    await active(store)
    with pytest.raises(Conflict, match="operator exists"):
        await operators.invite(store, "ada", "admin", "x", NOW, 60.0)


async def test_a_reset_leaves_the_role_and_nothing_else(store: MemoryOperators) -> None:
    await active(store)
    await operators.give_token(store, "ada", "viewer", "", NOW, 60.0)
    given = await operators.reset(store, "ada", "operator:eve", NOW, 60.0)
    kept = await store.get("ada")
    assert kept == given.record
    assert kept is not None
    assert (kept.role, kept.password, kept.totp, kept.tokens, kept.active) == ("admin", "", "", (), False)
    assert kept.generation != "g"


async def test_another_role_is_another_generation(store: MemoryOperators) -> None:
    await active(store)
    same = await operators.set_role(store, "ada", "admin")
    assert same.generation == "g"
    other = await operators.set_role(store, "ada", "viewer")
    assert (other.role, other.generation != "g") == ("viewer", True)


async def test_tokens(store: MemoryOperators) -> None:
    await active(store, role="operator")
    token, secret = await operators.give_token(store, "ada", "operator", "deploys", NOW, 60.0)
    assert secret.startswith("rrop.ada.")
    assert secret not in str(await store.all())
    found = await operators.by_token(store, secret, NOW + 59.0)
    assert found is not None
    assert (found[0].name, found[1]) == ("ada", "operator")
    assert await operators.by_token(store, secret, NOW + 60.0) is None
    await operators.set_role(store, "ada", "viewer")
    found = await operators.by_token(store, secret, NOW)
    assert found is not None
    assert found[1] == "viewer", "never more than the operator"
    await operators.end_token(store, "ada", token.id)
    assert await operators.by_token(store, secret, NOW) is None
    with pytest.raises(NotFound):
        await operators.end_token(store, "ada", token.id)


async def test_tokens_have_their_bounds(store: MemoryOperators) -> None:
    await active(store, role="viewer")
    with pytest.raises(InvalidInput, match="more than the operator's own"):
        await operators.give_token(store, "ada", "admin", "", NOW, 60.0)
    for _ in range(MOST_TOKENS):
        await operators.give_token(store, "ada", "viewer", "", NOW, 60.0)
    with pytest.raises(Conflict, match="too many tokens"):
        await operators.give_token(store, "ada", "viewer", "", NOW, 60.0)
    await operators.give_token(store, "ada", "viewer", "", NOW + 61.0, 60.0)
    await operators.invite(store, "eve", "viewer", "x", NOW, 60.0)
    with pytest.raises(InvalidInput, match="not accepted"):
        await operators.give_token(store, "eve", "viewer", "", NOW, 60.0)


async def test_removed(store: MemoryOperators) -> None:
    await active(store)
    await operators.remove(store, "ada")
    with pytest.raises(NotFound):
        await operators.remove(store, "ada")


class Busy(MemoryOperators):
    """Somebody else changes each record whenever it is looked at, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__(lambda: NOW)
        self.times = times

    async def get(self, name: str) -> OperatorRecord | None:
        found = await super().get(name)
        if found is not None and self.times > 0:
            self.times -= 1
            await super().save(replace(found, totp_step=found.totp_step + 1), found)
        return found


async def test_a_change_meanwhile_is_not_lost() -> None:
    store = Busy(3)
    await active(store)
    after = await operators.set_role(store, "ada", "viewer")
    assert (after.role, after.totp_step) == ("viewer", 3)


async def test_nobody_tries_for_ever() -> None:
    store = Busy(1_000)
    await active(store)
    with pytest.raises(Unavailable):
        await operators.set_role(store, "ada", "viewer")
    with pytest.raises(Unavailable):
        await operators.remove(store, "ada")
