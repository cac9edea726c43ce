"""Keeps a committed stack config free of what belongs to one machine."""

import re
from pathlib import Path

_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)
_SECURE = re.compile(r"^\s+secure:", re.MULTILINE)


def drop_salt(path: Path) -> bool:
    """Takes the `encryptionsalt` line out of a config that encrypts nothing; says whether there was one.

    Pulumi writes it into the file of any stack that it touches. The state holds the same salt, and in a committed file
    it would tie the stack to one machine's passphrase. A config with `secure:` values needs it and is left alone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    if _SECURE.search(text) or not _SALT.search(text):
        return False
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(_SALT.sub("", text), encoding="utf-8")
    temporary.replace(path)
    return True
