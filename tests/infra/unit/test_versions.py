"""Versions compare as numbers, whatever stands around them."""

import pytest

from tests.infra.support.versions import version_in

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.250.0\n", (3, 250, 0)),
        ("git version 2.39.5", (2, 39, 5)),
        ("20.10.24+dfsg1", (20, 10, 24)),
        ("9.0", (9, 0)),
    ],
)
def test_the_version_is_found(text: str, version: tuple[int, ...]) -> None:
    assert version_in(text) == version


def test_a_longer_number_is_not_smaller() -> None:
    assert version_in("3.250.0") > version_in("3.99.9")


def test_a_text_without_a_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no version"):
        version_in("command not found")
