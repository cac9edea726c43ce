"""Who is who inside a stack: the certificates of its parts, or none where connections are in the clear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pulumi

from infra.pki import Certificate, CertificateAuthority
from infra.workload import secret_path
from stacks.parts.pki import Pki

CERTIFICATE_FILE, KEY_FILE, AUTHORITY_FILE = "tls.crt", "tls.key", "ca.crt"
IDENTITY_FILES = frozenset({CERTIFICATE_FILE, KEY_FILE, AUTHORITY_FILE})
"""The secret files that make up a part's identity."""


@dataclass(frozen=True)
class Life:
    """When a certificate ends, and from when on the next `up` renews it."""

    end: datetime
    renewal: datetime


class Trust:
    """No certificates: for a stack on one machine's private network."""

    enabled = False
    scheme: Literal["http", "https"] = "http"
    authority: pulumi.Output[str] | None = None
    """The certificates, PEM, by which every part of the stack is trusted."""

    def identity(self, part: str, names: Sequence[str] = ()) -> Mapping[str, pulumi.Input[str]]:
        """The secret files by which a part proves who it is; `names` are further names it is reached by."""
        return {}

    def env(self) -> dict[str, pulumi.Input[str]]:
        """The variables that make a program of the service speak HTTPS."""
        return {}

    def lives(self) -> pulumi.Output[dict[str, Life]]:
        """How long each certificate that was issued up to now is good for, by part."""
        return pulumi.Output.from_input({})


class StackTrust(Trust):
    """The stack's own authority and one certificate for each part."""

    enabled = True
    scheme: Literal["http", "https"] = "https"

    def __init__(self, stack_name: str, namespace: str, settings: Pki, parent: pulumi.Resource | None = None) -> None:
        self._namespace = namespace
        self._settings = settings
        self._opts = pulumi.ResourceOptions(parent=parent)
        self.root = CertificateAuthority(
            "authority",
            f"{stack_name} {namespace} authority",
            settings.authority_days,
            settings.authority_generation,
            self._opts,
        )
        self.authority: pulumi.Output[str] | None = self.root.certificate
        self._issued: dict[str, Certificate] = {}

    def certificate(self, part: str, names: Sequence[str] = ()) -> Certificate:
        """The certificate of a part, issued once."""
        if part not in self._issued:
            self._issued[part] = Certificate(
                f"certificate-{part}",
                self.root,
                part,
                [*part_names(part, self._namespace), *names],
                self._settings.days,
                self._settings.renew_before_days,
                self._settings.generation,
                self._opts,
            )
        return self._issued[part]

    def identity(self, part: str, names: Sequence[str] = ()) -> Mapping[str, pulumi.Input[str]]:
        made = self.certificate(part, names)
        return {
            CERTIFICATE_FILE: made.certificate,
            KEY_FILE: pulumi.Output.secret(made.key),
            AUTHORITY_FILE: self.root.certificate,
        }

    def env(self) -> dict[str, pulumi.Input[str]]:
        return {"TLS_CERT_FILE": secret_path(CERTIFICATE_FILE), "TLS_KEY_FILE": secret_path(KEY_FILE)}

    def lives(self) -> pulumi.Output[dict[str, Life]]:
        spare = timedelta(days=self._settings.renew_before_days)

        def life(end: str) -> Life:
            return Life(datetime.fromisoformat(end), datetime.fromisoformat(end) - spare)

        ends = {part: made.notAfter for part, made in sorted(self._issued.items())}
        return pulumi.Output.all(**ends).apply(lambda known: {part: life(end) for part, end in known.items()})


def part_names(part: str, namespace: str) -> list[str]:
    """Every name under which a part, or one of its replicas, is reached inside the cluster and from itself."""
    services = (part, f"{part}-nodes")
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    names = [f"{service}{suffix}" for service in services for suffix in suffixes]
    return [*names, f"*.{part}-nodes.{namespace}.svc.cluster.local", "localhost", "127.0.0.1"]
