"""For a comment on a change."""

from policies.engine.findings import Finding, Judgement


def as_markdown(judgement: Judgement) -> str:
    """A summary and a table of what was found."""
    blocking = sum(each.blocks for each in judgement.findings)
    verdict = f"**blocked** by {blocking}" if judgement.blocked else "passed"
    lines = [
        f"## Policies of stack {judgement.stack} ({judgement.profile}): {verdict}",
        "",
        f"{len(judgement.passed)} requirements met, {len(judgement.items())} with findings, "
        f"{len(judgement.not_applicable)} not applicable, {len(judgement.off)} not asked for.",
    ]
    if judgement.findings:
        lines += ["", "| requirement | severity | where | what | wanted | mend |", "|---|---|---|---|---|---|"]
        lines += [_row(each) for each in judgement.findings]
    return "\n".join(lines) + "\n"


def _row(finding: Finding) -> str:
    status = "waived" if finding.waiver else f"{finding.severity}, {finding.level}"
    what = finding.what if finding.status == "fail" else f"not evaluated: {finding.what}"
    told = what if finding.waiver is None else f"{what} ({finding.waiver})"
    cells = (finding.item, status, finding.place, told, finding.wanted, finding.mend)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
