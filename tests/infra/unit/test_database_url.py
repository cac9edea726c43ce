"""What is kept of a DATABASE_URL."""

import pytest

from tests.infra.support import database_url

pytestmark = pytest.mark.ring("unit")


def test_all_but_the_password_is_kept() -> None:
    found = database_url.parse("postgresql://api_1:not-to-be-shown@postgres:5432/prod?sslmode=verify-full")
    assert found.place == ("postgresql", "postgres", 5432, "api_1", "prod", True)
    assert found.sslmode == "verify-full"
    assert "not-to-be-shown" not in repr(found)
