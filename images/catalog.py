"""Which images there are, and what each one is called.

A reference is a pure function of the files in the tree: `workflow-<name>:<version>-<12 hex of the content hash>`.
The hash covers everything that goes into the image (its folder, for the service also the package and its lock file)
and the hash of the image below it, so an unchanged tree names an image that is already there, and any change names
a new one.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from images.errors import UnknownImageError

ROOT = Path(__file__).resolve().parent.parent
BASE_IMAGE = "debian:bookworm-slim"


@dataclass(frozen=True, slots=True)
class Image:
    """One image: `parent` is the image below it, `sources` what it takes from the tree besides its own folder."""

    name: str
    parent: str | None = "base"
    sources: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        return f"workflow-{self.name}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a build context, read once, so that what is hashed is what is built."""

    path: str
    content: bytes
    executable: bool


IMAGES: tuple[Image, ...] = (
    Image("base", parent=None),
    Image("postgres"),
    Image("kafka"),
    Image("api", sources=("service", "requirements/service.lock")),
    Image("prometheus"),
    Image("alertmanager"),
    Image("node-exporter"),
    Image("postgres-exporter"),
    Image("edge"),
)
_BY_NAME = {image.name: image for image in IMAGES}


def names() -> tuple[str, ...]:
    """All image names, parents before children."""
    return tuple(_BY_NAME)


def image(name: str) -> Image:
    """The image of that name; `UnknownImageError` lists the names when there is none."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownImageError(name, names()) from None


def version(root: Path = ROOT) -> str:
    """The release, from pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def source_files(name: str, root: Path = ROOT) -> tuple[SourceFile, ...]:
    """Everything the build of `name` takes from the tree, sorted by its path in the build context.

    Caches of interpreters and editors' hidden files belong to nobody's image and are left out.
    """
    wanted = image(name)
    folder = root / "images" / name
    found = [_read(path, path.relative_to(folder).as_posix()) for path in _files_below(folder)]
    for source in wanted.sources:
        found += [_read(path, path.relative_to(root).as_posix()) for path in _files_below(root / source)]
    return tuple(sorted(found, key=lambda file: file.path))


def content_hash(name: str, root: Path = ROOT) -> str:
    """SHA-256 (hex) over the image's files, their execute bits, the release and the image below."""
    return hash_of(name, source_files(name, root), root)


def hash_of(name: str, files: tuple[SourceFile, ...], root: Path = ROOT) -> str:
    """As `content_hash`, over files that were read before."""
    digest = hashlib.sha256()
    parent = image(name).parent
    for part in (name, content_hash(parent, root) if parent else BASE_IMAGE, version(root)):
        digest.update(f"{part}\n".encode())
    for file in files:
        mode = "x" if file.executable else "-"
        digest.update(f"{mode} {hashlib.sha256(file.content).hexdigest()} {file.path}\n".encode())
    return digest.hexdigest()


def reference(name: str, root: Path = ROOT) -> str:
    """The name under which the engine has, or will have, the image; say `workflow-kafka:1.0.0-0123456789ab`."""
    return reference_for(name, content_hash(name, root), root)


def reference_for(name: str, digest: str, root: Path = ROOT) -> str:
    """As `reference`, for a content hash that was computed before."""
    return f"{image(name).repository}:{version(root)}-{digest[:12]}"


def registry_reference(registry: str, name: str, root: Path = ROOT) -> str:
    """Where the image lies in a registry, by tag; say `localhost:5000/workflow-kafka:1.0.0-0123456789ab`."""
    return f"{registry}/{reference(name, root)}"


def _files_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [
        child
        for child in path.rglob("*")
        if child.is_file() and not any(_ignored(part) for part in child.relative_to(path).parts)
    ]


def _ignored(part: str) -> bool:
    return part == "__pycache__" or part.startswith(".") or part.endswith((".pyc", "~"))


def _read(path: Path, name: str) -> SourceFile:
    return SourceFile(name, path.read_bytes(), bool(path.stat().st_mode & 0o100))
