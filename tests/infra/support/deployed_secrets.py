"""The secrets that a deployed container was handed as files, read through the engine."""

import io
import tarfile

from docker.errors import NotFound
from docker.models.containers import Container

FOLDER = "/config/secrets"


def read(container: Container) -> dict[str, str]:
    """The secret files of a container by name, running or stopped; empty when it was given none.

    Certificates are public and left out.
    """
    try:
        chunks, _ = container.get_archive(FOLDER)
    except NotFound:
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            text = content.read().decode()
            if "BEGIN CERTIFICATE" not in text:
                found[member.name.rsplit("/", 1)[-1]] = text.strip()
    return found
