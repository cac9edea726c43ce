"""How the programs write their records."""

from __future__ import annotations

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.parts import PlatformPart
from policies.view.settings import effective, runs_the_service

LEVELS = ("INFO", "WARNING", "WARN")


@rule("log-level-prod", on=PlatformPart, where=runs_the_service, wanted="INFO or WARNING", mend="logging.level")
def production_writes_neither_too_much_nor_too_little(part: PlatformPart) -> Iterator[Fault]:
    """DEBUG fills the disk and tells what is inside requests; above WARNING a failure is told too late."""
    level = effective(part, "LOG_LEVEL")
    if (level.text() or "").upper() not in LEVELS:
        yield Fault(level, "LOG_LEVEL is neither INFO nor WARNING")


@rule("log-format-json", on=PlatformPart, where=runs_the_service, wanted="json", mend="logging.format")
def records_are_json(part: PlatformPart) -> Iterator[Fault]:
    """Records that no program can take apart can't be searched, counted or alerted on."""
    form = effective(part, "LOG_FORMAT")
    if (form.text() or "").lower() != "json":
        yield Fault(form, "LOG_FORMAT is not json")
