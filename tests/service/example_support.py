"""Builds and installs the example package, and broken ones, without a network."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.executor.kinds.registry import forget_installed

EXAMPLE = Path(__file__).with_name("example_agent")


def install_example(folder: Path) -> Path:
    """The folder that pip installed the example package into."""
    # A copy, because building writes beside the sources.
    source, target = folder / "source", folder / "installed"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    finished = subprocess.run(
        [*command, "--disable-pip-version-check", "--target", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return target


def write_package(folder: Path, name: str, code: str, **entries: str) -> Path:
    """A folder as if a package of this code were installed into it; its module has the package's name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    lines = "".join(f"{kind} = {value}\n" for kind, value in entries.items())
    (metadata / "entry_points.txt").write_text(f"[workflow_service.agents]\n{lines}")
    return folder


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """What is installed in the folder counts in this process while the block runs."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    forget_installed()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        importlib.invalidate_caches()
        forget_installed()
