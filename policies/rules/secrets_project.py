"""Secrets in the checkout: encrypted in the stacks' configs, and nowhere else."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from policies.engine.rule import Fault, rule
from policies.view.project import Project
from policies.view.secret_text import PRIVATE_KEY, assignments, is_written_down, names_a_secret, url_logins
from policies.view.values import SIGNATURE
from service.auth.strength import estimated_bits
from stacks.load import SECRET_KEYS

ENCRYPTED = "stack-secrets-encrypted"
IN_VCS = "secrets-not-in-vcs"

CIPHERTEXT = re.compile(r"v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+|[A-Za-z0-9+/=]{24,}")
"""What Pulumi writes for `secure`: of a passphrase `v1:nonce:text`, of a key service one text in base64."""

MOST_BYTES = 1_000_000
MADE_SECRET = re.compile(r"""\bsecret\(\s*f?["']([^"']+)["']""")
"""A text that a program hands to `Output.secret(...)`: what is marked as a secret there is one."""

ISSUED_TOKENS = re.compile(
    r"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{20,}"
    r"|sk-[A-Za-z0-9_-]{32,}|AIza[\w-]{35}|SG\.[\w-]{22}\.[\w-]{43}|wfk_[0-9a-f]{8}_[\w-]{43}|pul-[0-9a-f]{40})\b"
)
"""Tokens that are known by their form: of AWS, GitHub, GitLab, Slack, OpenAI, Google, SendGrid, our API, Pulumi."""

RANDOM_BITS = 100
"""From this on a written-down secret is no sample."""

PLANTED = re.compile(r"(^|/)tests?/|(^|/)conftest\.py$")
"""Tests plant what they look for; of them only keys and issued tokens count."""

SAMPLES_OF_MANUALS = ("AKIAIOSFODNN7EXAMPLE",)


@rule(
    ENCRYPTED, on=Project, wanted="`secure:` with what Pulumi encrypted",
    mend="`pulumi config set --secret <key>`, and exchange the secret that was readable",
)  # fmt: skip
def stack_configs_have_no_secret_in_clear(project: Project) -> Iterator[Fault]:
    """A stack's config is in version control: what is readable there is known to everybody who has a copy, for good."""
    for path, config in _configs(project):
        for key, value in _leaves(config.get("config")):
            name = key.rpartition(":")[2].rpartition(".")[2]
            if key.endswith(".secure"):
                if not isinstance(value, str) or not CIPHERTEXT.fullmatch(value):
                    yield Fault(f"{path}: {key}", "`secure` has no ciphertext")
            elif (
                isinstance(value, str)
                and ((names_a_secret(name) and is_written_down(name, value)) or any(url_logins(value)))
            ) or name in SECRET_KEYS:
                yield Fault(f"{path}: {key}", "a secret is written in clear")


@rule(
    ENCRYPTED, on=Project, wanted="`encryptionsalt`, or `encryptedkey` with `secretsprovider`",
    mend="restore the line from history, or set the secrets anew with `pulumi config set --secret`",
)  # fmt: skip
def stack_configs_can_be_decrypted(project: Project) -> Iterator[Fault]:
    """Without the salt or the wrapped key nobody can ever read the encrypted values again."""
    for path, config in _configs(project):
        secure = any(key.endswith(".secure") for key, _ in _leaves(config.get("config")))
        has_key = bool(config.get("encryptionsalt")) or bool(
            config.get("encryptedkey") and config.get("secretsprovider")
        )
        if secure and not has_key:
            yield Fault(path, "there are encrypted values, but nothing by which they can be decrypted")


@rule(
    ENCRYPTED, on=Project, wanted="a state whose secrets are encrypted",
    mend="mark the value as a secret in the program, `up`, and exchange it; an export is made without --show-secrets",
)  # fmt: skip
def the_recorded_state_has_no_secret_in_clear(project: Project) -> Iterator[Fault]:
    """The state is copied to backups and to whoever debugs a deployment; a secret that is readable there is not one.

    Judged is the report `state`, an export of the stack; before the first deployment there is none.
    """
    state = project.report("state")
    if state is None:
        return
    deployment = state.get("deployment")
    if not isinstance(deployment, dict):
        yield Fault("state", "the report is no exported state", "the output of `pulumi stack export`")
        return
    if not deployment.get("secrets_providers"):
        yield Fault("state: secrets_providers", "the state has no way to encrypt secrets")
    for resource in deployment.get("resources") or []:
        name = str(resource.get("urn", "")).rpartition("::")[2]
        for path in sorted(set(_open_secrets(resource))):
            yield Fault(f"state: {name}: {path}", "a secret is recorded in clear")


def _open_secrets(resource: Mapping[str, Any]) -> Iterator[str]:
    """The paths of a recorded resource whose values are secrets by what is known of them, and not encrypted."""
    marked = set(resource.get("additionalSecretOutputs") or ())
    is_secret = str(resource.get("type", "")).endswith("/v1:Secret")
    for side in ("inputs", "outputs"):
        for name, below in (resource.get(side) or {}).items():
            for path, value in _unsealed(below, f"{side}.{name}"):
                last = path.rpartition(".")[2].partition("[")[0]
                in_secret = is_secret and name in ("data", "stringData")
                named = names_a_secret(last) and is_written_down(last, value)
                if in_secret or named or last == "plaintext" or (side == "outputs" and name in marked):
                    yield path


def _unsealed(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The texts that are not encrypted; what was opened for the export ends in `plaintext`."""
    if isinstance(value, dict) and SIGNATURE in value:
        if "plaintext" in value:
            yield f"{path}.plaintext", str(value["plaintext"])
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _unsealed(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unsealed(each, f"{path}[{index}]")
    elif isinstance(value, str) and value:
        yield path, value


@rule(
    IN_VCS, on=Project, wanted="no key, token or password in version control",
    mend="remove it, exchange it, and hand it over by `pulumi config set --secret`",
)  # fmt: skip
def tracked_files_hold_no_secrets(project: Project) -> Iterator[Fault]:
    """What was committed once is in every clone and in every backup of one; exchanging it is the only cure."""
    for name in project.tracked:
        try:
            if (project.root / name).stat().st_size > MOST_BYTES:
                continue
        except OSError:
            continue
        text = project.text(name)
        if text is None:
            continue
        for line, shown in _shown(text, planted=PLANTED.search(name) is not None):
            yield Fault(f"{name}:{line}", f"{shown} is written down")


@rule(IN_VCS, on=Project, wanted="samples only (.env.example)", mend="`git rm --cached`, and name it in .gitignore")
def no_file_for_secrets_is_tracked(project: Project) -> Iterator[Fault]:
    """Files of these names are made to hold secrets, so that the next `git add` takes some along."""
    for name in project.tracked:
        last = name.rpartition("/")[2].lower()
        sample = re.search(r"\.(example|sample|template|dist)$", last)
        if not sample and re.fullmatch(r"\.env(\..+)?|.+\.env|id_(rsa|ed25519|ecdsa|dsa)|.+\.(p12|pfx|jks|kdbx)", last):
            yield Fault(name, "a file that is made for secrets is under version control")


def _shown(text: str, planted: bool) -> Iterator[tuple[int, str]]:
    for match in PRIVATE_KEY.finditer(text):
        # A header alone is a pattern or a test; of a key two lines of base64 follow.
        if re.match(r"[^A-Za-z0-9+/]*(\\n|\s|[\"',+]|[A-Za-z0-9+/=]){80}", text[match.end() : match.end() + 400]) and (
            re.search(r"[A-Za-z0-9+/]{60}", text[match.end() : match.end() + 400])
        ):
            yield _line(text, match.start()), "a private key"
    for match in ISSUED_TOKENS.finditer(text):
        if match[0] not in SAMPLES_OF_MANUALS:
            yield _line(text, match.start()), "an issued token"
    if planted:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if any(is_random(password) for _, _, password, _ in url_logins(line)):
            yield number, "a URL with a password"
        elif any(
            is_random(value) for value in [*(value for _, value in assignments(line)), *MADE_SECRET.findall(line)]
        ):
            yield number, "a secret"


def is_random(value: str) -> bool:
    """Whether a text is too random for a name, a path or a sample: letters and digits mixed, without words."""
    plain = re.fullmatch(r"[A-Za-z0-9+/=_~.-]{20,}", value)
    mixed = re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value)
    named = re.search(r"[A-Za-z]{3,}[._-][A-Za-z]{3,}", value)
    return bool(plain and mixed and not named) and estimated_bits(value) >= RANDOM_BITS


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _configs(project: Project) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in project.files("Pulumi.*.yaml"):
        try:
            found = yaml.safe_load(project.text(path.name) or "") or {}
        except yaml.YAMLError:
            continue
        if isinstance(found, dict):
            yield path.name, found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{path}[{index}]")
    else:
        yield path, value
