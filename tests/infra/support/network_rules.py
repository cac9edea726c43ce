"""What the network policies of a namespace allow, and whether both ends of each way agree."""

from collections.abc import Collection, Iterable
from typing import Any

PART = "workflow.part"
NAME = "app.kubernetes.io/name"

Policy = dict[str, Any]


def selected(selector: dict[str, Any], parts: Collection[str]) -> set[str]:
    """The parts whose pods a selector takes; as far as our policies say it: by part or by name."""
    chosen = set(parts)
    labels = selector.get("matchLabels") or {}
    for key in (PART, NAME):
        if key in labels:
            chosen &= {str(labels[key])}
    for expression in selector.get("matchExpressions") or ():
        if expression["key"] in {PART, NAME} and expression["operator"] == "In":
            chosen &= set(expression["values"])
    return chosen


def denies_by_default(policies: Iterable[Policy]) -> set[str]:
    """The directions in which a policy without rules closes every pod of the namespace."""
    return {
        direction
        for policy in policies
        if not policy["spec"].get("podSelector")
        for direction in policy["spec"].get("policyTypes") or ()
        if not policy["spec"].get(direction.lower())
    }


def open_to_everybody(policies: Iterable[Policy], parts: Collection[str]) -> dict[str, set[int]]:
    """The ports of each part that may be reached from everywhere."""
    found: dict[str, set[int]] = {}
    for policy in policies:
        for rule in policy["spec"].get("ingress") or ():
            if rule.get("from"):
                continue
            for part in selected(policy["spec"].get("podSelector") or {}, parts):
                found.setdefault(part, set()).update(_ports(rule))
    return found


def ways_in(policies: Iterable[Policy], parts: Collection[str]) -> set[tuple[str, str, int]]:
    """(caller, called, port) that the called side lets in, between parts."""
    return {
        (caller, called, port)
        for policy in policies
        for rule in policy["spec"].get("ingress") or ()
        for peer in rule.get("from") or ()
        for caller in selected(peer.get("podSelector") or {}, parts)
        for called in selected(policy["spec"].get("podSelector") or {}, parts)
        for port in _ports(rule)
    }


def ways_out(policies: Iterable[Policy], parts: Collection[str]) -> set[tuple[str, str, int]]:
    """(caller, called, port) that the calling side lets out, between parts."""
    return {
        (caller, called, port)
        for policy in policies
        for rule in policy["spec"].get("egress") or ()
        for peer in rule.get("to") or ()
        if "podSelector" in peer
        for called in selected(peer["podSelector"], parts)
        for caller in selected(policy["spec"].get("podSelector") or {}, parts)
        for port in _ports(rule)
    }


def _ports(rule: dict[str, Any]) -> set[int]:
    return {int(port["port"]) for port in rule.get("ports") or () if "port" in port}
