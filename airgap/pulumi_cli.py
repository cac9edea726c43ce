"""The Pulumi CLI, built from its Go module where its release pages cannot be reached."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airgap.errors import AirgapError
from airgap.go_build import GoModule, go, variables, write_mark

VERSION = "3.250.0"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_LINKER_FLAGS = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
_MODULE = GoModule(Path(__file__).parent / "cli", "the Pulumi CLI", needed_bytes=6 * 1024**3)
_STAMP = ".airgap-cli"
_SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")


def install(home: Path, report: Callable[[str], None]) -> Path:
    """Put the CLI and the scripts it needs into `<home>/bin` unless this very build is there. Returns the CLI.

    Raises AirgapError when there is no Go, no space, or the build fails.
    """
    folder = home / "bin"
    target, stamp = folder / "pulumi", folder / _STAMP
    mark = f"{VERSION} {content_hash()}\n"
    if target.is_file() and stamp.is_file() and stamp.read_text() == mark:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    _MODULE.check(folder)
    started = time.monotonic()
    report(f"building the Pulumi CLI {VERSION} from its Go module (about 4 minutes on 2 cores)")
    # In the same folder, so that the last step is one rename on one file system.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as build:
        made = Path(build) / "pulumi"
        _MODULE.build(made, [_PACKAGE], _LINKER_FLAGS, report)
        for script in _scripts(Path(build)):
            script.replace(folder / script.name)
        made.replace(target)
    write_mark(stamp, mark)
    report(f"the Pulumi CLI {VERSION} is built ({time.monotonic() - started:.0f} s)")
    return target


def content_hash() -> str:
    """A hash over everything that decides what is built."""
    return _MODULE.content_hash(_LINKER_FLAGS)


def _scripts(build: Path) -> list[Path]:
    """Copies of the scripts that the CLI looks for beside itself, from the same version of its SDK module."""
    command = [go(), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK_MODULE]
    done = subprocess.run(
        command, cwd=_MODULE.folder, env=variables(), capture_output=True, text=True, timeout=300, check=False
    )
    module = Path(done.stdout.strip())
    if done.returncode != 0 or not done.stdout.strip() or not module.is_dir():
        command = ["go", "mod", "download", "-json", _SDK_MODULE]
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
