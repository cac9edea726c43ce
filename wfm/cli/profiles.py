"""The file in which `wfm login` keeps where the API is; a secret only when that is asked for."""

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from wfm.cli.exits import CliError

DEFAULT = "default"


@dataclass(frozen=True)
class Profile:
    """One API and who asks there. ``api_key`` and ``token`` are there only after `wfm login --store`."""

    url: str | None = None
    ca_file: str | None = None
    username: str | None = None
    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def has_secret(self) -> bool:
        """Whether the file must be kept from others."""
        return self.api_key is not None or self.token is not None


def config_file(environment: Mapping[str, str]) -> Path:
    """``WFM_CONFIG``, else below ``XDG_CONFIG_HOME``."""
    if given := environment.get("WFM_CONFIG"):
        return Path(given)
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "wfm" / "config.yaml"


def load(path: Path) -> dict[str, Profile]:
    """The profiles by name; none where there is no file. Raises CliError for a file that cannot be used."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        mode = path.stat().st_mode
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CliError(f"{path} cannot be read: {' '.join(str(error).split())}", "mend it or remove it") from None
    written = document.get("profiles") if isinstance(document, dict) else None
    if not isinstance(written, dict):
        raise CliError(f"{path} has no mapping `profiles`", "mend it or remove it")
    found = {str(name): _profile(path, str(name), value) for name, value in written.items()}
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and any(each.has_secret for each in found.values()):
        raise CliError(f"{path} holds a secret and others may read it", f"chmod 600 {path}")
    return found


def _profile(path: Path, name: str, value: Any) -> Profile:
    known = {each.name for each in fields(Profile)}
    if not isinstance(value, dict) or not set(value) <= known or not all(isinstance(v, str) for v in value.values()):
        raise CliError(f"{path}: the profile {name!r} must be texts under {', '.join(sorted(known))}", "mend it")
    return Profile(**value)


def save(path: Path, profiles: Mapping[str, Profile]) -> None:
    """Writes the file at once or not at all, for its owner only."""
    kept = {name: {k: v for k, v in asdict(each).items() if v is not None} for name, each in sorted(profiles.items())}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it 0600 from the first byte on.
        number, name = tempfile.mkstemp(dir=path.parent, prefix=".config-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                yaml.safe_dump({"profiles": kept}, stream, sort_keys=False)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", "name another file by WFM_CONFIG") from None
