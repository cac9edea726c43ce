"""The commands of the service's image.

Modules are imported when their command runs: the metrics library decides at import whether several processes share
its values, so that must be arranged before.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from service.platform.settings import InvalidSettingsError, Settings, load_settings

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2
EXIT_LOSES_DATA = 3
CHECK_SECONDS = 5.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The workflow management service.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("api", help="serve the HTTP API on API_HOST:API_PORT")
    commands.add_parser("relay", help="hand accepted runs over to Kafka")
    commands.add_parser("executor", help="execute runs")
    migrate = commands.add_parser("migrate", help="bring the schema up to date, create the first user and the topics")
    migrate.add_argument("--to", metavar="REVISION", help="bring the schema back to this earlier revision instead")
    migrate.add_argument("--accept-loss", action="store_true", help="go back also where that loses data")
    migrate.add_argument("--check", action="store_true", help="only tell, by the exit code, whether that loses data")
    commands.add_parser("schema", help="print the revision of the database and the newest one as JSON")
    check = commands.add_parser("check", help="try a connection, or what is installed, and say what is wrong with it")
    check.add_argument("part", choices=("database", "kafka", "agents"))
    access = commands.add_parser("kafka-access", help="make Kafka's topics, logins and rights what a plan says")
    access.add_argument("--plan", type=Path, required=True, metavar="FILE", help="the plan, JSON")
    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.add_argument("--write", action="store_true", help="write it to the committed file instead")
    return parser


def _run_loop(settings: Settings, work: Callable[[Settings], Awaitable[None]]) -> int:
    import uvloop

    async def body() -> None:
        await work(settings)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(body())
    return 0


def _with_kinds(command: Callable[[Settings], int]) -> Callable[[Settings], int]:
    """The command, once it is known that all agent kinds that are installed can be used."""

    def run(settings: Settings) -> int:
        from service.executor.kinds.installed import UnusableKindError
        from service.executor.kinds.registry import known_kinds

        try:
            known_kinds()
            return command(settings)
        except UnusableKindError as error:
            logging.getLogger(__name__).critical("An agent kind cannot be used: %s", error)
            return EXIT_WRONG_SETTINGS

    return run


def _api(settings: Settings) -> int:
    from service.platform import server

    if settings.api_workers > 1:
        from service.platform import metrics_directory

        with tempfile.TemporaryDirectory(prefix="metrics-") as directory:
            metrics_directory.prepare(Path(directory))
            return server.run(settings)
    return server.run(settings)


def _relay(settings: Settings) -> int:
    from service.relay.main import run

    return _run_loop(settings, run)


def _executor(settings: Settings) -> int:
    from service.executor.main import run

    return _run_loop(settings, run)


def _migrate(settings: Settings) -> int:
    from service.migrations.migrate import MigrationFailedError, migrate
    from service.platform.logging import get_logger

    try:
        return _run_loop(settings, migrate)
    except MigrationFailedError as error:
        get_logger(__name__).error("Migration failed", reason=str(error))
        return EXIT_FAILED


def _go_back(settings: Settings, *, target: str, accept_loss: bool, only_check: bool) -> int:
    from service.migrations.migrate import MigrationFailedError
    from service.migrations.revisions import DataLossError, go_back
    from service.platform.logging import get_logger

    async def work(given: Settings) -> None:
        await go_back(given, target, accept_loss, only_check)

    try:
        return _run_loop(settings, work)
    except DataLossError as error:
        get_logger(__name__).error("Going back would lose data", statements=error.statements)
        return EXIT_LOSES_DATA
    except MigrationFailedError as error:
        get_logger(__name__).error("Migration failed", reason=str(error))
        return EXIT_FAILED


def _schema(settings: Settings) -> int:
    from service.migrations.revisions import show

    sys.stdout.write(json.dumps(asyncio.run(show(settings))) + "\n")
    return 0


def _check_agents() -> int:
    from service.executor.kinds.installed import UnusableKindError
    from service.executor.kinds.registry import known_kinds

    try:
        kinds = known_kinds().values()
    except UnusableKindError as error:
        sys.stderr.write(f"agents: not usable: {error}\n")
        return EXIT_FAILED
    sys.stdout.write("agents: " + ", ".join(f"{each.kind} ({each.package or 'builtin'})" for each in kinds) + "\n")
    return 0


def _check(settings: Settings, part: str) -> int:
    from service.platform.database import check_database, create_engine
    from service.platform.kafka import check_kafka

    async def ask() -> None:
        if part == "kafka":
            await check_kafka(settings, seconds=CHECK_SECONDS)
            return
        engine = create_engine(settings, application="workflow-check")
        try:
            await check_database(engine, seconds=CHECK_SECONDS)
        finally:
            await engine.dispose()

    try:
        asyncio.run(ask())
    except Exception as error:  # noqa: BLE001 - whatever went wrong is this command's answer
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        sys.stderr.write(f"{part}: not reachable: {reason}\n")
        return EXIT_FAILED
    sys.stdout.write(f"{part}: connected\n")
    return 0


def _kafka_access(plan: Path) -> int:
    from service.kafka_access.main import run

    return run(plan)


def _openapi(*, write: bool) -> int:
    from service.openapi import DOCUMENT, document

    text = json.dumps(document(), indent=2, sort_keys=True) + "\n"
    if write:
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def main(arguments: list[str]) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 wrong environment, 3 refused for loss of data."""
    given = _parser().parse_args(arguments)
    if given.command == "openapi":
        return _openapi(write=given.write)
    if given.command == "kafka-access":
        return _kafka_access(given.plan)
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        sys.stderr.write("The settings cannot be used:\n" + "".join(f"  {line}\n" for line in str(error).split("\n")))
        return EXIT_WRONG_SETTINGS
    if given.command == "check" and given.part == "agents":
        return _check_agents()
    if given.command == "check":
        return _check(settings, given.part)
    from service.platform.logging import configure_logging

    configure_logging(settings)
    commands: dict[str, Callable[[Settings], int]] = {"relay": _relay, "migrate": _migrate, "schema": _schema}
    commands |= {"api": _with_kinds(_api), "executor": _with_kinds(_executor)}
    if given.command == "migrate" and given.to:
        commands["migrate"] = partial(_go_back, target=given.to, accept_loss=given.accept_loss, only_check=given.check)
    try:
        return commands[given.command](settings)
    except InvalidSettingsError as error:
        logging.getLogger(__name__).critical("The settings cannot be used: %s", error)
        return EXIT_WRONG_SETTINGS
    except Exception:
        logging.getLogger(__name__).critical("The process has crashed", exc_info=True)
        return EXIT_FAILED
