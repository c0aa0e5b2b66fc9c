from __future__ import annotations

import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cluster.errors import InvalidInput
from cluster.security_settings import LoginSettings
from serve_apps.accounts.names import clean_password
from serve_apps.accounts.password_rules import PasswordRules, PasswordTooCommon, breached

RULES = PasswordRules(LoginSettings(), "realm")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord1",
        "12345678",
        "qwertyuiop",
        "trustno1",
        "iloveyou",
        "aaaaaaaa",
        "ab" * 8,
        "９" * 8,
        "１２３４５６７８",
    ],
)
def test_what_guessers_try_first(password: str) -> None:
    with pytest.raises(PasswordTooCommon) as refused:
        RULES.check("ada", clean_password(password))
    assert refused.value.reason == "password_too_common"
    assert [field for field, _ in refused.value.errors] == ["password"]
    assert password not in refused.value.errors[0][1]


@pytest.mark.parametrize("password", ["ada.lovelace", "ADA.Lovelace", "ecalevol.ada", "ada.lovelaceada.lovelace"])
def test_the_username(password: str) -> None:
    with pytest.raises(PasswordTooCommon):
        RULES.check("ada.lovelace", password)
    RULES.check("eve", password)


def test_the_realms_name() -> None:
    with pytest.raises(PasswordTooCommon):
        PasswordRules(LoginSettings(), "riverdale-9").check("ada", "Riverdale-9")


@pytest.mark.parametrize(
    "password", ["correct horse", "correct horse 7", "xkcd-936", "ложка и вилка", "長い合言葉は良い"]
)
def test_no_rules_of_composition(password: str) -> None:
    RULES.check("ada", clean_password(password))


@given(st.text(min_size=8, max_size=128))
def test_all_else_is_taken(password: str) -> None:
    try:
        password = clean_password(password)
    except ValueError:
        assume(False)
    assume(len(set(password.casefold())) > 2 and password.casefold() not in breached())
    RULES.check("ada", password)


def test_longer_ones_by_setting() -> None:
    rules = PasswordRules(LoginSettings(min_password=12), "realm")
    with pytest.raises(InvalidInput) as refused:
        rules.check("ada", "not twelve.")
    assert refused.value.errors == [("password", "must have 12 to 128 characters")]
    assert refused.value.reason == "invalid_input"
    rules.check("ada", "just twelve.")


def test_without_the_list_by_setting() -> None:
    rules = PasswordRules(LoginSettings(refuse_breached=False), "realm")
    rules.check("ada", "password1")
    with pytest.raises(PasswordTooCommon):
        rules.check("password1", "password1")


def test_the_list_is_there() -> None:
    """11,611 of the 30,000 in zxcvbn 4.5 have at least 8 characters."""
    words = breached()
    assert len(words) > 10_000
    assert min(map(len, words)) == 8
    assert {"password", "12345678", "football1", "1qaz2wsx3edc"} <= words


def test_it_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(PasswordTooCommon("new")))  # noqa: S301 - our own
    assert (again.reason, again.errors) == ("password_too_common", PasswordTooCommon("new").errors)
