"""Certificates for TLS at the edge (row 6.4): a local authority and a certificate for this machine, and checks of an operator's.

The authority is good for this machine's names alone (name constraints, RFC 5280, section 4.2.1.10): who trusts it in a browser
risks nothing else. Keys are ECDSA on P-256.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.edge.orders import private

FOLDER = "tls"
AUTHORITY_DAYS = 3_650
CERTIFICATE_DAYS = 90
RENEW_DAYS = 30  # before its end
BACKDATED = timedelta(hours=1)  # clocks differ
ALWAYS = ("localhost", "127.0.0.1", "::1")
WORLD = 0o007


class BadCertificateError(Exception):
    """Why a certificate cannot be used."""


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """`authority` is what clients trust; all are PEM, mode 0600."""

    authority: Path
    certificate: Path
    key: Path


def local_files(data: Path) -> LocalFiles:
    """Where they are in a data folder, made or not."""
    folder = data / FOLDER
    return LocalFiles(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")


def ensure_local(data: Path, names: Iterable[str], now: float) -> bool:
    """Make what is missing, does not fit `names`, or is near its end (`now` in Unix seconds). Whether anything was made.

    `names`: DNS names and addresses besides this machine's own. An authority that does not cover them is replaced.
    """
    files, moment = local_files(data), datetime.fromtimestamp(now, UTC)
    wanted = frozenset({*ALWAYS, *names})
    files.authority.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_key = files.authority.with_name("ca.key")
    authority = _authority(files.authority, authority_key, wanted, moment)
    if authority is not None and _good(files, authority[0], wanted, moment):
        return False
    if authority is None:
        authority = _make_authority(wanted, moment)
        _keep(authority_key, _pem_of_key(authority[1]))
        _keep(files.authority, authority[0].public_bytes(serialization.Encoding.PEM))
    certificate, key = _make_certificate(*authority, wanted, moment)
    _keep(files.key, _pem_of_key(key))
    _keep(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    return True


def name_in(certificate: Path) -> str:
    """The first DNS name that a client may use for the server, or "" if it names none, or nothing but patterns."""
    try:
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return ""
    return next((name for name in names.get_values_for_type(x509.DNSName) if "*" not in name), "")


def check_given(certificate: Path, key: Path, now: float) -> None:
    """An operator's own files. Raises BadCertificateError with what to do; `now` in Unix seconds."""
    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            raise BadCertificateError(f"{path} cannot be read")
    if key.stat().st_mode & WORLD:
        raise BadCertificateError(f"everybody may use the key {key}: chmod o= {key}")
    try:
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise BadCertificateError(
            f"{certificate} and {key} are no PEM certificate and key without a password"
        ) from error
    if _public(private.public_key()) != _public(first.public_key()):
        raise BadCertificateError(f"{key} is not the key of {certificate}")
    moment = datetime.fromtimestamp(now, UTC)
    if moment >= first.not_valid_after_utc:
        raise BadCertificateError(f"{certificate} ended on {first.not_valid_after_utc:%Y-%m-%d}: renew it")
    if moment < first.not_valid_before_utc - BACKDATED:
        raise BadCertificateError(
            f"{certificate} begins on {first.not_valid_before_utc:%Y-%m-%d}, or this clock is wrong"
        )


def _authority(
    path: Path, key_path: Path, wanted: frozenset[str], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """The one that is there, if it will outlive a new certificate and covers the names."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
        covered = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    enough = now + timedelta(days=CERTIFICATE_DAYS) < certificate.not_valid_after_utc
    ours = isinstance(key, ec.EllipticCurvePrivateKey) and _public(key.public_key()) == _public(
        certificate.public_key()
    )
    if not (enough and ours and set(_subtrees(wanted)) <= set(covered)):
        return None
    return certificate, key  # type: ignore[return-value] # `ours` says that


def _good(files: LocalFiles, authority: x509.Certificate, wanted: frozenset[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
        key = serialization.load_pem_private_key(files.key.read_bytes(), None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        now + timedelta(days=RENEW_DAYS) < certificate.not_valid_after_utc
        and set(_names(wanted)) <= set(names)
        and _public(key.public_key()) == _public(certificate.public_key())
    )


def _make_authority(names: frozenset[str], now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rayrealm on this machine")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.NameConstraints(_subtrees(names), None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_certificate(
    authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, names: frozenset[str], now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, key


def _names(names: Iterable[str]) -> list[x509.GeneralName]:
    """For a subject: DNS names and addresses."""
    made: list[x509.GeneralName] = []
    for name in sorted(names):
        address = _address(name)
        made.append(x509.DNSName(name) if address is None else x509.IPAddress(address))
    return made


def _subtrees(names: Iterable[str]) -> list[x509.GeneralName]:
    """For the constraints: addresses are networks there."""
    made: list[x509.GeneralName] = []
    for name in sorted(names):
        address = _address(name)
        made.append(x509.DNSName(name) if address is None else x509.IPAddress(ip_network(address)))
    return made


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _public(key: object) -> bytes:
    public: bytes = key.public_bytes(  # type: ignore[attr-defined] # all kinds of public keys have it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _keep(path: Path, text: bytes) -> None:
    private(path, text.decode("ascii"))
