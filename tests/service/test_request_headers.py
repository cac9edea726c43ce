"""What is read of a request's header fields."""

import pytest

from service.platform.request_headers import first_values

pytestmark = pytest.mark.ring("unit")


def test_of_several_fields_of_a_name_the_first_counts() -> None:
    assert first_values({"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]}) == {b"a": b"1", b"b": b"2"}


def test_they_are_looked_through_once() -> None:
    scope = {"headers": [(b"a", b"1")]}
    assert first_values(scope) is first_values(scope)
