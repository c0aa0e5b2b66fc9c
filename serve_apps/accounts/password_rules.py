"""What may become a password (NIST SP 800-63B, section 5.1.1.2): long enough, and not among the first that anybody would try.

There are no rules of composition: they make passwords worse. The list is that of the package zxcvbn, the 30,000 most frequent
passwords of published breaches; it is in memory, and nobody is asked about anybody's password.
"""

from __future__ import annotations

from collections.abc import Collection

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from cluster.errors import InvalidInput
from cluster.security_settings import LoginSettings
from serve_apps.accounts.names import PASSWORD_LENGTH

TOO_COMMON = "password_too_common"
_FEW = 2  # different characters: "aaaaaaaa", "abababab"


class PasswordTooCommon(InvalidInput):
    """One that guessers try first."""

    def __init__(self, field: str) -> None:
        super().__init__([(field, "is one that is tried first: a common one, the username, or one or two characters")])
        self.reason = TOO_COMMON

    def __reduce__(self) -> tuple[type[PasswordTooCommon], tuple[str]]:  # type: ignore[override]
        return (PasswordTooCommon, (self.errors[0][0],))


def breached() -> frozenset[str]:
    """Those of the list that are long enough to be anybody's here, in lower case."""
    return frozenset(word.casefold() for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_LENGTH[0])


class PasswordRules:
    """`common`: passwords in lower case; by default the breached ones, unless the settings do without."""

    def __init__(self, settings: LoginSettings, realm: str, common: Collection[str] | None = None) -> None:
        self._shortest = settings.min_password
        self._common = (breached() if settings.refuse_breached else frozenset()) if common is None else common
        self._realm = realm.casefold()

    def check(self, username: str, password: str, field: str = "password") -> None:
        """A new password; both are clean (names.py), `field` is what its sender calls it. Raises InvalidInput, PasswordTooCommon.

        Says nothing about which accounts there are: it knows none.
        """
        longest = PASSWORD_LENGTH[1]
        if len(password) < self._shortest:
            raise InvalidInput([(field, f"must have {self._shortest} to {longest} characters")])
        plain, name = password.casefold(), username.casefold()
        near = (name, name[::-1], name * 2, self._realm)
        if plain in near or plain in self._common or len(set(plain)) <= _FEW:
            raise PasswordTooCommon(field)
