"""What a stored password costs who guesses it: asked of a process of its own, because the tests have cheap ones."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "from service.auth.passwords import fits, hash_password; print(h := hash_password('p'), fits('p', h))"


def test_a_password_is_stored_as_argon2id_with_64_mib_and_three_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert done.stdout.endswith(" True\n")
