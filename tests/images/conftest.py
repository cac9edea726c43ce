"""Fixtures of the images' tests."""

from collections.abc import Iterator

import pytest

from tests.images.containers import Engine, engine


@pytest.fixture
def containers() -> Iterator[Engine]:
    """An engine for one test; what the test makes there is removed after it, whatever happened."""
    with engine() as found:
        yield found


@pytest.fixture(scope="module")
def shared_containers() -> Iterator[Engine]:
    """The same for all tests of one file."""
    with engine() as found:
        yield found
