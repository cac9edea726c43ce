"""One stack's secret is told from another's, by what is written down of it and tells nothing else."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops import secret_fingerprints
from ops.home import Home
from policies.errors import PolicyError
from policies.sources.fingerprints import (
    fingerprint_key,
    known_fingerprints,
    read_fingerprints,
    record_fingerprints,
)
from policies.sources.state import deployment_of
from policies.view.values import UNKNOWN
from tests.policies.conftest import recorded

pytestmark = pytest.mark.ring("unit")

JWT = "k3Jx" * 11
SHOWN = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(JWT)}
SEALED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x:y"}


def _state(secret: Any) -> dict[str, Any]:
    """Of a stack `prod` with one object, which has a key of tokens."""
    urn = "urn:pulumi:prod::shop::kubernetes:core/v1:Secret::tokens"
    inputs = {"metadata": {"name": "tokens"}, "stringData": {"jwt_secret": secret}}
    return {"resources": [{"urn": urn, "type": "kubernetes:core/v1:Secret", "inputs": inputs}]}


def test_a_secret_of_a_state_is_known_when_it_is_shown_and_unknown_when_it_is_sealed() -> None:
    for given, expected in ((SHOWN, JWT), (SEALED, UNKNOWN)):
        resource = deployment_of({"deployment": _state(given)}).resources[0]
        assert resource.inputs["stringData"]["jwt_secret"].content == expected


class Recorder:
    """A command on a machine of which `prod` is a stack, and how often it read the state."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        passphrase = root / "passphrase"
        passphrase.write_text("of this machine\n")
        self.reads: list[bool] = []
        environ = {"WORKFLOW_HOME": str(root), "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)}
        self.engine = SimpleNamespace(environ=environ, export=self._export)

    def _export(self, _stack: str, secrets: bool = False) -> dict[str, Any]:
        self.reads.append(secrets)
        return _state(SHOWN)

    def stacks_with(self, secret: str, besides: str) -> list[str]:
        """The others that are written down with it."""
        known = known_fingerprints(self.engine.environ)
        assert known is not None
        return known.stacks_with(secret, besides)


def test_a_deployment_writes_down_what_another_stack_is_compared_with(tmp_path: Path) -> None:
    command: Any = Recorder(tmp_path)
    secret_fingerprints.record(command, "prod", changed=True)
    assert command.stacks_with(JWT, besides="dev") == ["prod"]
    assert command.stacks_with(JWT, besides="prod") == []
    assert JWT not in (tmp_path / "secret-fingerprints" / "prod.json").read_text()
    secret_fingerprints.forget(command, "prod")
    assert command.stacks_with(JWT, besides="dev") == []


def test_what_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    command: Any = Recorder(tmp_path)
    for _ in range(2):
        secret_fingerprints.record(command, "prod", changed=False)
    assert command.reads == [True]


def test_without_a_passphrase_nothing_is_known(tmp_path: Path) -> None:
    assert known_fingerprints({"WORKFLOW_HOME": str(tmp_path)}) is None
    absent = {"WORKFLOW_HOME": str(tmp_path), "PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "absent")}
    assert known_fingerprints(absent) is None
    assert known_fingerprints({"PULUMI_CONFIG_PASSPHRASE": "x"}) is None


def test_fingerprints_tell_the_stack_and_not_the_secret(tmp_path: Path) -> None:
    folder, key = tmp_path / "prints", fingerprint_key("of this machine")
    path = record_fingerprints(folder, key, recorded("prod"))
    jwt = recorded("prod").platform.parts["api"].secret_files["jwt"].text() or ""
    assert path is not None
    assert path.stat().st_mode & 0o077 == 0
    assert jwt not in path.read_text()
    prints = read_fingerprints(folder, key)
    assert prints.stacks_with(jwt, besides="dev") == ["prod"]
    assert prints.stacks_with(jwt, besides="prod") == []
    assert read_fingerprints(folder, fingerprint_key("of another one")).stacks_with(jwt, besides="dev") == []


def test_where_no_secret_is_known_the_record_stays(tmp_path: Path) -> None:
    key = fingerprint_key("of this machine")
    record_fingerprints(tmp_path, key, recorded("prod"))
    before = read_fingerprints(tmp_path, key).recorded
    sealed = deployment_of({"deployment": _state(SEALED)})
    assert record_fingerprints(tmp_path, key, sealed) is None
    assert read_fingerprints(tmp_path, key).recorded == before


@pytest.mark.parametrize("text", ["no json", "[]", '{"fingerprints": 1}'])
def test_a_damaged_record_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(PolicyError, match=r"dev\.json"):
        read_fingerprints(tmp_path, b"key")
