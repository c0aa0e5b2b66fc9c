from __future__ import annotations

import pickle
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cluster.ports.accounts import Account, TokenReused, name_key


@given(st.text(max_size=30))
def test_a_key_is_its_own_key(name: str) -> None:
    assert name_key(name_key(name)) == name_key(name)


@given(st.text(max_size=30))
def test_case_and_form_do_not_matter(name: str) -> None:
    key = name_key(name)
    assert key == name_key(name.casefold())
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert key == name_key(unicodedata.normalize(form, name))


def test_different_names_stay_different() -> None:
    assert len({name_key(name) for name in ("Ada", "Äda", "Adá", "A da", "Ada1", "Аda")}) == 6


def test_a_hash_is_not_printed() -> None:
    assert "$argon2id" not in repr(Account("usr_1", "ada", "$argon2id$...", 0.0))


def test_reuse_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(TokenReused("usr_1", "fam_1")))  # noqa: S301  our own bytes
    assert (error.user_id, error.family_id, error.reason) == ("usr_1", "fam_1", "token_invalid")
