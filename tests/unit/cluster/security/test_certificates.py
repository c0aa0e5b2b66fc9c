from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from cluster.edge.pem import BadPairError, combined, refreshed
from cluster.security.certificates import BadCertificateError, check_given, ensure_local, local_files, name_in

NOW = 1_800_000_000.0
DAY = 86_400.0


def serials(data: Path) -> tuple[int, int]:
    files = local_files(data)
    return tuple(x509.load_pem_x509_certificate(path.read_bytes()).serial_number for path in (files.authority, files.certificate))  # type: ignore[return-value]  # fmt: skip


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "10.0.0.5", "realm.lan"])
def test_clients_that_trust_the_authority_take_the_certificate(tmp_path: Path, name: str) -> None:
    assert ensure_local(tmp_path, ["10.0.0.5", "realm.lan"], NOW)
    files = local_files(tmp_path)
    names = x509.load_pem_x509_certificate(files.certificate.read_bytes()).extensions
    assert name in [str(each.value) for each in names.get_extension_for_class(x509.SubjectAlternativeName).value]
    leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(files.authority.read_bytes()))


def test_it_is_made_once_and_renewed_near_its_end(tmp_path: Path) -> None:
    ensure_local(tmp_path, [], NOW)
    first = serials(tmp_path)
    assert not ensure_local(tmp_path, [], NOW + 59 * DAY)
    assert serials(tmp_path) == first
    assert ensure_local(tmp_path, [], NOW + 61 * DAY)
    assert serials(tmp_path)[0] == first[0]  # what clients trust stays
    assert serials(tmp_path)[1] != first[1]


@pytest.mark.parametrize("names", [["other.lan"], ["10.9.9.9"]])
def test_a_new_name_needs_a_new_authority(tmp_path: Path, names: list[str]) -> None:
    """The old one is good for the old names alone."""
    ensure_local(tmp_path, [], NOW)
    first = serials(tmp_path)
    assert ensure_local(tmp_path, names, NOW)
    assert serials(tmp_path)[0] != first[0]


def test_the_authority_does_not_outlive_its_use(tmp_path: Path) -> None:
    ensure_local(tmp_path, [], NOW)
    first = serials(tmp_path)
    ensure_local(tmp_path, [], NOW + 3_600 * DAY)
    assert serials(tmp_path)[0] != first[0]


@pytest.mark.parametrize("file", ["ca.pem", "ca.key", "certificate.pem", "key.pem"])
def test_what_is_broken_is_made_again(tmp_path: Path, file: str) -> None:
    ensure_local(tmp_path, [], NOW)
    (tmp_path / "tls" / file).write_text("broken")
    assert ensure_local(tmp_path, [], NOW)
    files = local_files(tmp_path)
    check_given(files.certificate, files.key, NOW)


def test_files_are_for_nobody_else(tmp_path: Path) -> None:
    ensure_local(tmp_path, [], NOW)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()} == {0o600}
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_the_authority_is_good_for_this_machine_alone(tmp_path: Path) -> None:
    ensure_local(tmp_path, ["realm.lan"], NOW)
    authority = x509.load_pem_x509_certificate(local_files(tmp_path).authority.read_bytes())
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert {str(each.value) for each in limits.value.permitted_subtrees or ()} == {
        "localhost",
        "realm.lan",
        "127.0.0.1/32",
        "::1/128",
    }
    verifier = PolicyBuilder().store(Store([authority])).time(datetime.fromtimestamp(NOW, UTC))
    leaf = x509.load_pem_x509_certificate(local_files(tmp_path).certificate.read_bytes())
    verifier.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])


def test_an_operators_own(tmp_path: Path) -> None:
    ensure_local(tmp_path, ["realm.lan"], NOW)
    ensure_local(tmp_path / "other", [], NOW)
    files, other = local_files(tmp_path), local_files(tmp_path / "other")
    check_given(files.certificate, files.key, NOW)
    for certificate, key, now, why in (
        (files.certificate, other.key, NOW, "is not the key of"),
        (files.certificate, files.key, NOW + 91 * DAY, "renew it"),
        (files.certificate, files.key, NOW - 2 * DAY, "begins on"),
        (files.key, files.key, NOW, "no PEM certificate"),
        (tmp_path / "none", files.key, NOW, "cannot be read"),
    ):
        with pytest.raises(BadCertificateError, match=why):
            check_given(certificate, key, now)
    files.key.chmod(0o604)
    with pytest.raises(BadCertificateError, match="chmod o="):
        check_given(files.certificate, files.key, NOW)
    assert name_in(files.certificate) == "localhost"
    assert name_in(tmp_path / "none") == ""


def test_a_pair_in_one_file(tmp_path: Path) -> None:
    ensure_local(tmp_path, [], NOW)
    ensure_local(tmp_path / "other", [], NOW)
    files, other = local_files(tmp_path), local_files(tmp_path / "other")
    text = combined(files.certificate, files.key)
    assert text.startswith("-----BEGIN CERTIFICATE-----")
    assert text.endswith("-----END PRIVATE KEY-----\n")
    target = tmp_path / "edge.pem"
    with pytest.raises(BadPairError):
        refreshed(files.certificate, other.key, target)
    assert refreshed(files.certificate, files.key, target) is None
    problem = refreshed(files.certificate, other.key, target)
    assert problem is not None
    assert "PRIVATE" not in problem
    assert target.read_text() == text
    assert target.stat().st_mode & 0o777 == 0o600
