"""Switches that stand one way in production."""

from __future__ import annotations

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.parts import Platform, PlatformPart
from policies.view.pods import Container
from policies.view.settings import effective, programs, runs_the_service
from policies.view.targets import place

DEBUGGING = {
    "DEBUG": (), "FLASK_DEBUG": (), "DJANGO_DEBUG": (), "APP_DEBUG": (), "PYTHONDEVMODE": (), "PYTHONASYNCIODEBUG": (),
    "FLASK_ENV": ("development",), "NODE_ENV": ("development",), "RAILS_ENV": ("development",),
    "APP_ENV": ("development", "dev", "local"), "ASPNETCORE_ENVIRONMENT": ("development",),
}  # fmt: skip
"""Variables by which widespread frameworks are put into debugging, and the words that do it; none: any but a no."""

_NO = ("", "0", "false", "no", "off")

PRODUCTION = "production"


@rule("metrics-flag-on", on=PlatformPart, parts=["api"], wanted="ENABLE_METRICS true", mend="api.enableMetrics")
def figures_are_on(api: PlatformPart) -> Iterator[Fault]:
    """Without the API's figures no alert fires and no dashboard shows anything: production would be flown blind."""
    flag = effective(api, "ENABLE_METRICS")
    if flag.flag() is not True:
        yield Fault(flag, "ENABLE_METRICS is not on")


@rule(
    "audit-logging-flag-on",
    on=PlatformPart,
    parts=["api"],
    wanted="ENABLE_AUDIT_LOGGING true",
    mend="api.enableAuditLogging",
)
def audit_records_are_on(api: PlatformPart) -> Iterator[Fault]:
    """Who changed what can't be found out afterwards when it was not written down."""
    flag = effective(api, "ENABLE_AUDIT_LOGGING")
    if flag.flag() is not True:
        yield Fault(flag, "ENABLE_AUDIT_LOGGING is not on")


@rule("api-reload-off", on=PlatformPart, parts=["api"], wanted="API_RELOAD false", mend="api.reload")
def the_api_does_not_reload_its_code(api: PlatformPart) -> Iterator[Fault]:
    """A server that watches its files runs as one worker, and changes under its callers whenever a file does."""
    flag = effective(api, "API_RELOAD")
    if flag.flag() is not False:
        yield Fault(flag, "API_RELOAD is not off")


@rule(
    "database-echo-off",
    on=PlatformPart,
    where=runs_the_service,
    wanted="DATABASE_ECHO false",
    mend="the part's pool.echo",
)
def statements_are_not_echoed(part: PlatformPart) -> Iterator[Fault]:
    """With echo every statement is written to the log with its values: slow, and full of what nobody should read."""
    flag = effective(part, "DATABASE_ECHO")
    if flag.flag() is not False:
        yield Fault(flag, "DATABASE_ECHO is not off")


@rule("debug-mode-off", on=PlatformPart, where=runs_the_service, wanted="no DEBUG records", mend="logging.level")
def programs_write_no_debugging_records(part: PlatformPart) -> Iterator[Fault]:
    """Debugging records tell what is inside requests and fill the disk."""
    level = effective(part, "LOG_LEVEL")
    if (level.text() or "").upper() == "DEBUG":
        yield Fault(level, "LOG_LEVEL is DEBUG")


@rule("debug-mode-off", on=Container, wanted="no debugging", mend="remove the variable")
def no_program_is_put_into_debugging(container: Container) -> Iterator[Fault]:
    """Frameworks in debugging answer errors with their source and variables; some let the visitor run code."""
    for name, value in container.env.items():
        words = DEBUGGING.get(name.upper())
        if words is None:
            continue
        text = (value.text() or "").strip().lower()
        if text in words if words else text not in _NO:
            yield Fault(f"{container.spec.path}.env.{name}".lstrip("."), "the variable puts the program into debugging")


@rule(
    "environment-marker",
    on=Platform,
    wanted="ENVIRONMENT production in the stack prod and in no other",
    mend="environment",
)
def only_the_production_stack_calls_itself_production(platform: Platform) -> Iterator[Fault]:
    """Who looks at a program must see whether it is production, and a copy of it must not claim to be."""
    is_production = platform.snapshot.stack == "prod"
    for part in programs(platform):
        marker = effective(part, "ENVIRONMENT")
        if (marker.text() == PRODUCTION) != is_production:
            what = "does not say that it is production" if is_production else "says that it is production and is not"
            yield Fault(place(part.resource, marker), f"ENVIRONMENT {what}")
