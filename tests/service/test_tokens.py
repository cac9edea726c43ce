"""Bearer tokens, API keys and roles without any I/O."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import jwt
import pytest

from service.auth.keys import hash_key, new_key
from service.auth.roles import Role
from service.auth.tokens import InvalidTokenError, issue_token, key_id, read_token
from service.platform.settings import Settings, load_settings
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

SECRET = "k" * 48


@pytest.fixture
def settings() -> Settings:
    """Settings with a known secret."""
    return make_settings("postgresql://u@h/d", jwt_secret=SECRET)


def _signed(algorithm: str = "HS256", secret: str = SECRET, **changes: object) -> str:
    now = datetime.now(UTC)
    claims = {"sub": str(uuid4()), "role": "viewer", "iss": "workflow-management", "iat": now}
    claims |= {"exp": now + timedelta(hours=12)} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


def test_a_token_says_who_it_was_made_for(settings: Settings) -> None:
    user = uuid4()
    principal = read_token(settings, issue_token(settings, user, Role.OPERATOR))
    assert (principal.subject, principal.user_id, principal.role) == (str(user), user, Role.OPERATOR)
    assert principal.expires_at is not None
    assert timedelta(minutes=59) < principal.expires_at - datetime.now(UTC) <= timedelta(minutes=60)


@pytest.mark.item("jwt-expiration-bounded")
def test_an_old_token_is_refused_as_expired(settings: Settings) -> None:
    token = issue_token(settings, uuid4(), Role.ADMIN, now=datetime.now(UTC) - timedelta(minutes=61))
    with pytest.raises(InvalidTokenError) as refused:
        read_token(settings, token)
    assert refused.value.reason == "expired_token"


@pytest.mark.item("jwt-algorithm-pinned")
@pytest.mark.parametrize(
    "token",
    [
        _signed("HS512"),
        _signed("none", ""),
        _signed(secret="another-secret-that-is-long-enough!"),
        _signed(sub=None),
        _signed(exp=None),
        _signed(iat=None),
        _signed(iss="somebody else"),
        _signed(role="emperor"),
        _signed(sub="not an id"),
        "nonsense",
        "",
    ],
    ids=["other algorithm", "none", "other key", "no sub", "no exp", "no iat", "issuer", "role", "id", "text", "empty"],
)
def test_a_token_that_is_not_ours_is_refused(settings: Settings, token: str) -> None:
    with pytest.raises(InvalidTokenError) as refused:
        read_token(settings, token)
    assert refused.value.reason == "bad_token"


NEXT_SECRET = "n" * 48


@pytest.fixture
def rotated() -> Settings:
    """Settings after a rotation: a new secret, and the known one as the one before."""
    return make_settings("postgresql://u@h/d", jwt_secret=NEXT_SECRET, jwt_previous_secret=SECRET)


@pytest.mark.item("secrets-rotation")
def test_after_a_rotation_tokens_of_before_are_still_good(settings: Settings, rotated: Settings) -> None:
    user = uuid4()
    assert read_token(rotated, issue_token(settings, user, Role.VIEWER)).user_id == user


@pytest.mark.item("secrets-rotation")
def test_after_a_rotation_new_tokens_are_signed_with_the_new_key(settings: Settings, rotated: Settings) -> None:
    token = issue_token(rotated, uuid4(), Role.VIEWER)
    assert jwt.get_unverified_header(token)["kid"] == key_id(NEXT_SECRET) != key_id(SECRET)
    with pytest.raises(InvalidTokenError):
        read_token(settings, token)


@pytest.mark.item("secrets-rotation")
def test_after_the_next_rotation_tokens_of_the_first_key_are_refused(settings: Settings) -> None:
    token = issue_token(settings, uuid4(), Role.VIEWER)
    later = make_settings("postgresql://u@h/d", jwt_secret="m" * 48, jwt_previous_secret=NEXT_SECRET)
    with pytest.raises(InvalidTokenError) as refused:
        read_token(later, token)
    assert refused.value.reason == "bad_token"


@pytest.mark.item("secrets-rotation")
def test_when_the_former_secret_is_taken_away_its_tokens_end(settings: Settings, rotated: Settings) -> None:
    token = issue_token(settings, uuid4(), Role.VIEWER)
    assert read_token(rotated, token).role is Role.VIEWER
    with pytest.raises(InvalidTokenError):
        read_token(rotated.model_copy(update={"jwt_previous_secret": None}), token)


@pytest.mark.item("secrets-rotation")
def test_the_former_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"JWT_SECRET": NEXT_SECRET, "JWT_PREVIOUS_SECRET": SECRET}
    for name, secret in given.items():
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    found = load_settings(database_url="postgresql://u@h/d", kafka_brokers="kafka:1")
    assert read_token(found, _signed()).role is Role.VIEWER


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET])
def test_a_token_without_a_key_id_is_good_by_either_key(rotated: Settings, secret: str) -> None:
    assert read_token(rotated, _signed(secret=secret)).role is Role.VIEWER


def test_an_old_token_without_a_key_id_is_refused_as_expired(rotated: Settings) -> None:
    with pytest.raises(InvalidTokenError) as refused:
        read_token(rotated, _signed(exp=datetime.now(UTC) - timedelta(minutes=1)))
    assert refused.value.reason == "expired_token"


def test_a_token_that_names_another_key_than_it_was_signed_with_is_refused(rotated: Settings) -> None:
    claims = jwt.decode(_signed(), SECRET, algorithms=["HS256"])
    liar = jwt.encode(claims, SECRET, algorithm="HS256", headers={"kid": key_id(NEXT_SECRET)})
    with pytest.raises(InvalidTokenError):
        read_token(rotated, liar)


def test_a_key_id_holds_nothing_of_its_secret() -> None:
    assert len(key_id(SECRET)) == 16
    assert key_id(SECRET) not in SECRET


def test_an_api_key_shows_its_prefix_and_is_stored_as_a_hash() -> None:
    key, prefix = new_key()
    assert key.startswith(f"wfk_{prefix}_")
    assert len(key) > 50
    assert key not in hash_key(key)
    assert hash_key(key) == hash_key(key) != hash_key(new_key()[0])


@pytest.mark.parametrize(
    ("role", "needed", "allowed"),
    [
        (Role.ADMIN, Role.VIEWER, True),
        (Role.OPERATOR, Role.OPERATOR, True),
        (Role.VIEWER, Role.OPERATOR, False),
        (Role.OPERATOR, Role.ADMIN, False),
    ],
)
def test_a_role_includes_those_below_it(role: Role, needed: Role, allowed: bool) -> None:
    assert role.includes(needed) is allowed
