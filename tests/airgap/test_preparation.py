"""Preparing a machine: the CLI, the launchers, the base image, and what is said when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airgap import base_image, plugins, pulumi_cli
from airgap.errors import AirgapError
from tests.airgap.support import ROOT

pytestmark = pytest.mark.ring("airgap")


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH: what a test puts there is what the machine has."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def lines() -> list[str]:
    return []


def test_the_cli_is_built_once_and_complete(pulumi_home: Path, lines: list[str]) -> None:
    shared = (pulumi_home / "bin" / "pulumi").resolve().parent.parent
    cli = pulumi_cli.install(shared, lines.append)
    assert lines == [], "a second time there is nothing to do"
    done = subprocess.run([cli, "version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == f"v{pulumi_cli.VERSION}"
    assert os.access(cli.parent / "pulumi-resource-pulumi-python", os.X_OK)


def test_a_missing_go_is_said_with_its_mend(tmp_path: Path, commands: Path, lines: list[str]) -> None:
    with pytest.raises(AirgapError) as caught:
        pulumi_cli.install(tmp_path / "home", lines.append)
    assert "no `go` on PATH" in caught.value.reason
    assert "install Go" in caught.value.mend


def test_a_failed_build_leaves_nothing_half_made(tmp_path: Path, commands: Path, lines: list[str]) -> None:
    script(commands / "go", 'echo "go: downloading x" >&2; echo "no space left on device" >&2; exit 1')
    with pytest.raises(AirgapError) as caught:
        pulumi_cli.install(tmp_path / "home", lines.append)
    assert "no space left on device" in caught.value.reason
    assert list((tmp_path / "home" / "bin").iterdir()) == []


def test_the_build_is_told_apart_by_everything_that_decides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pulumi_cli.content_hash()
    monkeypatch.setattr(pulumi_cli, "_LINKER_FLAGS", "-s")
    assert pulumi_cli.content_hash() != before


def test_the_module_list_is_complete_so_that_a_build_needs_no_tidying() -> None:
    command = ["go", "list", "-mod=readonly", "-deps", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    folder = ROOT / "airgap" / "cli"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_launchers_are_laid_once_and_start_the_plugins(tmp_path: Path, lines: list[str]) -> None:
    plugins.install(tmp_path, Path(sys.executable), lines.append)
    plugins.install(tmp_path, Path(sys.executable), lines.append)
    assert len(lines) == 1, "the second time nothing was to be done"
    launcher = tmp_path / "plugins" / "resource-docker-v5.2.0" / "pulumi-resource-docker"
    child = subprocess.Popen([launcher, "127.0.0.1:1"], cwd="/", stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip().isdigit()
    finally:
        child.terminate()
        assert child.wait(10) == 0


def test_another_clone_does_not_break_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    clone = tmp_path / "clone" / "airgap"
    shutil.copytree(ROOT / "airgap", clone)
    plugins.install(tmp_path / "home", Path(sys.executable), lines.append)
    first = set((tmp_path / "home" / "airgap").iterdir())
    (clone / "errors.py").write_text('"""Changed."""\n')
    monkeypatch.setattr(plugins, "_PACKAGE", clone)
    plugins.install(tmp_path / "home", Path(sys.executable), lines.append)
    shutil.rmtree(tmp_path / "clone")
    kept = set((tmp_path / "home" / "airgap").iterdir())
    assert first < kept
    assert len(kept) == 2


def test_an_interpreter_without_the_packages_is_refused_with_a_mend(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    script(tmp_path / "venv" / "bin" / "python", "")
    with pytest.raises(AirgapError) as caught:
        plugins.install(tmp_path / "home", tmp_path / "venv" / "bin" / "python", lines.append)
    assert "has no grpc" in caught.value.reason
    assert not (tmp_path / "home" / "plugins").exists()


def test_a_launcher_whose_interpreter_is_gone_says_so(tmp_path: Path, lines: list[str]) -> None:
    plugins.install(tmp_path, Path(sys.executable), lines.append)
    launcher = tmp_path / "plugins" / "resource-docker-v5.2.0" / "pulumi-resource-docker"
    launcher.write_text(launcher.read_text().replace(sys.executable, "/nowhere/python"))
    done = subprocess.run([launcher], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "python -m airgap plugins" in done.stderr


def test_a_base_image_that_is_there_is_left_alone(engine: object, lines: list[str]) -> None:
    assert base_image.ensure(lines.append) == "debian:bookworm-slim"
    assert lines == []


def docker_without_the_image(commands: Path, import_command: str = "exit 0") -> None:
    case = f'case "$1" in version) exit 0;; image) exit 1;; import) {import_command};; esac'
    script(commands / "docker", case)


def test_the_base_image_is_made_from_an_archive_that_does_not_stay(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    docker_without_the_image(commands, f'for last; do :; done; echo "$last" > {tmp_path}/imported')
    script(commands / "mmdebstrap", 'for last; do :; done; echo archive > "$last"')
    assert base_image.ensure(lines.append) == "debian:bookworm-slim"
    assert (tmp_path / "imported").read_text().strip() == "debian:bookworm-slim"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_failed_base_image_says_the_last_line_and_leaves_nothing(
    tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    docker_without_the_image(commands, f"touch {tmp_path}/imported")
    script(commands / "mmdebstrap", 'echo "E: mirror unreachable" >&2; exit 25')
    with pytest.raises(AirgapError) as caught:
        base_image.ensure(lines.append)
    assert "E: mirror unreachable" in caught.value.reason
    assert not (tmp_path / "imported").exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_engine_that_is_away_is_said_with_its_mend(commands: Path, lines: list[str]) -> None:
    script(commands / "docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    with pytest.raises(AirgapError) as caught:
        base_image.ensure(lines.append)
    assert "Cannot connect" in caught.value.reason


def test_mmdebstrap_is_asked_for_where_it_cannot_be_installed(
    commands: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    docker_without_the_image(commands)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(AirgapError) as caught:
        base_image.ensure(lines.append)
    assert "apt-get install mmdebstrap" in caught.value.mend


@pytest.mark.parametrize("say", [("--help",), ("cli", "--help")])
def test_the_commands_explain_themselves(say: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airgap", *say], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert "usage" in done.stdout


def test_a_failure_of_a_command_is_a_reason_a_mend_and_an_exit_code(tmp_path: Path, engine: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airgap", "--home", str(tmp_path), "cli"],
        cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "mend:" in done.stderr
    assert "Traceback" not in done.stderr
