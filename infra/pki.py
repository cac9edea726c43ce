"""The stack's own certificate authority and its certificates, kept in the stack's state with their keys encrypted.

The engine loads this module in a process of its own, so it imports little; providers are pickled by reference and must
stay importable under these names.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

_AUTHORITY_INPUTS = ("commonName", "days", "generation")
_LEAF_INPUTS = ("commonName", "names", "days", "renewBeforeDays", "generation", "authorityCertificate")


class AuthorityProvider(ResourceProvider):
    """Makes a self-signed authority once; only another `generation`, name or life makes a new one."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        from infra.certificates import make_authority

        made = make_authority(props["commonName"], timedelta(days=props["days"]))
        outs = {**_chosen(props, _AUTHORITY_INPUTS), "certificate": made.certificate, "key": made.key}
        return CreateResult(id_=made.fingerprint, outs=outs)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = _differing(_olds, _news, _AUTHORITY_INPUTS)
        return DiffResult(changes=bool(changed), replaces=changed, delete_before_replace=False)


class CertificateProvider(ResourceProvider):
    """Issues a leaf certificate, and a new one in place when its description changes or its end comes near."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        outs = _issued(props)
        return CreateResult(id_=outs["fingerprint"], outs=outs)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        due = datetime.fromisoformat(_olds["renewAt"]) <= datetime.now(UTC)
        return DiffResult(changes=due or bool(_differing(_olds, _news, _LEAF_INPUTS)))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs=_issued(_news))


def _issued(props: dict[str, Any]) -> dict[str, Any]:
    from infra.certificates import issue

    life = timedelta(days=props["days"])
    made = issue(props["authorityCertificate"], props["authorityKey"], props["commonName"], list(props["names"]), life)
    renew = made.not_after - timedelta(days=props["renewBeforeDays"])
    return {
        **_chosen(props, _LEAF_INPUTS),
        "authorityKey": props["authorityKey"],
        "certificate": made.certificate,
        "key": made.key,
        "fingerprint": made.fingerprint,
        "notAfter": made.not_after.isoformat(),
        "renewAt": renew.isoformat(),
    }


def _chosen(props: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: props[name] for name in names}


def _differing(olds: dict[str, Any], news: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [name for name in names if olds.get(name) != news.get(name)]


class CertificateAuthority(Resource):
    """The stack's root of trust."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(
        self, name: str, common_name: str, days: int, generation: int = 1, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """`days` is its life; a new `generation` makes a new authority, which all certificates follow."""
        super().__init__(
            AuthorityProvider(),
            name,
            {"commonName": common_name, "days": days, "generation": generation, "certificate": None, "key": None},
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["key"])),
        )


class Certificate(Resource):
    """A certificate of the stack's authority for one part, for serving and for proving who calls."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    notAfter: pulumi.Output[str]  # noqa: N815 - the name of the output in the state

    def __init__(
        self,
        name: str,
        authority: CertificateAuthority,
        common_name: str,
        names: Sequence[str],
        days: int,
        renew_before_days: int,
        generation: int = 1,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`names` are host names and addresses; a new `generation` issues a new certificate now."""
        super().__init__(
            CertificateProvider(),
            name,
            {
                "commonName": common_name,
                "names": list(names),
                "days": days,
                "renewBeforeDays": renew_before_days,
                "generation": generation,
                "authorityCertificate": authority.certificate,
                "authorityKey": authority.key,
                "certificate": None,
                "key": None,
                "notAfter": None,
            },
            pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(additional_secret_outputs=["key", "authorityKey"])
            ),
        )
