"""The base image of all our images, made from Debian packages where no image registry can be reached."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airgap.errors import AirgapError

NAME = "debian:bookworm-slim"
_SUITE = "bookworm"
_INCLUDED = "ca-certificates"
_NEEDED_BYTES = 1024**3
_STEP_SECONDS = 1800
_APT_SECONDS = 900


def ensure(report: Callable[[str], None]) -> str:
    """Make the image unless the engine has it; its name. An interrupted run leaves no image and no files behind.

    Raises AirgapError when the engine is away, mmdebstrap cannot be had, space is short, or a step fails.
    """
    if _exists():
        return NAME
    _provide_mmdebstrap(report)
    started = time.monotonic()
    report(f"making the base image {NAME} from Debian packages (about a minute)")
    with tempfile.TemporaryDirectory(prefix="base-image-") as folder:
        _check_space(Path(folder))
        archive = Path(folder) / "base.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={_INCLUDED}", *_slimming(), _SUITE, str(archive)]
        _run(command, _STEP_SECONDS, "mmdebstrap failed", "check that the Debian package mirror is reachable")
        # The engine names the image only once the import is complete, so this step is all or nothing.
        changes = ["--change", 'CMD ["bash"]']
        _run(
            ["docker", "import", *changes, str(archive), NAME],
            _STEP_SECONDS,
            "docker import failed",
            "see the engine's log",
        )
    report(f"the base image {NAME} is made ({time.monotonic() - started:.0f} s)")
    return NAME


def _slimming() -> list[str]:
    """What the official slim image leaves out, too: manuals and translations that no program reads."""
    left_out = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*")
    kept = "/usr/share/doc/*/copyright"
    return [f"--dpkgopt=path-exclude={path}" for path in left_out] + [f"--dpkgopt=path-include={kept}"]


def _exists() -> bool:
    if shutil.which("docker") is None:
        raise AirgapError("there is no `docker` command", "install the docker client and engine")
    probe = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=60, check=False)
    if probe.returncode != 0:
        last = (probe.stderr.strip().splitlines() or ["no answer"])[-1]
        raise AirgapError(f"the Docker engine does not answer: {last}", "start it, or set DOCKER_HOST")
    found = subprocess.run(["docker", "image", "inspect", NAME], capture_output=True, timeout=60, check=False)
    return found.returncode == 0


def _provide_mmdebstrap(report: Callable[[str], None]) -> None:
    if shutil.which("mmdebstrap") is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise AirgapError(
            f"the base image {NAME} is made with mmdebstrap, which is not installed", "sudo apt-get install mmdebstrap"
        )
    report("installing mmdebstrap")
    mend = "apt-get update && apt-get install mmdebstrap"
    _run(["apt-get", "update", "-q"], _APT_SECONDS, "apt-get update failed", mend)
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "mmdebstrap"]
    _run(install, _APT_SECONDS, "apt-get install mmdebstrap failed", mend)


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise AirgapError(
            f"making {NAME} needs 1 GB in {folder.parent}, {free / 1024**3:.1f} GB are free", "free some space there"
        )


def _run(command: list[str], seconds: int, failure: str, mend: str) -> None:
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=variables, check=False)
    except subprocess.TimeoutExpired:
        raise AirgapError(f"{failure}: not done after {seconds} s", mend) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AirgapError(f"{failure}: {last}", mend)
