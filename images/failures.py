"""Turns what the engine says about a failed build into a reason and a mend."""

import re

from images.errors import ImageBuildError

_DISK_FULL = re.compile(r"no space left on device|not enough free space|disk quota exceeded", re.IGNORECASE)
_BASE_MISSING = re.compile(
    r"pull access denied|manifest unknown|repository does not exist|no such image|dial tcp|"
    r"error response from daemon: get |tls: |x509: ",
    re.IGNORECASE,
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|PKIX path building failed|certificate verify failed", re.IGNORECASE)
_CHANGED_CONTENT = re.compile(
    r"DO NOT MATCH THE HASHES|computed checksum did NOT match|: FAILED$", re.IGNORECASE | re.MULTILINE
)
_NO_PACKAGES = re.compile(
    r"Unable to locate package|Failed to fetch|Could not resolve|Temporary failure|Could not connect|"
    r"Connection refused|Network is unreachable|timed out|Could not transfer artifact|"
    r"No matching distribution|No route to host",
    re.IGNORECASE,
)
_LAST_LINES = 12


def build_failure(name: str, step: str, message: str, output: list[str]) -> ImageBuildError:
    """The error for a build of image `name` that stopped in `step`; `output` is what the step had printed."""
    tail = [line for line in output if line.strip()][-_LAST_LINES:]
    said = "\n".join([*output, message])
    lines = "".join(f"\n    {line}" for line in tail)
    where = step or "the beginning, before its first step"
    reason = f"Building image '{name}' failed at {where}: {message.rstrip('.')}.{lines}"
    return ImageBuildError(reason, _mend(name, said, started=bool(tail)))


def _mend(name: str, said: str, *, started: bool) -> str:
    if _DISK_FULL.search(said):
        return "The disk is full: make room where the engine keeps its images (`docker system df` shows what takes it)."
    if not started and _BASE_MISSING.search(said):
        return (
            "The base image is neither on this engine nor can it be pulled: without a registry, "
            "let `./deploy-api.sh dev` make it from Debian packages first."
        )
    if _UNTRUSTED.search(said):
        return (
            "The network re-signs TLS with a certificate that the build does not know: put the CA's .crt file into "
            "/usr/local/share/ca-certificates on this machine, and build again."
        )
    if _CHANGED_CONTENT.search(said):
        return (
            "A download is not what the lock file recorded: if versions were changed on purpose, renew the lock file; "
            "if not, do not trust this package source."
        )
    if _NO_PACKAGES.search(said):
        return "A package source did not answer: check this machine's network and proxy settings, and build again."
    return f"The step's last lines say why; the step is in images/{name}/Dockerfile."
