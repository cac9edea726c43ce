"""What a registry knows of an image, asked by its HTTP API."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx

from tests.infra.support.live import CannotTellError, ImageFacts

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


def image_facts(reference: str) -> ImageFacts:
    """The image that a full reference (`host/name@digest` or `host/name:tag`) names.

    The size is that of its compressed layers, which is what a node fetches. Raises CannotTellError.
    """
    host, _, rest = reference.partition("/")
    if not rest or not ("." in host or ":" in host or host == "localhost"):
        raise CannotTellError(f"{reference} names no registry, so nothing can be asked about it")
    name, mark, digest = rest.partition("@")
    name, _, tag = (name, "", digest) if mark else rest.rpartition(":")
    local = host.split(":")[0] in {"localhost", "127.0.0.1"}
    base = f"{'http' if local else 'https'}://{host}/v2/{name}"
    try:
        with httpx.Client(timeout=10, headers=_credentials(host), follow_redirects=True) as client:
            manifest = _manifest(client, base, tag)
            config = client.get(f"{base}/blobs/{manifest['config']['digest']}").raise_for_status().json()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise CannotTellError(f"the registry {host} does not tell about {name}: {error}") from error
    return facts(manifest, config)


def facts(manifest: dict[str, Any], config: dict[str, Any]) -> ImageFacts:
    """What manifest and configuration of an image say."""
    own = config.get("config") or {}
    size = sum(int(layer["size"]) for layer in [manifest["config"], *manifest["layers"]])
    history = json.dumps([config.get("history"), own.get("Env"), own.get("Labels")])
    return ImageFacts(size, str(own.get("User") or "0"), dict(own.get("Labels") or {}), history)


def _manifest(client: httpx.Client, base: str, reference: str) -> dict[str, Any]:
    answer = client.get(f"{base}/manifests/{reference}", headers={"Accept": ", ".join(MANIFESTS)})
    document: dict[str, Any] = answer.raise_for_status().json()
    if "manifests" in document:
        return _manifest(client, base, str(document["manifests"][0]["digest"]))
    return document


def _credentials(host: str) -> dict[str, str]:
    """The log-in that `docker login` left for this registry, if it is in the file."""
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8")).get("auths") or {}
    except (OSError, ValueError):
        return {}
    auth = (known.get(host) or {}).get("auth")
    return {"Authorization": f"Basic {base64.b64encode(base64.b64decode(auth)).decode()}"} if auth else {}
