"""What tells a strong secret from a weak one, a secret from a name, and one stack's secret from another's."""

import secrets

import pytest

from infra.random_hex import SECRET_BYTES
from policies.engine.rule import all_rules
from policies.view.deployment import Deployment
from policies.view.samples import is_known
from policies.view.secret_text import gives_away, is_written_down, names_a_secret
from policies.view.values import UNKNOWN, Value
from service.auth.strength import estimated_bits
from tests.policies.changes import put, secret
from tests.policies.conftest import Judge, recorded

pytestmark = pytest.mark.ring("unit")

MINE = tuple(
    each.name for each in all_rules() if each.check.__module__.rpartition(".")[2].startswith(("secrets_", "access"))
)


def test_what_our_generator_draws_is_always_worth_256_bits() -> None:
    assert all(estimated_bits(secrets.token_hex(SECRET_BYTES)) >= 256 for _ in range(500))


def test_other_generators_are_trusted_too() -> None:
    assert all(estimated_bits(secrets.token_urlsafe(43)) >= 256 for _ in range(500))
    assert all(estimated_bits(secrets.token_urlsafe(32)) >= 128 for _ in range(500))


@pytest.mark.parametrize(
    ("text", "fewer"),
    [
        ("", 1), ("a" * 64, 30), ("abc" * 22, 40), ("0123456789abcdef" * 4, 64), ("deadbeef" * 8, 64),
        ("your-secret-key-min-32-chars", 64), ("CHANGE_THIS_TO_RANDOM_64_CHAR_STRING_MIN", 128),
        ("thequickbrownfoxjumpsoverthelazydogandthenitgoestosleepagainforthenight", 256),
        ("Password123!", 64), ("correct horse battery staple", 64), ("1234567890123456", 64),
    ],
)  # fmt: skip
def test_patterns_words_and_repetitions_are_worth_little(text: str, fewer: int) -> None:
    assert estimated_bits(text) < fewer


@pytest.mark.parametrize(
    "text",
    [
        "", "workflow_pass", "WORKFLOW_PASS",
        "your-secret-key-min-32-chars", "CHANGE_THIS_TO_RANDOM_64_CHAR_STRING_MIN",
        "YOUR_JWT_TOKEN", "STRONG_PASSWORD", "pass", "password", "postgres", "admin", "admin123", "NEW_PASSWORD",
        "change-me-please-in-production", "<your password>", "${DB_PASSWORD}", "replace_me_with_something",
    ],
)  # fmt: skip
def test_documented_samples_defaults_and_placeholders_are_known(text: str) -> None:
    assert is_known(text)


def test_random_secrets_are_not_known() -> None:
    assert not any(is_known(secrets.token_urlsafe(24)) for _ in range(500))


@pytest.mark.parametrize(
    "name", ["POSTGRES_PASSWORD", "apiToken", "db-password", "JWT_SECRET", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD_VALUE"]
)
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "JWT_SECRET_FILE",
        "API_KEY_HEADER",
        "SECRET_GENERATION",
        "PUBLIC_KEY",
        "partitionKey",
        "KEYBOARD",
        "compass",
        "checksum/secret",
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not names_a_secret(name)


@pytest.mark.parametrize("value", ["", "/config/secrets/jwt", "$(OTHER)", "${OTHER}", "true"])
def test_paths_references_and_switches_are_no_secrets(value: str) -> None:
    assert not is_written_down("API_TOKEN", value)


@pytest.mark.parametrize(("name", "value"), [("routingKey", "orders"), ("map_key", "app"), ("tls-key", "server.key")])
def test_keys_of_maps_and_names_of_files_are_no_secrets(name: str, value: str) -> None:
    assert not (names_a_secret(name) and is_written_down(name, value))


def test_a_key_of_an_api_is_a_secret_even_when_it_is_a_word() -> None:
    assert is_written_down("API_KEY", "changeme")
    assert is_written_down("STRIPE_KEY", "4f0c2a9d8e1b7365")


def test_a_number_is_a_password_but_no_token() -> None:
    assert is_written_down("DB_PASSWORD", "1234")
    assert not is_written_down("MAX_TOKEN", "4096")


@pytest.mark.parametrize(
    "text", ["redis://cache:6379", "https://host/a:b@c", "password_encryption = scram-sha-256", "token_file: /a/b"]
)
def test_plain_texts_give_nothing_away(text: str) -> None:
    assert gives_away(text) is None


def _undrawn(stack: str) -> Deployment:
    """As in a preview before the first `up`: generated secrets are to be drawn yet."""
    deployment = recorded(stack)
    if stack == "prod":
        for each in deployment.of("Secret"):
            deployment = put("Secret", each.name, "data", UNKNOWN)(deployment)
        return deployment
    for name, part in deployment.platform.parts.items():
        for file in part.secret_files:
            deployment = secret(name, file, UNKNOWN)(deployment)
    return deployment


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_before_the_first_up_generated_secrets_block_nothing(stack: str, findings: Judge) -> None:
    told = findings(_undrawn(stack), *MINE)
    assert [f"{each.check}: {each.status}: {each.place}" for each in told] == []


def test_a_secret_whose_names_are_hidden_is_unknown_not_absent() -> None:
    api = put("Secret", "api-secrets", "data", UNKNOWN)(recorded("prod")).platform.parts["api"]
    assert api.hides_files
    assert api.setting("JWT_SECRET").is_unknown


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_credentials_of_the_platform_are_found(stack: str) -> None:
    found = {(each.part, each.name) for each in recorded(stack).credentials}
    assert {
        ("api", "jwt"),
        ("api", "database_url"),
        ("migrations", "admin_password"),
        ("grafana", "admin_password"),
    } <= found


def test_a_url_and_a_config_file_are_taken_apart() -> None:
    text = "[global]\nrepo1-cipher-pass=swordfish\n"
    changed = put("Secret", "backups-secrets", "stringData", {"repository.conf": text})(recorded("prod"))
    found = {each.name: each for each in changed.credentials if each.value == Value("swordfish", each.value.path)}
    assert set(found) == {"repository.conf: repo1-cipher-pass"}
    login = next(each for each in recorded("prod").credentials if (each.part, each.name) == ("api", "database_url"))
    assert (login.user, login.is_of_database, "postgres" in login.surroundings) == ("api_1", True, True)
