"""The node's keys and certificates: three authorities and one certificate for each program, all kept at 0600."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from airgap.errors import AirgapError
from airgap.go_build import write_mark
from airgap.node.layout import API_SERVICE_ADDRESS, CLUSTER_DOMAIN, NODE_NAME, Node

_AUTHORITY_DAYS = 3650
_LEAF_DAYS = 365
_RENEW_SECONDS = 30 * 24 * 3600
_STEP_SECONDS = 60
_EXTENSIONS = """[leaf]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature,keyEncipherment
extendedKeyUsage={usage}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
{names}
"""


@dataclass(frozen=True)
class Leaf:
    """A certificate to be issued: who it is, by which authority, for which addresses."""

    name: str
    authority: str
    common_name: str
    organization: str = ""
    addresses: tuple[str, ...] = ()
    """Subject alternative names, as `DNS:...` and `IP:...`; a certificate with none is for clients only."""


def leaves(address: str) -> tuple[Leaf, ...]:
    """All certificates of a node that has this address."""
    service = [f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN}", "DNS:kubernetes.default.svc", "DNS:kubernetes.default"]
    api = (*service, "DNS:kubernetes", "DNS:localhost", f"IP:{address}", f"IP:{API_SERVICE_ADDRESS}", "IP:127.0.0.1")
    metrics = ("DNS:metrics-server.kube-system.svc", f"DNS:metrics-server.kube-system.svc.{CLUSTER_DOMAIN}")
    return (
        Leaf("apiserver", "ca", "kube-apiserver", addresses=api),
        Leaf("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("apiserver-etcd-client", "etcd-ca", "kube-apiserver"),
        Leaf("etcd", "etcd-ca", "etcd", addresses=("DNS:localhost", "IP:127.0.0.1")),
        Leaf("front-proxy-client", "front-proxy-ca", "front-proxy-client"),
        Leaf("kubelet", "ca", f"system:node:{NODE_NAME}", "system:nodes", (f"DNS:{NODE_NAME}", f"IP:{address}")),
        Leaf("metrics-server", "ca", "metrics-server", addresses=metrics),
        Leaf("admin", "ca", "workflow-admin", "system:masters"),
        Leaf("controller-manager", "ca", "system:kube-controller-manager"),
        Leaf("scheduler", "ca", "system:kube-scheduler"),
        Leaf("proxy", "ca", "system:kube-proxy"),
    )


def ensure(node: Node, address: str) -> None:
    """Make what is missing, and renew what names another address or ends within 30 days. Raises AirgapError."""
    for authority in ("ca", "etcd-ca", "front-proxy-ca"):
        if not (node.pki / f"{authority}.crt").is_file():
            _make_authority(node.pki, authority)
    for leaf in leaves(address):
        if not _is_current(node.pki, leaf):
            _issue(node.pki, leaf)
    if not (node.pki / "service-accounts.key").is_file():
        _make_key(node.pki, "service-accounts", "RSA", "rsa_keygen_bits:2048")
        public = ["openssl", "pkey", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub"]
        _openssl(public, node.pki)
    if not (node.pki / "encryption.key").is_file():
        _write_private(node.pki / "encryption.key", b64encode(secrets.token_bytes(32)).decode())


def _make_authority(folder: Path, name: str) -> None:
    _make_key(folder, name, "EC", "ec_paramgen_curve:P-256")
    subject = f"/CN=workflow-node {name}"
    command = ["openssl", "req", "-x509", "-new", "-key", f"{name}.key", "-sha256", "-days", str(_AUTHORITY_DAYS)]
    usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    # `-x509` adds basicConstraints from the machine's openssl.cnf as well; an empty one keeps the certificate ours.
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as empty:
        empty.write("[req]\ndistinguished_name=dn\n[dn]\n")
        empty.flush()
        _openssl([*command, "-config", empty.name, "-subj", subject, *usage, "-out", f"{name}.crt.new"], folder)
    (folder / f"{name}.crt.new").replace(folder / f"{name}.crt")


def _issue(folder: Path, leaf: Leaf) -> None:
    _make_key(folder, leaf.name, "EC", "ec_paramgen_curve:P-256")
    usage = "serverAuth,clientAuth" if leaf.addresses else "clientAuth"
    names = f"subjectAltName={','.join(leaf.addresses)}" if leaf.addresses else ""
    organization = f"/O={leaf.organization}" if leaf.organization else ""
    with tempfile.TemporaryDirectory(prefix=".issue-", dir=folder) as work:
        request, extensions, made = Path(work, "csr"), Path(work, "ext"), Path(work, "crt")
        extensions.write_text("[req]\ndistinguished_name=dn\n[dn]\n" + _EXTENSIONS.format(usage=usage, names=names))
        subject = ["-config", str(extensions), "-subj", f"{organization}/CN={leaf.common_name}"]
        _openssl(["openssl", "req", "-new", "-key", f"{leaf.name}.key", *subject, "-out", str(request)], folder)
        signer = ["-CA", f"{leaf.authority}.crt", "-CAkey", f"{leaf.authority}.key"]
        serial = ["-set_serial", f"0x{secrets.token_hex(16)}", "-days", str(_LEAF_DAYS), "-sha256"]
        profile = ["-extfile", str(extensions), "-extensions", "leaf", "-out", str(made)]
        _openssl(["openssl", "x509", "-req", "-in", str(request), *signer, *serial, *profile], folder)
        made.chmod(0o600)
        made.replace(folder / f"{leaf.name}.crt")
    write_mark(folder / f"{leaf.name}.spec", _spec(leaf))


def _is_current(folder: Path, leaf: Leaf) -> bool:
    spec = folder / f"{leaf.name}.spec"
    if not spec.is_file() or spec.read_text() != _spec(leaf):
        return False
    command = ["openssl", "x509", "-in", f"{leaf.name}.crt", "-noout", "-checkend", str(_RENEW_SECONDS)]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=_STEP_SECONDS, check=False).returncode == 0


def _spec(leaf: Leaf) -> str:
    return json.dumps([leaf.authority, leaf.common_name, leaf.organization, leaf.addresses]) + "\n"


def _make_key(folder: Path, name: str, algorithm: str, option: str) -> None:
    command = ["openssl", "genpkey", "-algorithm", algorithm, "-pkeyopt", option]
    _write_private(folder / f"{name}.key", _openssl(command, folder))


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _openssl(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False, umask=0o077
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AirgapError(f"openssl did not run: {error}", "apt-get install openssl") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AirgapError(f"openssl {command[1]} failed in {folder}: {last}", f"remove {folder} and run it again")
    return done.stdout
