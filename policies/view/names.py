"""Host names and sample texts that have no place in production."""

from __future__ import annotations

import re
from ipaddress import ip_address

_RESERVED = re.compile(r"(^|\.)(localhost|local|localdomain|test|example|invalid)$")
"""Names that no visitor can ask a name server for."""

_SAMPLE = re.compile(
    r"(^|[./@])(example\.(com|org|net)|your-?domain(\.[a-z]+)?|your-?company(\.[a-z]+)?|db-host)($|[:/.])",
    re.IGNORECASE,
)
"""Names that documents use where the reader is to put in his own."""

_SAMPLE_TEXT = re.compile(
    r"workflow_pass\b|\buser:pass\b|STRONG_PASSWORD|CHANGE_?THIS|CHANGE_?ME|your-secret-key|admin123"
    r"|NEW_PASSWORD|NEW_BCRYPT_HASH|YOUR_[A-Z_]*(TOKEN|SECRET|PASSWORD|KEY)|\+1-XXX",
    re.IGNORECASE,
)
"""Passwords, keys and numbers of the documents' samples."""


def why_not_public(host: str) -> str | None:
    """What keeps visitors from a host name, without naming it; None when nothing does."""
    name = host.strip().rstrip(".").lower()
    if not name:
        return "is empty"
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        pass
    else:
        return "is an address, not a name"
    if _RESERVED.search(name):
        return "is a name of the machine itself or one that is reserved"
    if "." not in name:
        return "has no domain"
    return "is a sample of the documents" if is_sample(name) else None


def is_sample(text: str) -> bool:
    """Whether a text holds what a document's sample has where a real value must be."""
    return bool(_SAMPLE.search(text) or _SAMPLE_TEXT.search(text))
