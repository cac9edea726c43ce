"""Tokens that were verified once, without any I/O."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from service.auth import known_tokens
from service.auth.known_tokens import KnownTokens
from service.auth.roles import Role
from service.auth.tokens import InvalidTokenError, issue_token
from service.platform.ids import new_id
from service.platform.settings import Settings
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def settings() -> Settings:
    """Some with a secret."""
    return make_settings("postgresql://u:p@127.0.0.1:9/d")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was looked at."""
    seen: list[str] = []
    real = known_tokens.read_token

    def read(settings: Settings, token: str) -> object:
        seen.append(token)
        return real(settings, token)

    monkeypatch.setattr(known_tokens, "read_token", read)
    return seen


def test_a_token_is_verified_once(settings: Settings, verified: list[str]) -> None:
    tokens, user = KnownTokens(settings), new_id()
    token = issue_token(settings, user, Role.VIEWER)
    assert tokens.read(token) == tokens.read(token)
    assert tokens.read(token).user_id == user
    assert verified == [token]


def test_a_known_token_ends_when_it_expires(settings: Settings) -> None:
    now = datetime.now(UTC)
    moment = [now]
    tokens = KnownTokens(settings, clock=lambda: moment[0])
    token = issue_token(settings, new_id(), Role.VIEWER)
    tokens.read(token)
    moment[0] = now + timedelta(minutes=settings.jwt_expiration_minutes, seconds=1)
    with pytest.raises(InvalidTokenError, match="expired_token"):
        tokens.read(token)
    assert len(tokens) == 0


def test_a_token_that_proves_nothing_is_not_remembered(settings: Settings) -> None:
    tokens = KnownTokens(settings)
    with pytest.raises(InvalidTokenError):
        tokens.read(secrets.token_hex(20))
    assert len(tokens) == 0


def test_a_token_that_differs_in_its_last_letter_is_another(settings: Settings) -> None:
    tokens = KnownTokens(settings)
    token = issue_token(settings, new_id(), Role.VIEWER)
    tokens.read(token)
    changed = token[:-3] + ("AAA" if not token.endswith("AAA") else "BBB")
    with pytest.raises(InvalidTokenError, match="bad_token"):
        tokens.read(changed)


def test_only_so_many_are_remembered(settings: Settings, verified: list[str]) -> None:
    tokens = KnownTokens(settings, most=2)
    first, second, third = (issue_token(settings, new_id(), Role.VIEWER) for _ in range(3))
    for token in (first, second, first, third):
        tokens.read(token)
    assert len(tokens) == 2
    tokens.read(first)
    assert verified == [first, second, third]
