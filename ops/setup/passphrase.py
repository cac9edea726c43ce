"""The passphrase that encrypts the secrets in the state: made once, kept by its owner alone."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ops.errors import OperatorError


def passphrase_ready(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is one that Pulumi can use. Raises OperatorError for a given file that is not there or empty."""
    given = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        return True
    if given:
        file = Path(given)
        if not (file.is_file() and os.access(file, os.R_OK) and file.stat().st_size):
            raise OperatorError(
                f"PULUMI_CONFIG_PASSPHRASE_FILE names {given}, which can't be read or is empty",
                "write the passphrase into that file, or unset the variable to have one generated",
            )
        return True
    return path.is_file() and path.stat().st_size > 0 and path.stat().st_mode & 0o077 == 0


def make_passphrase(path: Path, state: Path) -> None:
    """Generates one, never over an old one. Raises OperatorError when states exist that only a lost one opens."""
    if path.is_file() and path.stat().st_size:
        path.chmod(0o600)
        return
    if any(state.glob(".pulumi/stacks/*/*.json")):
        raise OperatorError(
            f"{path} is gone, and the stacks recorded in {state} can't be opened without it",
            "put the file back from a backup, or give PULUMI_CONFIG_PASSPHRASE_FILE",
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
