"""The build context of an image as a tar stream: the catalogued files plus the network's extra CA certificates."""

import io
import tarfile
from pathlib import Path

from images.catalog import SourceFile

# Where Debian and its children keep certificates that an administrator added, say of a proxy that re-signs TLS.
EXTRA_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_MARKER = b"Extra CA certificates of the building machine, if it has any. Used in builder stages only.\n"


def build_context(files: tuple[SourceFile, ...], certificates: Path = EXTRA_CERTIFICATES) -> io.BytesIO:
    """A tar stream for the engine's build call.

    Modes, owners and times are normalised, so the same files give the same bytes and the engine's cache holds on every
    machine. `ca/` is always there, if only with its marker: a Dockerfile cannot copy a folder that may be missing.
    """
    entries = [*files, SourceFile("ca/README", _MARKER, executable=False)]
    if certificates.is_dir():
        entries += [
            SourceFile(f"ca/{path.name}", path.read_bytes(), executable=False)
            for path in sorted(certificates.rglob("*.crt"))
            if path.is_file()
        ]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folders: set[str] = set()
        for entry in entries:
            for folder in reversed(Path(entry.path).parents):
                if folder.name and folder.as_posix() not in folders:
                    folders.add(folder.as_posix())
                    archive.addfile(_header(folder.as_posix(), 0o755, tarfile.DIRTYPE))
            header = _header(entry.path, 0o755 if entry.executable else 0o644, tarfile.REGTYPE)
            header.size = len(entry.content)
            archive.addfile(header, io.BytesIO(entry.content))
    stream.seek(0)
    return stream


def _header(name: str, mode: int, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.mode = mode
    header.type = kind
    return header
