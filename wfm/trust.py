"""Whose certificates a client believes."""

import ssl
import warnings
from pathlib import Path


class InsecureWarning(UserWarning):
    """A server's certificate is not looked at."""


def context(ca_file: str | Path | None, *, insecure: bool) -> ssl.SSLContext:
    """With a file only the authorities in it are believed; without one, those that the system knows.

    ``insecure`` believes everybody, for a moment at most: whoever is in between reads the password. It is warned of.
    """
    if insecure:
        if ca_file is not None:
            raise ValueError("give a CA file or insecure=True, not both: with insecure no certificate is looked at")
        warnings.warn(
            "The server's certificate is NOT verified: anybody in between can read and change everything.",
            InsecureWarning,
            stacklevel=4,
        )
        found = ssl.create_default_context()
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
        return found
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
