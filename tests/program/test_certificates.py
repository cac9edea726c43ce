"""The stack's own authority and its certificates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from infra.certificates import Issued, issue, make_authority
from infra.pki import CertificateProvider
from infra.trust import part_names

pytestmark = pytest.mark.ring("unit")

MONTH = timedelta(days=30)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return make_authority("test authority", 12 * MONTH)


def verify(leaf: Issued, authority: Issued, name: str) -> None:
    store = Store([x509.load_pem_x509_certificate(authority.certificate.encode())])
    verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(name))
    verifier.verify(x509.load_pem_x509_certificate(leaf.certificate.encode()), [])


def described(authority: Issued, **changes: Any) -> dict[str, Any]:
    return {
        "commonName": "api", "names": ["api"], "days": 30, "renewBeforeDays": 10, "generation": 1,
        "authorityCertificate": authority.certificate, "authorityKey": authority.key, **changes,
    }  # fmt: skip


def test_a_certificate_is_trusted_for_every_name_of_its_part(authority: Issued) -> None:
    leaf = issue(authority.certificate, authority.key, "kafka", part_names("kafka", "workflow-x"), MONTH)
    for name in ("kafka", "kafka.workflow-x.svc", "kafka-2.kafka-nodes.workflow-x.svc.cluster.local"):
        verify(leaf, authority, name)


def test_a_certificate_is_not_trusted_for_another_name(authority: Issued) -> None:
    leaf = issue(authority.certificate, authority.key, "kafka", ["kafka"], MONTH)
    with pytest.raises(VerificationError):
        verify(leaf, authority, "postgres")


def test_a_certificate_of_another_authority_is_not_trusted(authority: Issued) -> None:
    other = make_authority("test authority", MONTH)
    leaf = issue(other.certificate, other.key, "kafka", ["kafka"], MONTH)
    with pytest.raises(VerificationError):
        verify(leaf, authority, "kafka")


def test_a_certificate_does_not_outlive_its_authority() -> None:
    short = make_authority("short", timedelta(days=2))
    leaf = issue(short.certificate, short.key, "api", ["api"], MONTH)
    assert leaf.not_after <= datetime.now(UTC) + timedelta(days=2)


def test_the_key_is_not_in_the_representation(authority: Issued) -> None:
    assert "PRIVATE" not in repr(authority)


def test_an_unchanged_certificate_is_left_alone(authority: Issued) -> None:
    provider = CertificateProvider()
    made = provider.create(described(authority))
    assert made.outs is not None
    assert provider.diff("id", made.outs, described(authority)).changes is False


def test_a_certificate_near_its_end_is_issued_anew_in_place(authority: Issued) -> None:
    provider = CertificateProvider()
    made = provider.create(described(authority, renewBeforeDays=30))
    assert made.outs is not None
    change = provider.diff("id", made.outs, described(authority, renewBeforeDays=30))
    assert (change.changes, change.replaces or []) == (True, [])
    renewed = provider.update("id", made.outs, described(authority))
    assert renewed.outs is not None
    assert renewed.outs["fingerprint"] != made.outs["fingerprint"]


def test_a_higher_generation_issues_a_certificate_anew(authority: Issued) -> None:
    provider = CertificateProvider()
    made = provider.create(described(authority))
    assert made.outs is not None
    assert provider.diff("id", made.outs, described(authority, generation=2)).changes is True
