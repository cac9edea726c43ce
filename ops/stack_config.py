"""Keeps a committed stack config free of what belongs to one machine."""

import re
from pathlib import Path

import yaml

PROJECT = "workflow-platform"

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


def target_of(stack: str, project: Path) -> str:
    """The target that a stack's config names, its bases included; `docker` without one.

    Reads no more than that, so that commands which look at a live stack start quickly and work whatever else is wrong
    with its description.
    """
    seen: set[str] = set()
    while stack not in seen:
        seen.add(stack)
        try:
            document = yaml.safe_load((project / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            break
        config = document.get("config") if isinstance(document, dict) else None
        if not isinstance(config, dict):
            break
        if target := config.get(f"{PROJECT}:target"):
            return str(target)
        stack = str(config.get(f"{PROJECT}:extends") or stack)
    return "docker"
