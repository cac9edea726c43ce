"""Amounts of a cluster as numbers."""

import pytest

from stacks.quantities import quantity

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(
    ("text", "value"),
    [("320Mi", 320 * 1024**2), ("1500m", 1.5), ("2", 2), ("10G", 10**10), ("0", 0), ("1.5Gi", 1.5 * 2**30)],
)
def test_quantities_are_numbers(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "5Xi", "-1"])
def test_another_text_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        quantity(text)
