"""Certificates: what they are worth, from their text or from the resource that issues them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from policies.view.parts import PlatformPart
from policies.view.resources import Resource
from policies.view.tokens import DYNAMIC
from policies.view.values import Value

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True)
class Certificate:
    """The first certificate of a PEM text."""

    strong_key: bool
    """RSA of 2048 bits or more, a curve of 256 or more, or Edwards."""
    strong_signature: bool
    days: float
    days_left: float
    names: frozenset[str]


def certificate_of(file: Value) -> Certificate | None:
    """None when the text is no certificate. Raises NotKnownError."""
    # Loaded where it is needed: that takes longer than all rules of TLS, and previews mostly know no certificate yet.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    try:
        found = x509.load_pem_x509_certificate((file.text() or "").encode())
    except ValueError:
        return None
    key = found.public_key()
    strong = isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
    if isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= 2048
    elif isinstance(key, ec.EllipticCurvePublicKey):
        strong = key.curve.key_size >= 256
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    return Certificate(
        strong_key=strong,
        strong_signature=not isinstance(found.signature_hash_algorithm, hashes.MD5 | hashes.SHA1),
        days=(end - begin).total_seconds() / 86400,
        days_left=(end - datetime.now(UTC)).total_seconds() / 86400,
        names=_names(found),
    )


def _names(certificate: x509.Certificate) -> frozenset[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*found.get_values_for_type(x509.DNSName), *(str(each) for each in addresses)])


def issuer_of(part: PlatformPart, file: str) -> Resource | None:
    """The resource that issues a part's certificate while its text can't be known yet; it draws keys of P-256."""
    if not part.secret_files[file].is_unknown:
        return None
    for source in part.secret_sources.get(file, ()):
        if source.type == DYNAMIC and source.inputs["renewBeforeDays"].is_given and source.inputs["names"].is_given:
            return source
    return None
