from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.accounts.names import clean_character_name, clean_password, clean_text, clean_username

USERNAME_CHARACTERS = string.ascii_letters + string.digits + "_.-"


class TestUsernames:
    @given(st.text(USERNAME_CHARACTERS, min_size=3, max_size=32))
    def test_all_that_the_protocol_allows(self, name: str) -> None:
        assert clean_username(name) == name.lower()

    @given(st.text(max_size=40))
    def test_nothing_else(self, name: str) -> None:
        allowed = 3 <= len(name) <= 32 and set(name) <= set(USERNAME_CHARACTERS)
        try:
            cleaned = clean_username(name)
        except ValueError:
            assert not allowed
        else:
            assert allowed
            assert cleaned.isascii()
            assert clean_username(cleaned) == cleaned

    @pytest.mark.parametrize(
        "name", ["ab", "a" * 33, "ada\n", "\nada", " ada", "a da", "аda", "ada\u212a", "ad\u0131", "ａda", ""]
    )
    def test_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="3 to 32"):
            clean_username(name)


class TestPasswords:
    @pytest.mark.parametrize("length", [8, 128])
    def test_the_lengths_of_the_protocol(self, length: int) -> None:
        assert clean_password("é" * length) == "é" * length

    @pytest.mark.parametrize("length", [0, 7, 129])
    def test_other_lengths(self, length: int) -> None:
        with pytest.raises(ValueError, match="8 to 128"):
            clean_password("x" * length)

    def test_two_ways_to_type_the_same(self) -> None:
        assert clean_password("cafe\u0301 au lait") == clean_password("caf\u00e9 au lait")

    def test_forms_that_mean_the_same(self) -> None:
        assert clean_password("ｐａｓｓ ﬁｖｅ②") == "pass five2"

    def test_characters_are_counted_as_typed_too(self) -> None:
        with pytest.raises(ValueError, match="8 to 128"):
            clean_password("\ufdfa")  # 18 characters in NFKC
        with pytest.raises(ValueError, match="8 to 128"):
            clean_password("\ufdfa" * 8)
        with pytest.raises(ValueError, match="8 to 128"):
            clean_password("e\u0301" * 4)  # 4 characters in NFKC

    @given(st.text(max_size=140))
    def test_once_clean_it_stays_as_it_is(self, raw: str) -> None:
        try:
            password = clean_password(raw)
        except ValueError:
            return
        assert clean_password(password) == password

    @given(st.text(min_size=8, max_size=60))
    def test_whatever_is_taken_can_be_hashed(self, password: str) -> None:
        try:
            clean_password(password).encode()
        except UnicodeEncodeError:
            raise AssertionError from None
        except ValueError:
            assert not 8 <= len(unicodedata.normalize("NFKC", password)) <= 128

    def test_spaces_and_case_are_kept(self) -> None:
        assert clean_password("  Correct Horse  ") == "  Correct Horse  "


@pytest.mark.parametrize("text", ["\ud800", "abcdefgh\udfff", "\ude00\ud83d"])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    with pytest.raises(ValueError, match="Unicode"):
        clean_text(text)
    with pytest.raises(ValueError, match="Unicode"):
        clean_password(text + "x" * 8)


class TestCharacterNames:
    @pytest.mark.parametrize(
        ("raw", "clean"),
        [
            ("Ada", "Ada"),
            ("  Ada   of  the Ridge ", "Ada of the Ridge"),
            ("D'Artagnan", "D'Artagnan"),
            ("Jean-Luc 2", "Jean-Luc 2"),
            ("A\u0301da", "\u00c1da"),
            ("李小龍", "李小龍"),
            ("Анна", "Анна"),
            ("スーパー", "スーパー"),
            ("Ωμέγα", "Ωμέγα"),
            ("ab", "ab"),
            ("x" * 24, "x" * 24),
            ("42", "42"),
        ],
    )
    def test_taken(self, raw: str, clean: str) -> None:
        assert clean_character_name(raw) == clean

    @pytest.mark.parametrize(
        "raw",
        [
            "",
            "x",
            "x" * 25,
            " x ",
            "Ada\n",
            "Ada\t2",
            "Ada\u00a0X",
            "Ada\u200bX",
            "Ada\u202eX",
            "<b>Ada",
            "Ada!",
            "Ada_1",
            "Ada🙂",
            "--",
            "' '",
            "\u3164\u3164",
            "A\u1160a",
            "Ada\u0489",
            "A\u0300\u0301\u0302da",
            "Ada٣",
            "Ada²",
            "Ad\ud800",
            "Ada\x00",
        ],
    )
    def test_refused(self, raw: str) -> None:
        with pytest.raises(ValueError, match=r"must have|may hold|needs"):
            clean_character_name(raw)

    @given(st.text(st.characters(categories=["L", "N", "Zs", "P", "M"]), max_size=30))
    def test_what_is_taken_is_tidy_and_stays_as_it_is(self, raw: str) -> None:
        try:
            name = clean_character_name(raw)
        except ValueError:
            return
        assert clean_character_name(name) == name
        assert unicodedata.is_normalized("NFC", name)
        assert 2 <= len(name) <= 24
        assert name == name.strip()
        assert "  " not in name
        assert all(character.isalpha() or character in "0123456789 '-" for character in name)

    @given(st.text(string.ascii_letters + string.digits + "'-", min_size=2, max_size=24))
    def test_all_that_the_protocol_allows_in_ascii(self, name: str) -> None:
        if any(character.isalnum() for character in name):
            assert clean_character_name(name) == name
