"""Signs deliveries as https://www.standardwebhooks.com says, with secrets that are derived and never stored.

A webhook's secret is made of WEBHOOK_SECRET, its id and the number of its key by HKDF (RFC 5869): whoever has
the database has no secret, and a rotation is one more number.
"""

import base64
import hashlib
import hmac
from uuid import UUID

_SALT = b"workflow-management/webhooks/1"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with
_BYTES = 32


def hkdf(key: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256."""
    pseudorandom = hmac.digest(salt, key, hashlib.sha256)
    output, block = b"", b""
    for number in range(1, -(-length // hashlib.sha256().digest_size) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([number]), hashlib.sha256)
        output += block
    return output[:length]


def webhook_key(secret: str, webhook_id: UUID, number: int) -> bytes:
    """The key with this number of a webhook."""
    info = webhook_id.bytes + number.to_bytes(8, "big")
    return hkdf(secret.encode(), salt=_SALT, info=info, length=_BYTES)


def shown(key: bytes) -> str:
    """A key as its receiver configures it."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def signature_headers(keys: list[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The header fields of a delivery; after a rotation it is signed with both keys for a while."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
