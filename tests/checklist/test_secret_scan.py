"""The secret scanner: each planted form is found, nothing else is, and no finding repeats the secret."""

import base64
import json
import re
from urllib.parse import quote

import pytest

from checklist.secret_scan import SecretScanner, scan

pytestmark = pytest.mark.ring("unit")

SECRET = 'p@ss/w"rd+Zürich=77'
HEX_SECRET = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _small_escapes(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda escape: escape.group().lower(), quoted)


@pytest.mark.parametrize(
    ("line", "form"),
    [
        (f"password is {SECRET}!", "in clear"),
        (f"log {json.dumps({'password': SECRET})}", "JSON-escaped"),
        (f"GET /login?password={quote(SECRET, safe='')}", "percent-encoded"),
        (f"GET /login?password={_small_escapes(quote(SECRET, safe=''))}", "percent-encoded"),
        (f"header {base64.b64encode(SECRET.encode()).decode()}", "base64"),
        (f"header {base64.urlsafe_b64encode(SECRET.encode()).decode()}", "base64"),
        (f"dump {SECRET.encode().hex()}", "hexadecimal"),
        (f"dump {SECRET.encode().hex().upper()}", "hexadecimal"),
    ],
)
def test_a_planted_secret_is_found_in_each_form(line: str, form: str) -> None:
    leaks = scan({"admin": SECRET}, {"api log": ["all is well", line]})
    assert [(leak.secret, leak.source, leak.line, leak.form) for leak in leaks] == [("admin", "api log", 2, form)]


@pytest.mark.parametrize("user", ["u", "us", "use", "user"])
@pytest.mark.parametrize("rest", ["", "!", "!!"])
def test_a_secret_inside_longer_base64_is_found(user: str, rest: str) -> None:
    header = base64.b64encode(f"{user}:{HEX_SECRET}{rest}".encode()).decode()
    (leak,) = scan({"key": HEX_SECRET}, {"headers": [f"Authorization: Basic {header}"]})
    assert leak.form == "base64"


def test_the_password_of_a_url_is_looked_for_by_itself() -> None:
    secrets = {"database-url": "postgresql://workflow_user:a%2Fverylongpassword@postgres:5432/workflow_db"}
    assert scan(secrets, {"state": ['"POSTGRES_PASSWORD": "a/verylongpassword"']})
    assert not scan(secrets, {"state": ["workflow_user at postgres:5432/workflow_db"]})


def test_one_line_of_a_private_key_is_enough() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n"
    assert scan({"key": key}, {"env": ["KEY=MIGHAgEAMBMGByqGSM49AgEGCCqGSM49"]})
    assert not scan({"key": key}, {"env": ["-----BEGIN PRIVATE KEY-----"]})


def test_clean_sources_have_no_finding() -> None:
    assert scan({"key": HEX_SECRET}, {"log": ["nothing here", HEX_SECRET[:40], "100% done"]}) == []


def test_several_secrets_on_one_line_are_all_told() -> None:
    leaks = SecretScanner({"one": "alpha-alpha", "two": "beta-beta"}).scan_text("env", "alpha-alpha beta-beta")
    assert {leak.secret for leak in leaks} == {"one", "two"}


def test_a_finding_never_repeats_the_secret() -> None:
    (leak,) = scan({"key": HEX_SECRET}, {"log": [f"it is {HEX_SECRET}"]})
    for text in (str(leak), repr(leak)):
        assert HEX_SECRET not in text
        assert "key" in text


def test_a_secret_that_would_be_found_by_chance_is_refused_by_name_only() -> None:
    with pytest.raises(ValueError, match="'pin'") as refusal:
        SecretScanner({"pin": "9472"})
    assert "9472" not in str(refusal.value)


def test_without_secrets_there_is_nothing_to_find() -> None:
    assert SecretScanner({}).scan_text("log", "anything") == []
