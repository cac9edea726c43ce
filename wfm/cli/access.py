"""Which API a command asks, and as whom: options before variables before the profile. Secrets are never arguments."""

import getpass
import ipaddress
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wfm.cli.exits import CliError
from wfm.cli.profiles import DEFAULT, Profile, config_file, load
from wfm.client import WorkflowClient
from wfm.trust import InsecureWarning

LOCAL = "http://127.0.0.1:8000"
"""Where a stack `dev` on this machine answers."""

RETRY_SECONDS = 10.0
"""For so long a request is tried again: a person waits."""


@dataclass(frozen=True)
class Given:
    """What the options of a command say; None: not given."""

    url: str | None = None
    profile: str | None = None
    ca_file: Path | None = None
    insecure: bool = False
    api_key_file: Path | None = None
    token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    timeout: float = 30.0


@dataclass(frozen=True)
class Access:
    """Where to and as whom, made of all that was found."""

    url: str
    ca_file: str | None
    insecure: bool
    timeout: float
    secrets: Mapping[str, str]
    """``api_key``, ``token``, or ``username`` with ``password``; empty: nothing is known."""
    profile: str

    def client(self) -> WorkflowClient:
        """A client for it. Says loudly what is not safe."""
        address = urlsplit(self.url)
        if self.secrets and address.scheme == "http" and not _is_loopback(address.hostname or ""):
            _warn(f"{self.url} is not encrypted: your credentials can be read on the way; use https")
        options: dict[str, Any] = {**self.secrets, "ca_file": self.ca_file, "insecure": self.insecure}
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", InsecureWarning)
            try:
                found = WorkflowClient(
                    self.url, timeout=self.timeout, retry_seconds=min(self.timeout, RETRY_SECONDS), **options
                )
            except ValueError as error:
                raise CliError(str(error), "give --url, WFM_URL, or `wfm login --url URL`") from None
            except OSError as error:
                raise CliError(f"the CA file {self.ca_file} cannot be used: {error.strerror or error}") from None
        for each in told:
            _warn(str(each.message))
        return found


def _warn(message: str) -> None:
    sys.stderr.write(f"warning: {message}\n")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def resolve(given: Given, *, ask: bool = True, new_profile: bool = False) -> Access:
    """Puts together what options, environment and profile say. With ``ask`` a person is asked for a password."""
    environment = os.environ
    name = given.profile or environment.get("WFM_PROFILE") or DEFAULT
    path = config_file(environment)
    profiles = load(path)
    if name not in profiles and name != DEFAULT and not new_profile:
        known = ", ".join(profiles) or "none"
        raise CliError(f"there is no profile {name!r} in {path}; there are: {known}", f"wfm login --profile {name}")
    profile = profiles.get(name, Profile())
    url = (given.url or environment.get("WFM_URL") or profile.url or LOCAL).rstrip("/")
    if profile.url and url != profile.url.rstrip("/"):
        # What was said of one server is not told to another.
        profile = Profile()
    ca_file = str(given.ca_file) if given.ca_file else environment.get("WFM_CA_FILE") or profile.ca_file
    secrets = _secrets(given, environment, profile, ask=ask)
    insecure = given.insecure
    return Access(url, None if insecure and not given.ca_file else ca_file, insecure, given.timeout, secrets, name)


def _secrets(given: Given, environment: Mapping[str, str], profile: Profile, *, ask: bool) -> dict[str, str]:
    if given.api_key_file:
        return {"api_key": _read(given.api_key_file)}
    if given.token_file:
        return {"token": _read(given.token_file)}
    username = given.username or environment.get("WFM_USERNAME") or profile.username
    if given.password_file:
        return _login(username, _read(given.password_file))
    if not given.username:
        for kind in ("api_key", "token"):
            if found := _from(environment, f"WFM_{kind.upper()}"):
                return {kind: found}
    if password := _from(environment, "WFM_PASSWORD"):
        return _login(username, password)
    if not given.username and profile.api_key:
        return {"api_key": profile.api_key}
    if not given.username and profile.token:
        return {"token": profile.token}
    if username and ask and sys.stdin.isatty():
        return _login(username, getpass.getpass(f"Password of {username}: "))
    return {}


def _login(username: str | None, password: str) -> dict[str, str]:
    if not username:
        raise CliError("there is a password and no user name", "give --username or WFM_USERNAME")
    return {"username": username, "password": password}


def _from(environment: Mapping[str, str], variable: str) -> str | None:
    if file := environment.get(f"{variable}_FILE"):
        return _read(Path(file))
    return environment.get(variable) or None


def _read(path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise CliError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    if not found:
        raise CliError(f"{path} is empty", "write the secret into it")
    return found
