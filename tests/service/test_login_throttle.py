"""Who tries passwords is slowed down, and learns nothing about names."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth import login_throttle, passwords
from service.auth.login_throttle import PER_ACCOUNT, PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS
from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.platform.database import transaction
from tests.service.support import add_user, running

pytestmark = pytest.mark.ring("service")

PASSWORD = "a good long password"
GUESS = "a-guess-of-somebody"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that are compared at once; how long it takes is another test's."""
    monkeypatch.setattr(passwords, "fits", lambda password, stored: stored == f"plain:{password}")


@pytest.fixture
async def api(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    """The started API; the users ada and bob exist."""
    async with transaction(engine) as connection:
        for name in ("ada", "bob"):
            await add_user(connection, Role.VIEWER, name=name, password_hash=f"plain:{PASSWORD}")
    async with running(app):
        yield app


async def _log_in(api: FastAPI, name: str, password: str, address: str = "192.0.2.1") -> httpx.Response:
    transport = httpx.ASGITransport(api, raise_app_exceptions=False, client=(address, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.post("/api/v1/auth/login", json={"username": name, "password": password})


async def _fail(api: FastAPI, times: int, name: str = "ada", address: str = "192.0.2.1") -> list[int]:
    return [(await _log_in(api, name, GUESS, address)).status_code for _ in range(times)]


def _failures(reason: str) -> float:
    return REGISTRY.get_sample_value("auth_failures_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_an_account_that_is_tried_too_often_from_one_address_is_throttled(name: str, api: FastAPI) -> None:
    counted = _failures("throttled")
    assert await _fail(api, PER_ACCOUNT_AND_ADDRESS, name) == [401] * PER_ACCOUNT_AND_ADDRESS
    answer = await _log_in(api, name, PASSWORD)
    assert answer.status_code == 429
    assert answer.json()["type"].endswith(":too-many-log-ins")
    assert 1 <= int(answer.headers["Retry-After"]) <= 2 * login_throttle.WINDOW_SECONDS
    assert _failures("throttled") == counted + 1


async def test_another_address_and_another_account_are_not_held_responsible(api: FastAPI) -> None:
    await _fail(api, PER_ACCOUNT_AND_ADDRESS + 1)
    assert (await _log_in(api, "bob", PASSWORD)).status_code == 200
    assert (await _log_in(api, "ada", PASSWORD, "192.0.2.2")).status_code == 200


async def test_an_address_that_tries_many_names_is_throttled(api: FastAPI) -> None:
    answers = [(await _log_in(api, f"name {number}", GUESS)).status_code for number in range(PER_ADDRESS + 1)]
    assert answers == [401] * PER_ADDRESS + [429]
    assert (await _log_in(api, "bob", PASSWORD)).status_code == 429


async def test_an_account_that_is_tried_from_many_addresses_is_throttled(api: FastAPI) -> None:
    answers = [(await _fail(api, 1, address=f"198.51.100.{number}"))[0] for number in range(PER_ACCOUNT + 1)]
    assert answers == [401] * PER_ACCOUNT + [429]


async def test_a_log_in_that_fits_does_not_count_and_ends_the_count(api: FastAPI) -> None:
    for _ in range(3):
        await _fail(api, PER_ACCOUNT_AND_ADDRESS - 1)
        assert (await _log_in(api, "ada", PASSWORD)).status_code == 200


async def test_many_guesses_at_once_are_not_all_let_in(api: FastAPI) -> None:
    answers = await asyncio.gather(*(_log_in(api, "ada", GUESS) for _ in range(PER_ACCOUNT_AND_ADDRESS + 15)))
    refused = [answer.status_code for answer in answers]
    assert (refused.count(401), refused.count(429)) == (PER_ACCOUNT_AND_ADDRESS, 15)


async def test_an_error_of_ours_is_not_counted_against_the_caller(
    api: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: object, _password: str, _stored: str | None) -> bool:
        raise OperationalError("statement", {}, Exception("away"))

    with monkeypatch.context() as broken:
        broken.setattr(passwords.Passwords, "verify", fail)
        for _ in range(PER_ACCOUNT_AND_ADDRESS + 1):
            assert (await _log_in(api, "ada", PASSWORD)).status_code >= 500
    assert (await _log_in(api, "ada", PASSWORD)).status_code == 200


@pytest.mark.item("auth-failures-logged")
async def test_an_unknown_name_and_a_wrong_password_are_answered_alike(
    api: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    known, unknown = await _log_in(api, "ada", GUESS), await _log_in(api, "nobody", GUESS)

    def told(answer: httpx.Response) -> tuple[int, object, object]:
        document = answer.json()
        document.pop("correlation_id")
        own = {"x-correlation-id"}
        return answer.status_code, document, {k: v for k, v in answer.headers.items() if k not in own}

    assert told(known) == told(unknown)
    assert sum("Log-in refused" in record.getMessage() for record in caplog.records) == 2
    assert GUESS not in caplog.text + str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("stored", [hash_password(PASSWORD), None], ids=["known", "unknown"])
async def test_a_name_that_nobody_has_costs_the_same_work(stored: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def count(_password: str, against: str) -> bool:
        compared.append(against.rpartition("$")[0].rpartition("$")[0])
        return True

    verifier = passwords.Passwords()
    monkeypatch.setattr(passwords, "fits", count)
    assert await verifier.verify(GUESS, stored) is (stored is not None)
    # The kind of hash and what it costs, without salt and digest.
    assert compared == [hash_password("another").rpartition("$")[0].rpartition("$")[0]]
