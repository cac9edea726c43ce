"""Files that are put into a container before it starts."""

from __future__ import annotations

import base64
import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airgap.provider.operation import ResourceError

_EXECUTABLE_MODE = 0o744
_PLAIN_MODE = 0o644


def archive(uploads: list[Mapping[str, Any]]) -> bytes:
    """One tar archive of all uploads, to be unpacked at the container's root.

    Raises ResourceError when a `source` file cannot be read.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for upload in sorted(uploads, key=lambda item: str(item["file"])):
            content = _content(upload)
            entry = tarfile.TarInfo(upload["file"].lstrip("/"))
            entry.size = len(content)
            entry.mode = _mode(upload)
            entry.uid = int(upload.get("owner") or 0)
            entry.gid = int(upload.get("group") or 0)
            entry.mtime = int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _mode(upload: Mapping[str, Any]) -> int:
    if upload.get("permissions"):
        return int(upload["permissions"], 8)
    return _EXECUTABLE_MODE if upload.get("executable") else _PLAIN_MODE


def _content(upload: Mapping[str, Any]) -> bytes:
    if upload.get("source"):
        try:
            return Path(upload["source"]).expanduser().read_bytes()
        except OSError as error:
            raise ResourceError(f"uploads: the source of {upload['file']} cannot be read: {error.strerror}") from error
    if upload.get("contentBase64"):
        return base64.b64decode(upload["contentBase64"])
    return str(upload.get("content") or "").encode()
