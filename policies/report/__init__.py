"""A judgement in the forms that people and programs read."""

from collections.abc import Callable, Mapping

from policies.engine.findings import Judgement
from policies.report.json_report import as_json
from policies.report.junit import as_junit
from policies.report.markdown import as_markdown
from policies.report.sarif import as_sarif

FORMATS: Mapping[str, Callable[[Judgement], str]] = {
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
    "sarif": as_sarif,
}
"""By the name that `policy --format` takes."""
