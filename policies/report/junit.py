"""For CI servers: each requirement is a test case."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from policies.engine.findings import Finding, Judgement


def as_junit(judgement: Judgement) -> str:
    """One suite. A blocking finding is a failure, one that was not evaluated an error; the rest is told as output."""
    found: dict[str, list[Finding]] = {}
    for finding in judgement.findings:
        found.setdefault(finding.item, []).append(finding)
    items = sorted({*found, *judgement.passed, *judgement.not_applicable})
    blocking = {item: [each for each in found.get(item, []) if each.blocks] for item in items}
    failed = [item for item in items if any(each.status == "fail" for each in blocking[item])]
    unknown = [item for item in items if blocking[item] and item not in failed]
    suite = Element(
        "testsuite",
        name=f"policies of stack {judgement.stack} ({judgement.profile})",
        tests=str(len(items)),
        failures=str(len(failed)),
        errors=str(len(unknown)),
        skipped=str(sum(item in judgement.not_applicable for item in items)),
    )
    for item in items:
        case = SubElement(suite, "testcase", classname="policies", name=item)
        if item in judgement.not_applicable:
            SubElement(case, "skipped", message=judgement.not_applicable[item])
        elif blocking[item]:
            first = blocking[item][0]
            told = SubElement(case, "failure" if item in failed else "error", message=f"{first.place}: {first.what}")
            told.text = "\n".join(line_of(each) for each in blocking[item])
        elif item in found:
            SubElement(case, "system-out").text = "\n".join(line_of(each) for each in found[item])
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True)


def line_of(finding: Finding) -> str:
    """A finding in one line."""
    mend = f"; mend: {finding.mend}" if finding.mend else ""
    waived = f" [waived: {finding.waiver}]" if finding.waiver else ""
    return f"{finding.level} {finding.place}: {finding.what}; wanted: {finding.wanted}{mend}{waived}"
