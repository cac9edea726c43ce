"""A secret that a check works with is not printed when the check fails."""

from pathlib import Path

import pytest

from tests.infra.support.hidden import Hidden

pytestmark = pytest.mark.ring("unit")

pytest_plugins = ("pytester",)

FAILING = """
import pytest
from tests.infra.support.hidden import Hidden

@pytest.fixture
def token():
    return Hidden("a-token-nobody-may-see")

def test_fails(token):
    held = {"token": token}
    assert token is None
    assert held == {}
"""


def test_it_is_an_ordinary_text_otherwise() -> None:
    assert f"Bearer {Hidden('abc')}" == "Bearer abc"
    assert Hidden("abc").encode() == b"abc"
    assert repr({"key": Hidden("abc")}) == "{'key': '[secret]'}"


def test_a_failing_check_does_not_print_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[3]))
    pytester.makepyfile(FAILING)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    assert "a-token-nobody-may-see" not in result.stdout.str().replace(FAILING, "")
    assert "[secret]" in result.stdout.str()
