"""Plugins for the Pulumi engine, laid where it looks for installed ones; each is a small script that starts Python."""

from __future__ import annotations

import compileall
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from airgap.errors import AirgapError

_PACKAGE = Path(__file__).parent
_SERVED = ("__init__.py", "errors.py", "protocol.py", "provider", "docker_plugin", "kubernetes_plugin", "language_host")
_KEPT_COPIES = 8


def install(pulumi_home: Path, python: Path, report: Callable[[str], None]) -> None:
    """Lay the launchers of the language host and the plugins into `pulumi_home`; cheap when nothing has changed.

    The launchers run a copy of the code whose folder is named by its content, so that another clone of the project,
    installed later or removed, changes nothing for this one.
    Raises AirgapError when `python` lacks what the plugins import.
    """
    python = Path.cwd() / python  # links are not followed: the link in a virtual environment is what makes it one
    _check_packages(python)
    code = _copy_of_code(pulumi_home / "airgap")
    from airgap.docker_plugin import VERSION as DOCKER_VERSION
    from airgap.kubernetes_plugin import VERSION as KUBERNETES_VERSION

    binaries = pulumi_home / "bin"
    executor = '--executor "$here/pulumi-language-python-exec"'
    changed = [
        _launcher(_place(pulumi_home, "docker", DOCKER_VERSION), python, code, "airgap.docker_plugin.server", ""),
        _launcher(
            _place(pulumi_home, "kubernetes", KUBERNETES_VERSION), python, code, "airgap.kubernetes_plugin.server", ""
        ),
        _launcher(binaries / "pulumi-language-python", python, code, "airgap.language_host.server", executor),
    ]
    _forget_old_copies(code)
    if any(changed):
        report(
            f"the Docker plugin {DOCKER_VERSION}, the Kubernetes plugin {KUBERNETES_VERSION} and the Python language "
            f"host are in {pulumi_home}"
        )


def _place(pulumi_home: Path, name: str, version: str) -> Path:
    """Where the engine looks for a provider plugin of the version."""
    return pulumi_home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"


def _check_packages(python: Path) -> None:
    packages = ("grpc", "google/protobuf", "docker", "pulumi", "urllib3", "yaml")
    folders = list(python.parent.parent.glob("lib/python3*/site-packages"))
    missing = [name for name in packages if not any((folder / name).is_dir() for folder in folders)]
    if not python.is_file() or missing:
        what = f"has no {', '.join(missing)}" if python.is_file() else "is not there"
        raise AirgapError(
            f"the interpreter {python} {what}", "install the project's requirements into its virtual environment"
        )


def _copy_of_code(store: Path) -> Path:
    """The folder to be put on the import path: a copy of the served modules, made whole or not at all."""
    files = _served_files()
    digest = hashlib.sha256()
    for relative, content in files.items():
        digest.update(str(relative).encode() + b"\0" + content + b"\0")
    final = store / digest.hexdigest()[:16]
    if final.is_dir():
        os.utime(final)
        return final
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=store) as folder:
        made = Path(folder) / "code"
        for relative, content in files.items():
            target = made / "airgap" / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        # The engine starts these programs anew for each command; compiled they start in half the time.
        compileall.compile_dir(made, quiet=2)
        try:
            made.rename(final)
        except OSError:
            if not final.is_dir():  # else somebody made the very same copy meanwhile
                raise
    return final


def _served_files() -> dict[Path, bytes]:
    found = {}
    for name in _SERVED:
        path = _PACKAGE / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found[file.relative_to(_PACKAGE)] = file.read_bytes()
    return found


def _launcher(path: Path, python: Path, code: Path, module: str, arguments: str) -> bool:
    """Write one launcher; whether it was not there as it has to be."""
    program = f"import sys; sys.path.insert(0, {str(code)!r}); from {module} import main; main()"
    text = f"""#!/bin/sh
# Laid here by the workflow platform (python -m airgap plugins); it is written anew, not edited.
python={shlex.quote(str(python))}
here=$(dirname -- "$(readlink -f -- "$0")")
if [ ! -x "$python" ]; then
    echo "$0: the interpreter $python is gone; lay the plugins anew with: python -m airgap plugins" >&2
    exit 1
fi
# -P: a module in the current folder must not shadow one that the plugin needs.
exec "$python" -P -u -c {shlex.quote(program)} {arguments} "$@"
"""
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.chmod(0o755)
    temporary.replace(path)
    return True


def _forget_old_copies(current: Path) -> None:
    """Keep the latest few copies: another clone's launcher, or a running deployment, may still use one."""
    copies = [folder for folder in current.parent.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    copies.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in copies[_KEPT_COPIES:]:
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)
