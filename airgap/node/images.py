"""The small images of the node's own pods: one layer with one static program, put into the local registry."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap.errors import AirgapError
from airgap.node import programs
from airgap.node.layout import REGISTRY, REGISTRY_PORT, Node

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_SECONDS = 60
_BUSYBOX_TOOLS = (
    "[", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "echo", "env", "false", "find", "grep", "head",
    "hostname", "httpd", "id", "kill", "ls", "mkdir", "mv", "nc", "nslookup", "printf", "ps", "rm", "rmdir", "sed",
    "sh", "sleep", "sort", "stat", "sync", "tail", "test", "timeout", "touch", "tr", "true", "wc", "wget", "yes",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image FROM scratch: files by their path in it, symbolic links, and what is run as which user."""

    name: str
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    links: Mapping[str, str]
    user: str = "65532:65532"


def images(node: Node) -> tuple[Image, ...]:
    """The images that the node itself needs."""

    def of_program(name: str, user: str = "65532:65532") -> Image:
        return Image(name, {name: node.program(name)}, (f"/{name}",), {}, user)

    tools = {f"bin/{tool}": "busybox" for tool in _BUSYBOX_TOOLS}
    return (
        of_program("pause"),
        of_program("coredns"),
        of_program("metrics-server"),
        of_program("local-path-provisioner"),
        # Makes and deletes the folders of volumes, which belong to whichever user the pod runs as.
        Image("busybox", {"bin/busybox": programs.busybox(node)}, ("/bin/sh",), tools, user="0:0"),
    )


def pause_reference(node: Node) -> str:
    """The reference of the image `pause`, known before a registry runs: its tag is made of its content."""
    pause = next(image for image in images(node) if image.name == "pause")
    return f"{REGISTRY}/{_repository(pause)}:{_content_tag(pause)}"


def push_all(node: Node, report: Callable[[str], None]) -> dict[str, str]:
    """Put every image into the registry unless it is there; their references by digest, by name. Raises AirgapError."""
    return {image.name: _push(image, report) for image in images(node)}


def _push(image: Image, report: Callable[[str], None]) -> str:
    repository, tag = _repository(image), _content_tag(image)
    digest = _digest_of(repository, tag)
    if digest is None:
        report(f"putting the image {image.name} into the registry")
        layer, plain_digest = layer_of(image)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": list(image.entrypoint), "User": image.user, "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [plain_digest]},
                "history": [{"created_by": "airgap.node.images"}],
            }
        ).encode()
        manifest = {"schemaVersion": 2, "mediaType": _MANIFEST}
        manifest["config"] = _put_blob(repository, _CONFIG, config)
        manifest["layers"] = [_put_blob(repository, _LAYER, layer)]
        text = json.dumps(manifest).encode()
        _call("PUT", f"/v2/{repository}/manifests/{tag}", (201,), text, {"Content-Type": _MANIFEST})
        digest = _sha256(text)
    return f"{REGISTRY}/{repository}@{digest}"


def layer_of(image: Image) -> tuple[bytes, str]:
    """The compressed layer, the same bytes each time, and the digest of it uncompressed."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({parent for path in image.files for parent in _parents(path)} | {"tmp"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for path, source in sorted(image.files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                archive.addfile(entry, content)
        for path, target in sorted(image.links.items()):
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0), _sha256(plain.getvalue())


def _repository(image: Image) -> str:
    return f"workflow-node/{image.name}"


def _parents(path: str) -> list[str]:
    return [parent.as_posix() for parent in Path(path).parents if parent.as_posix() != "."]


def _content_tag(image: Image) -> str:
    digest = hashlib.sha256(repr((image.entrypoint, sorted(image.links.items()), image.user)).encode())
    for path, source in sorted(image.files.items()):
        with source.open("rb") as content:
            digest.update(path.encode() + hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]


def _digest_of(repository: str, tag: str) -> str | None:
    status, headers = _call("HEAD", f"/v2/{repository}/manifests/{tag}", (200, 404), headers={"Accept": _MANIFEST})
    return headers["docker-content-digest"] if status == 200 else None


def _put_blob(repository: str, kind: str, content: bytes) -> dict[str, Any]:
    digest = _sha256(content)
    if _call("HEAD", f"/v2/{repository}/blobs/{digest}", (200, 404))[0] == 404:
        _status, headers = _call("POST", f"/v2/{repository}/blobs/uploads/", (202,))
        place = headers["location"].partition(f":{REGISTRY_PORT}")[2] or headers["location"]
        joint = "&" if "?" in place else "?"
        binary = {"Content-Type": "application/octet-stream"}
        _call("PUT", f"{place}{joint}digest={digest}", (201,), content, binary)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _call(
    method: str, path: str, wanted: tuple[int, ...], body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=_SECONDS)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        told = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise AirgapError(
            f"the local registry at {REGISTRY} does not answer: {error}", "see logs/registry.log"
        ) from error
    finally:
        connection.close()
    if answer.status not in wanted:
        text = told.decode(errors="replace")[:200]
        raise AirgapError(
            f"the local registry refused {method} {path} with {answer.status}: {text}", "see logs/registry.log"
        )
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
