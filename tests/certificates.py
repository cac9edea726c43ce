"""Certificates for tests, in the shape that a stack's own authority gives them: EC P-256, PEM, PKCS#8."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _subject(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, both PEM."""

    certificate: str
    key: str
    serial: int

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Put them into a folder as tls.crt and tls.key, over what is there."""
        paths = folder / "tls.crt", folder / "tls.key"
        for path, content in zip(paths, (self.certificate, self.key), strict=True):
            path.write_text(content)
        return paths


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, common_name: str, *names: str) -> Identity:
        """A leaf for servers and clients, good for the common name and the other names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subjects = x509.SubjectAlternativeName([_subject(name) for name in (common_name, *names)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(_name(common_name), key.public_key())
        builder = builder.add_extension(subjects, critical=False).add_extension(usage, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Identity(
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            certificate.serial_number,
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
        )


def serial_of(der: bytes) -> int:
    """The serial number of a certificate as a peer presented it."""
    return x509.load_der_x509_certificate(der).serial_number
