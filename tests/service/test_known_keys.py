"""API keys that were found valid a moment ago, without any I/O."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.auth.known_keys import KEEP_SECONDS, KnownKeys
from service.auth.principal import Principal
from service.auth.roles import Role

pytestmark = pytest.mark.ring("unit")

NOW = datetime(2026, 11, 23, tzinfo=UTC)
VALID = Principal("key:1", Role.OPERATOR, "api_key")


class Lookups:
    """The database's side: what it says of a key, and how often it was asked."""

    def __init__(self, says: Principal | None = VALID) -> None:
        self.says = says
        self.asked = 0

    async def __call__(self) -> Principal | None:
        self.asked += 1
        return self.says


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(time: Time) -> KnownKeys:
    return KnownKeys(most=2, clock=time.clock, now=time.now)


async def test_a_valid_key_is_looked_up_once_in_a_while(keys: KnownKeys, time: Time) -> None:
    look_up = Lookups()
    assert [await keys.find("a", look_up) for _ in range(3)] == [VALID] * 3
    assert look_up.asked == 1
    time.seconds = KEEP_SECONDS
    await keys.find("a", look_up)
    assert look_up.asked == 2


async def test_a_key_that_was_revoked_elsewhere_ends_within_the_bound(keys: KnownKeys, time: Time) -> None:
    look_up = Lookups()
    await keys.find("a", look_up)
    look_up.says = None
    time.seconds = KEEP_SECONDS - 0.01
    assert await keys.find("a", look_up) == VALID
    time.seconds = KEEP_SECONDS
    assert await keys.find("a", look_up) is None
    assert KEEP_SECONDS <= 5


async def test_a_key_that_was_revoked_here_ends_at_once(keys: KnownKeys) -> None:
    look_up = Lookups()
    await keys.find("a", look_up)
    keys.forget()
    look_up.says = None
    assert await keys.find("a", look_up) is None


async def test_what_was_read_before_a_revocation_is_not_kept_after_it(keys: KnownKeys) -> None:
    async def revoked_meanwhile() -> Principal | None:
        keys.forget()
        return VALID

    await keys.find("a", revoked_meanwhile)
    assert len(keys) == 0


async def test_an_invalid_key_is_looked_up_each_time(keys: KnownKeys) -> None:
    look_up = Lookups(None)
    assert [await keys.find("a", look_up) for _ in range(2)] == [None, None]
    assert look_up.asked == 2


async def test_a_known_key_ends_when_it_expires(keys: KnownKeys, time: Time) -> None:
    look_up = Lookups(replace(VALID, expires_at=NOW + timedelta(seconds=1)))
    await keys.find("a", look_up)
    look_up.says = None
    time.seconds = 1
    assert await keys.find("a", look_up) is None


async def test_no_more_keys_are_kept_than_there_is_place_for(keys: KnownKeys) -> None:
    for key in "abc":
        await keys.find(key, Lookups())
    look_up = Lookups()
    await keys.find("a", look_up)
    assert (len(keys), look_up.asked) == (2, 1)
