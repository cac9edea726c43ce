"""The store of fingerprints: one file for each stack, kept outside of version control."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from policies.errors import PolicyError
from policies.view.deployment import Deployment
from policies.view.fingerprints import Fingerprints

FOLDER = "secret-fingerprints"
"""Below `WORKFLOW_HOME`."""
_SALT = b"workflow-platform: fingerprints of secrets"
_MEND = "remove it; the next `up` of its stack writes it anew"


def fingerprint_key(passphrase: str) -> bytes:
    """The key of the fingerprints, derived from the passphrase that encrypts the stacks' states.

    So the files alone tell nothing, and whoever has the passphrase can read the secrets themselves anyway.
    """
    return hashlib.scrypt(passphrase.strip().encode(), salt=_SALT, n=2**14, r=8, p=1, dklen=32)


def known_fingerprints(environ: Mapping[str, str]) -> Fingerprints | None:
    """What is recorded on this machine, for commands and the engine alike; None where no passphrase is named.

    `WORKFLOW_HOME` names the folder above the records. Raises PolicyError for a record that can't be read.
    """
    home, passphrase = environ.get("WORKFLOW_HOME"), _passphrase(environ)
    if not home or not passphrase:
        return None
    return read_fingerprints(Path(home) / FOLDER, fingerprint_key(passphrase))


def _passphrase(environ: Mapping[str, str]) -> str | None:
    """What encrypts the states, by the engine's own variables."""
    if given := environ.get("PULUMI_CONFIG_PASSPHRASE"):
        return given
    try:
        return Path(environ["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text(encoding="utf-8")
    except (KeyError, OSError, UnicodeDecodeError):
        return None


def read_fingerprints(folder: Path, key: bytes) -> Fingerprints:
    """What is recorded of all stacks; nothing where the folder is not there. Raises PolicyError naming the file."""
    recorded = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["fingerprints"]
        except (OSError, ValueError, KeyError, TypeError):
            raise PolicyError(f"{path} is no record of fingerprints", _MEND) from None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise PolicyError(f"{path}: `fingerprints` must be a list of texts", _MEND)
        recorded[path.stem] = frozenset(found)
    return Fingerprints(key, recorded)


def record_fingerprints(folder: Path, key: bytes, deployment: Deployment) -> Path | None:
    """Writes down the fingerprints of a deployment's secrets, in place of those of before.

    Nothing is written, and None returned, where no secret is known: then those of before stay.
    """
    prints = Fingerprints(key, {})
    known = {each.value.text() for each in deployment.credentials if not each.value.is_unknown}
    found = sorted(prints.of(secret) for secret in known if secret)
    if not found:
        return None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{deployment.stack}.json"
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({"fingerprints": found}, file, indent=1)
    new.replace(path)
    return path
