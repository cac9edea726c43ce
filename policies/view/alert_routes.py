"""Where Alertmanager sends an alert, as it would decide it itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from policies.view.values import Value

_MATCHER = re.compile(r"""^\s*(?P<label>\w+)\s*(?P<how>=~|!~|!=|=)\s*["']?(?P<value>.*?)["']?\s*$""")
"""`severity="critical"`: a label, how it is compared, and with what."""


def receivers_of(config: Value, labels: Mapping[str, str]) -> list[str]:
    """The names of the receivers that get an alert with these labels."""
    return _walk(config["route"], labels, None)


def receivers(config: Value) -> dict[str, Value]:
    """Every receiver by its name."""
    return {name: each for each in config["receivers"].items() if (name := each["name"].text()) is not None}


def channels(receiver: Value) -> dict[str, list[Value]]:
    """The ways of a receiver to tell somebody, by kind: `webhook`, `email`, `pagerduty`."""
    return {
        kind.removesuffix("_configs"): ways
        for kind, each in receiver.entries().items()
        if kind.endswith("_configs") and (ways := each.items())
    }


def _walk(route: Value, labels: Mapping[str, str], inherited: str | None) -> list[str]:
    own = route["receiver"].text() or inherited
    found: list[str] = []
    for child in route["routes"].items():
        if not _matches(child, labels):
            continue
        found += _walk(child, labels, own)
        if not child["continue"].flag():
            break
    return found or ([own] if own else [])


def _matches(route: Value, labels: Mapping[str, str]) -> bool:
    given = [_MATCHER.match(each) for each in route["matchers"].texts()]
    wanted = [(each["label"], each["how"], each["value"]) for each in given if each is not None]
    wanted += [(label, "=", each.text() or "") for label, each in route["match"].entries().items()]
    wanted += [(label, "=~", each.text() or "") for label, each in route["match_re"].entries().items()]
    if None in given:
        return False
    return all(_holds(labels.get(label, ""), how, value) for label, how, value in wanted)


def _holds(found: str, how: str, value: str) -> bool:
    same = bool(re.fullmatch(value, found)) if "~" in how else found == value
    return same is not how.startswith("!")
