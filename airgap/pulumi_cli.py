"""The Pulumi CLI, built from its Go module where its release pages cannot be reached."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airgap.errors import AirgapError

VERSION = "3.250.0"
_SOURCES = Path(__file__).parent / "cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_LINKER_FLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
_STAMP = ".airgap-cli"
_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
_BUILD_SECONDS = 3600
_NEEDED_BYTES = 6 * 1024**3
_NEWS_SECONDS = 20.0
_GO_FILES = ("go.mod", "go.sum", "tools.go")


def install(home: Path, report: Callable[[str], None]) -> Path:
    """Put the CLI and the scripts it needs into `<home>/bin` unless this very build is there. Returns the CLI.

    Raises AirgapError when there is no Go, no space, or the build fails.
    """
    folder = home / "bin"
    target, stamp = folder / "pulumi", folder / _STAMP
    mark = f"{VERSION} {content_hash()}\n"
    if target.is_file() and stamp.is_file() and stamp.read_text() == mark:
        return target
    go = _go()
    folder.mkdir(parents=True, exist_ok=True)
    _check_space(folder)
    started = time.monotonic()
    report(f"building the Pulumi CLI {VERSION} from its Go module (about 4 minutes on 2 cores)")
    # In the same folder, so that the last step is one rename on one file system.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as build:
        made = Path(build) / "pulumi"
        command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags", _LINKER_FLAGS, "-o", str(made), _PACKAGE]
        _run_with_news(command, report)
        for script in _scripts(go, Path(build)):
            script.replace(folder / script.name)
        made.replace(target)
    _write(stamp, mark)
    report(f"the Pulumi CLI {VERSION} is built ({time.monotonic() - started:.0f} s)")
    return target


def content_hash() -> str:
    """A hash over everything that decides what is built."""
    digest = hashlib.sha256(_LINKER_FLAGS.encode())
    for name in _GO_FILES:
        digest.update(name.encode() + b"\0" + (_SOURCES / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise AirgapError(
            "the Pulumi CLI is built from its Go module, and there is no `go` on PATH", "install Go 1.26 or newer"
        )
    return go


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise AirgapError(
            f"building the Pulumi CLI needs {_NEEDED_BYTES / 1024**3:.0f} GB of disk, {free / 1024**3:.1f} GB are free",
            "free some space, e.g. with `go clean -cache`",
        )


def _run_with_news(command: list[str], report: Callable[[str], None]) -> None:
    started = time.monotonic()
    with tempfile.TemporaryFile(mode="w+") as log:
        child = subprocess.Popen(
            command, cwd=_SOURCES, env=_variables(), stdout=log, stderr=subprocess.STDOUT, text=True
        )
        try:
            while True:
                try:
                    code = child.wait(_NEWS_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if elapsed > _BUILD_SECONDS:
                        raise AirgapError(
                            f"the build is not done after {elapsed:.0f} s", "see what else keeps the machine busy"
                        ) from None
                    report(f"still building the Pulumi CLI ({elapsed:.0f} s)")
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        log.seek(0)
        lines = [line for line in log.read().splitlines() if line.strip() and not line.startswith("go: downloading")]
    if code != 0:
        last = lines[-1] if lines else f"exit code {code}"
        raise AirgapError(
            f"the Pulumi CLI does not build: {last}", "check that the Go module proxy is reachable (go env GOPROXY)"
        )


def _variables() -> dict[str, str]:
    # A workspace or vendor setting of the machine's owner must not change what is built.
    return {**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def _scripts(go: str, build: Path) -> list[Path]:
    """Copies of the scripts that the CLI looks for beside itself, from the same version of its SDK module."""
    command = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK_MODULE]
    done = subprocess.run(
        command, cwd=_SOURCES, env=_variables(), capture_output=True, text=True, timeout=300, check=False
    )
    module = Path(done.stdout.strip())
    if done.returncode != 0 or not done.stdout.strip() or not module.is_dir():
        command = [go, "mod", "download", "-json", _SDK_MODULE]
        raise AirgapError(
            f"the module {_SDK_MODULE} is not in Go's module cache", f"run `{' '.join(command)}` in airgap/cli"
        )
    copies = []
    for script in _SCRIPTS:
        source = module / script
        copy = build / source.name
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o755)
        copies.append(copy)
    return copies


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
