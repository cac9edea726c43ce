"""Secrets in a checkout: in the stacks' configs, in tracked files, in a recorded state."""

import json
import secrets
from pathlib import Path

import pytest

from ops.home import PROJECT_DIR
from policies.rules import secrets_project as rules
from policies.view.project import Project
from policies.view.values import SIGNATURE

pytestmark = pytest.mark.ring("unit")

ENCRYPTED = "v1:c2FsdHNhbHQ=:Y2lwaGVydGV4dGNpcGhlcnRleHQ="
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49".ljust(64, "A") + "\n" + "B" * 64 + "\n"


def tree(root: Path, **files: str) -> Project:
    """A checkout with these files; `__` stands for a slash, `_dot_` for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(root, "prod", root / "reports")


def test_this_tree_is_clean() -> None:
    project = Project(PROJECT_DIR, "prod")
    assert [
        *rules.stack_configs_have_no_secret_in_clear(project),
        *rules.stack_configs_can_be_decrypted(project),
        *rules.no_file_for_secrets_is_tracked(project),
        *rules.tracked_files_hold_no_secrets(project),
    ] == []


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("workflow-platform:jwtSecret: abc", "jwtSecret"),
        ("workflow-platform:jwtSecret: {secure: abc}", "secure"),
        ("workflow-platform:smtp: {password: swordfish}", "smtp.password"),
        ("workflow-platform:alerting: {criticalWebhook: 'https://me:swordfish@there/x'}", "criticalWebhook"),
        ("aws:secretKey: swordfish", "secretKey"),
    ],
)
def test_a_secret_in_clear_in_a_stacks_config_is_told(tmp_path: Path, line: str, path: str) -> None:
    project = tree(tmp_path, Pulumi_dot_prod_dot_yaml=f"config:\n  {line}\n")
    (fault,) = rules.stack_configs_have_no_secret_in_clear(project)
    assert path in fault.path
    assert "swordfish" not in f"{fault.path} {fault.what}"


def test_encrypted_values_need_what_decrypts_them(tmp_path: Path) -> None:
    config = f"config:\n  workflow-platform:jwtSecret:\n    secure: {ENCRYPTED}\n"
    project = tree(tmp_path, Pulumi_dot_prod_dot_yaml=config)
    assert [*rules.stack_configs_have_no_secret_in_clear(project)] == []
    assert [fault.path for fault in rules.stack_configs_can_be_decrypted(project)] == ["Pulumi.prod.yaml"]


@pytest.mark.parametrize("line", ["encryptionsalt: v1:abc:def", "secretsprovider: awskms://x\nencryptedkey: abc"])
def test_a_salt_or_a_wrapped_key_decrypts(tmp_path: Path, line: str) -> None:
    config = f"{line}\nconfig:\n  workflow-platform:jwtSecret:\n    secure: {ENCRYPTED}\n"
    assert [*rules.stack_configs_can_be_decrypted(tree(tmp_path, Pulumi_dot_prod_dot_yaml=config))] == []


@pytest.mark.parametrize(
    "text",
    [
        f"x = 1\n{KEY}",
        "x = 1\nTOKEN = 'ghp_" + "a1" * 18 + "'",
        f"x = 1\npassword: {secrets.token_hex(32)}",
        f"x = 1\nself.jwt = pulumi.Output.secret('{secrets.token_hex(32)}')",
        f"x = 1\nurl = 'postgresql://me:{secrets.token_hex(16)}@db/x'",
    ],
    ids=["key", "token", "assignment", "call", "url"],
)
def test_a_secret_in_a_tracked_file_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    project = tree(tmp_path, some__file_dot_py=text)
    assert {fault.path for fault in rules.tracked_files_hold_no_secrets(project)} == {"some/file.py:2"}


@pytest.mark.parametrize(
    "text",
    [
        "password: STRONG_PASSWORD",
        "url = postgresql://user:password@host/db",
        "JWT_SECRET_FILE=/config/secrets/jwt",
        "pattern = '-----BEGIN PRIVATE KEY-----'",
        "digest: sha256:" + "0a" * 32,
        "password = load_password_from_the_file_of_the_stack()",
        "token: ${{ secrets.DEPLOY_TOKEN_OF_PRODUCTION_2024 }}",
    ],
)
def test_names_samples_and_digests_are_no_secrets(tmp_path: Path, text: str) -> None:
    assert [*rules.tracked_files_hold_no_secrets(tree(tmp_path, some__file_dot_py=text))] == []


def test_in_tests_only_keys_and_issued_tokens_count(tmp_path: Path) -> None:
    planted = f"password = '{secrets.token_hex(32)}'"
    assert [*rules.tracked_files_hold_no_secrets(tree(tmp_path, tests__test_x_dot_py=planted))] == []
    assert [*rules.tracked_files_hold_no_secrets(tree(tmp_path, tests__test_y_dot_py=KEY))]


@pytest.mark.parametrize(
    ("name", "told"), [("_dot_env", 1), ("a__prod_dot_env", 1), ("_dot_env_dot_production", 1), ("id_rsa", 1),
                       ("_dot_env_dot_example", 0), ("environment_dot_py", 0)],
)  # fmt: skip
def test_files_that_are_made_for_secrets_are_not_tracked(tmp_path: Path, name: str, told: int) -> None:
    assert len([*rules.no_file_for_secrets_is_tracked(tree(tmp_path, **{name: "X=1"}))]) == told


def _state(*resources: dict[str, object], providers: object = None) -> str:
    given = {"type": "passphrase"} if providers is None else providers
    return json.dumps({"deployment": {"secrets_providers": given, "resources": list(resources)}})


SEALED = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:a:b"}


@pytest.mark.parametrize(
    "resource",
    [
        {"urn": "u::a", "type": "kubernetes:core/v1:Secret", "inputs": {"data": {"x": "c3dvcmRmaXNo"}}},
        {"urn": "u::a", "type": "x:y:Z", "outputs": {"value": "swordfish"}, "additionalSecretOutputs": ["value"]},
        {"urn": "u::a", "type": "pulumi:pulumi:Stack", "outputs": {"adminPassword": "swordfish"}},
        {"urn": "u::a", "type": "x:y:Z", "inputs": {"a": {SIGNATURE: "s", "plaintext": '"swordfish"'}}},
    ],
    ids=["kubernetes", "marked", "output", "shown"],
)
def test_a_secret_in_clear_in_the_state_is_told(tmp_path: Path, resource: dict[str, object]) -> None:
    (fault,) = rules.the_recorded_state_has_no_secret_in_clear(tree(tmp_path, reports__state_dot_json=_state(resource)))
    assert fault.path.startswith("state: a: ")
    assert "swordfish" not in f"{fault.path} {fault.what}"


def test_an_encrypted_state_is_good_and_so_is_none(tmp_path: Path) -> None:
    assert [*rules.the_recorded_state_has_no_secret_in_clear(tree(tmp_path))] == []
    kept = {
        "urn": "u::a",
        "type": "kubernetes:core/v1:Secret",
        "inputs": {"data": SEALED},
        "outputs": {"data": {"x": SEALED}},
    }
    assert [
        *rules.the_recorded_state_has_no_secret_in_clear(tree(tmp_path, reports__state_dot_json=_state(kept)))
    ] == []


def test_a_state_that_can_encrypt_nothing_is_told(tmp_path: Path) -> None:
    project = tree(tmp_path, reports__state_dot_json=_state(providers={}))
    assert [fault.path for fault in rules.the_recorded_state_has_no_secret_in_clear(project)] == [
        "state: secrets_providers"
    ]


def test_a_report_that_is_no_state_is_told(tmp_path: Path) -> None:
    assert [*rules.the_recorded_state_has_no_secret_in_clear(tree(tmp_path, reports__state_dot_json="{}"))]
