"""What somebody decided to let pass for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from policies.engine.documents import Document
from policies.engine.findings import Finding
from policies.engine.profiles import Demand

WAIVERS = Path(__file__).parent.parent / "waivers.yaml"
FIELDS = ("item", "urn", "reason", "owner", "expires")

WAIVER_ITEM = "waiver"
"""Under this name findings about the waivers themselves are told."""


@dataclass(frozen=True)
class Waiver:
    """One of them: until the end of the day `expires` the item is let pass for resources whose URN matches."""

    item: str
    urn: str
    """A pattern with `*`; `*` alone also covers what is about no resource."""
    reason: str
    owner: str
    expires: date
    at: str
    """File and line."""

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of those that it lets pass."""
        return finding.item == self.item and fnmatchcase(finding.resource, self.urn)

    def is_about(self, stack: str) -> bool:
        """Whether resources of this stack can match."""
        return fnmatchcase(f"urn:pulumi:{stack}", self.urn.split("::")[0])

    def expired(self, today: date) -> bool:
        """Whether its time is over."""
        return self.expires < today

    def __str__(self) -> str:
        return f"{self.reason} ({self.owner}, until {self.expires.isoformat()})"


def load_waivers(path: Path, known: Collection[str]) -> list[Waiver]:
    """The waivers of a file; none when the file is not there. Raises PolicyError naming file and line."""
    if not path.exists():
        return []
    return [_waiver(document, known) for document in Document.read(path).items()]


def _waiver(document: Document, known: Collection[str]) -> Waiver:
    entries = document.entries()
    for key, each in entries.items():
        if key not in FIELDS:
            raise each.refuse("is not known here", f"a waiver has {', '.join(FIELDS)}")
    for key in FIELDS:
        if key not in entries:
            raise document.refuse(f"has no `{key}`", "add it")
    item = entries["item"].text()
    if item not in known:
        raise entries["item"].refuse("names no item that a rule checks", "see `policy list` for those there are")
    try:
        expires = date.fromisoformat(entries["expires"].text())
    except ValueError:
        raise entries["expires"].refuse("is no date", "write it as 2027-01-31") from None
    texts = {key: entries[key].text() for key in ("urn", "reason", "owner")}
    return Waiver(item=item, expires=expires, at=document.at, **texts)


def apply(
    waivers: Iterable[Waiver],
    findings: list[Finding],
    demands: Mapping[str, Demand],
    today: date | None = None,
    stack: str = "",
    unasked: Collection[str] = (),
) -> list[Finding]:
    """The findings with those let pass marked, then one for each waiver that is expired, unused or not allowed.

    `today` is the day in UTC when it is not given. Waivers for other stacks than `stack` are passed over.
    `unasked` are the items of which some rule could not be asked here, for want of the project's files or of reports:
    that their waivers cover nothing can't be said.
    """
    result = list(findings)
    when = today or datetime.now(UTC).date()
    for waiver in waivers:
        if stack and not waiver.is_about(stack):
            continue
        covered = [index for index, each in enumerate(result) if waiver.covers(each)]
        demand = demands.get(waiver.item)
        if demand is not None and not demand.waivable:
            result.append(_about(waiver, "lets pass what can't be waived", "remove it and mend what it covers"))
        elif waiver.expired(when):
            result.append(_about(waiver, "has expired", "mend what it covers, or decide anew and give a later date"))
        elif not covered and waiver.item in unasked:
            continue
        elif not covered:
            result.append(_about(waiver, "covers nothing that was found", "remove it"))
        else:
            for index in covered:
                result[index] = result[index].waived(str(waiver))
    return result


def _about(waiver: Waiver, what: str, mend: str) -> Finding:
    return Finding(
        item=WAIVER_ITEM,
        check="waivers",
        status="fail",
        level="mandatory",
        severity="high",
        resource="",
        path=waiver.at,
        what=f"the waiver of {waiver.item} {what}",
        wanted="waivers that are in force and needed",
        mend=mend,
        reference="docs/policies.md",
    )
