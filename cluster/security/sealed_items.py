"""What the realm reads of a sealed message (row 6.4): that it is one, and for which device. Its protected header and no more.

A JWE in compact serialization (RFC 7516, section 7.1) in one of two suites: RSA-OAEP-256 or ECDH-ES+A256KW (RFC 7518, sections 4.3
and 4.6), both with A256GCM (section 5.3). No compression: its length would tell of the text (RFC 8725, section 3.6).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import orjson

from rayrealm_client.key_records import ECDH, ENC, RSA

_COMPACT = re.compile(r"([\w-]{1,1366})\.([\w-]{1,683})\.([\w-]{16})\.([\w-]+)\.([\w-]{22})", re.ASCII)
# Characters of base64url without padding, of 2,048 to 4,096 bits, and of a wrapped key of 256 bits (RFC 3394).
_KEY_LENGTHS = {RSA: range(342, 684), ECDH: range(54, 55)}
_MEMBERS = {RSA: {"alg", "enc", "kid"}, ECDH: {"alg", "enc", "kid", "epk"}}
_COORDINATE = re.compile(r"[\w-]{43}", re.ASCII)


class BadItem(ValueError):
    """`reason` is a stable word: not_a_jwe, wrong_suite, wrong_device."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def key_id(device: str, version: int) -> str:
    """The `kid` of what is sealed for a version of a device's keys."""
    return f"{device}.{version}"


def suite_of(jwe: str, device: str, version: int) -> str:
    """The `alg` of a sealed message for that device. Raises BadItem."""
    parts = _COMPACT.fullmatch(jwe)
    if parts is None:
        raise BadItem("not_a_jwe")
    header = _header(parts[1])
    suite = header.get("alg")
    if suite not in (RSA, ECDH) or header.get("enc") != ENC or header.keys() != _MEMBERS[suite]:
        raise BadItem("wrong_suite")
    if len(parts[2]) not in _KEY_LENGTHS[suite] or (suite == ECDH and not _is_point(header["epk"])):
        raise BadItem("wrong_suite")
    if header["kid"] != key_id(device, version):
        raise BadItem("wrong_device")
    return str(suite)


def _header(text: str) -> Mapping[str, Any]:
    try:
        header = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:  # binascii.Error and orjson.JSONDecodeError are
        raise BadItem("not_a_jwe") from error
    if not isinstance(header, dict) or not all(isinstance(header.get(name), str) for name in ("alg", "enc", "kid")):
        raise BadItem("not_a_jwe")
    return header


def _is_point(key: object) -> bool:
    """A public key on X25519 or P-256, by its looks: only who opens it can say more."""
    match key:
        case {"kty": "OKP", "crv": "X25519", "x": str(x), **more}:
            coordinates = [x]
        case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y), **more}:
            coordinates = [x, y]
        case _:
            return False
    return not more and all(_COORDINATE.fullmatch(each) for each in coordinates)
