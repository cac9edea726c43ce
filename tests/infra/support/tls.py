"""Whom the checks trust, and as whom they come."""

import os
import ssl
import tempfile


def server_context(authority: str | None) -> ssl.SSLContext:
    """Trusts what the machine trusts and, besides, these certificates (PEM)."""
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(cadata=authority)
    return context


def client_context(authority: str | None, certificate: str, key: str) -> ssl.SSLContext:
    """The same, and proves by a certificate (both PEM) who is calling, to a server that asks."""
    context = server_context(authority)
    # The library reads certificate and key from a file only; this one is readable by its owner and gone at once.
    descriptor, path = tempfile.mkstemp(prefix="workflow-verify-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{certificate.rstrip()}\n{key.rstrip()}\n")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)  # noqa: PTH108
    return context
