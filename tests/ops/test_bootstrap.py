"""The front door before anything is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bootstrap import STAMP, Bootstrap, BootstrapError, explain, fingerprint, is_complete, uv_settings

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the front door needs of the project."""
    for name in ("deploy-api.sh", "ops/bootstrap.py", "requirements/bootstrap.lock", "requirements/dev.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_machine_without_python_gets_one_reason_and_one_mend(tree: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", str(tree / "deploy-api.sh"), "dev"],
        env={"PATH": str(tree / "nothing")}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    reason, mend = done.stderr.splitlines()
    assert reason == "error: no Python 3.11 or newer was found on PATH"
    assert mend.startswith("mend:  ")


def test_an_old_python_is_not_taken_for_a_new_one(tree: Path) -> None:
    old = tree / "bin" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(tree / "deploy-api.sh")],
        env={"PATH": str(old.parent)}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no Python 3.11" in done.stderr


def test_a_machine_that_reaches_no_registry_is_told_so_and_keeps_nothing_half_made(tree: Path) -> None:
    environ = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
    environ.pop("PIP_FIND_LINKS", None)
    done = subprocess.run(
        [sys.executable, "-I", str(tree / "ops" / "bootstrap.py"), str(tree), str(tree / ".venv")],
        env=environ, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "error: no package registry gave" in done.stderr
    assert "mend:  " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tree / ".venv" / STAMP).exists()


def test_a_full_disk_is_noticed_before_anything_is_begun(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="GB are free"):
        Bootstrap(tree, tree / ".venv").ensure()
    assert not (tree / ".venv").exists()


def test_an_environment_of_another_checkout_is_never_replaced_through_a_link(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").write_text("")
    (tree / ".venv").symlink_to(other)
    with pytest.raises(BootstrapError, match="is a link to another folder"):
        Bootstrap(tree, tree / ".venv").ensure()
    assert (other / "kept").exists()


def test_an_environment_without_its_stamp_is_made_afresh(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = Bootstrap(tree, tree / ".venv")
    (tree / ".venv" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    done: list[str] = []
    monkeypatch.setattr(bootstrap, "_create", lambda: done.append("create"))
    monkeypatch.setattr(bootstrap, "_install_uv", lambda: done.append("uv"))
    monkeypatch.setattr(bootstrap, "_sync", lambda: done.append("sync"))
    monkeypatch.setattr(bootstrap, "_compile", lambda _site: done.append("compile"))
    bootstrap.ensure()
    assert done == ["create", "uv", "sync", "compile"]


def test_changed_locks_are_installed_into_the_finished_environment(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv = tree / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "uv").touch()
    (venv / "bin" / "python").touch()
    (venv / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    (venv / STAMP).write_text(fingerprint(tree))
    assert is_complete(venv, fingerprint(tree))
    with (tree / "requirements" / "dev.lock").open("a") as lock:
        lock.write("# another one\n")
    assert not is_complete(venv, fingerprint(tree))
    bootstrap = Bootstrap(tree, venv)
    done: list[str] = []
    monkeypatch.setattr(bootstrap, "_create", lambda: done.append("create"))
    monkeypatch.setattr(bootstrap, "_sync", lambda: done.append("sync"))
    monkeypatch.setattr(bootstrap, "_compile", lambda _site: done.append("compile"))
    bootstrap.ensure()
    assert done == ["sync", "compile"]
    assert is_complete(venv, fingerprint(tree))


def test_the_installer_is_told_what_pip_is_configured_to_use(tmp_path: Path) -> None:
    configured = {
        "index-url": "https://user:word@mirror.example/simple",
        "extra-index-url": "https://a.example https://b.example",
        "find-links": f"{tmp_path} /does/not/exist",
        "cert": "/some/ca.crt",
        "trusted-host": "mirror.example",
    }
    settings = uv_settings(configured, {})
    assert settings["UV_DEFAULT_INDEX"] == "https://user:word@mirror.example/simple"
    assert settings["UV_INDEX"] == "https://a.example https://b.example"
    assert settings["UV_FIND_LINKS"] == str(tmp_path)
    assert settings["SSL_CERT_FILE"] == "/some/ca.crt"
    assert settings["UV_INSECURE_HOST"] == "mirror.example"


def test_what_was_set_for_the_installer_itself_stays() -> None:
    assert "UV_DEFAULT_INDEX" not in uv_settings({"index-url": "https://a.example"}, {"UV_DEFAULT_INDEX": "x"})


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("error: failed to write\n  Caused by: No space left on device (os error 28)", "the disk is full"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "hash differs"),
        ("error: Failed to fetch: `x`\n  Caused by: error sending request for url", "no package registry"),
        ("error: something never seen", "something never seen"),
    ],
)
def test_a_failed_installation_is_explained_in_one_line(output: str, reason: str) -> None:
    error = explain(output)
    assert reason in error.reason
    assert "\n" not in error.reason + error.mend
    assert error.mend
