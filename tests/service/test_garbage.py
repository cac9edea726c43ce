"""What a program has loaded is not searched for garbage again and again."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ring("unit")

_PROGRAM = """
import gc
import service.app
from service.platform.garbage import keep_what_is_loaded

keep_what_is_loaded()
searched = len(gc.get_objects())
class Ring: pass
ring = Ring(); ring.itself = ring
del ring
print(searched, gc.get_freeze_count(), gc.collect() > 0)
"""


def test_what_is_loaded_is_kept_out_of_the_search_and_new_garbage_is_found() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    searched, kept, found = done.stdout.split()
    assert int(searched) < 1_000 < 50_000 < int(kept)
    assert found == "True"


@pytest.mark.parametrize("started", ["api", "worker"])
def test_each_program_does_so_when_it_is_loaded(started: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from service import app, cli
    from service.platform import garbage, server
    from tests.service.support import make_settings

    calls: list[str] = []
    monkeypatch.setattr(garbage, "keep_what_is_loaded", lambda: calls.append("kept"))
    monkeypatch.setattr(server, "keep_what_is_loaded", lambda: calls.append("kept"))
    monkeypatch.setattr(app, "create_app", lambda: calls.append("made"))

    async def work(_settings: object) -> None:
        calls.append("works")

    if started == "api":
        server.create_app()
        assert calls == ["made", "kept"]
    else:
        cli._run_loop(make_settings("postgresql://nobody@127.0.0.1/none"), work)
        assert calls == ["kept", "works"]
