"""The queries of dashboards, as far as they must be known to run them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m", "$__range": "1h"}
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan", "atan2", "by", "without", "on", "ignoring"})


def panel_queries(dashboards: Mapping[str, str]) -> dict[str, str]:
    """The expression of each target of each panel (nested ones too) by dashboard, panel title and target."""
    found = {}
    for name, text in dashboards.items():
        try:
            document = json.loads(text)
        except json.JSONDecodeError:
            continue
        for panel in _panels(document):
            for number, target in enumerate(panel.get("targets") or ()):
                if target.get("expr"):
                    found[f"{name}: {panel.get('title', '?')} #{number + 1}"] = str(target["expr"])
    return found


def _panels(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in document.get("panels") or ():
        yield panel
        yield from _panels(panel)


def without_variables(expression: str) -> str:
    """The expression with Grafana's own variables replaced by plain durations."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value).replace(f"${{{variable[1:]}}}", value)
    return expression


def metric_names(expression: str) -> set[str]:
    """The names of the metrics that an expression reads."""
    bare = _LABELS.sub(" ", _STRING.sub("", without_variables(expression)))
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}
