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
from pathlib import Path

from service.platform.settings import InvalidSettingsError, Settings, load_settings

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2
CHECK_SECONDS = 5.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service", description="The workflow management service.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("api", help="serve the HTTP API on API_HOST:API_PORT")
    commands.add_parser("relay", help="hand accepted runs over to Kafka")
    commands.add_parser("executor", help="execute runs")
    commands.add_parser("migrate", help="bring the schema up to date, create the first user and the topics")
    check = commands.add_parser("check", help="try a connection and say what is wrong with it")
    check.add_argument("part", choices=("database", "kafka"))
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


def _openapi(*, write: bool) -> int:
    from service.openapi import DOCUMENT, document

    text = json.dumps(document(), indent=2, sort_keys=True) + "\n"
    if write:
        DOCUMENT.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def main(arguments: list[str]) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 the environment is wrong."""
    given = _parser().parse_args(arguments)
    if given.command == "openapi":
        return _openapi(write=given.write)
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        sys.stderr.write("The settings cannot be used:\n" + "".join(f"  {line}\n" for line in str(error).split("\n")))
        return EXIT_WRONG_SETTINGS
    if given.command == "check":
        return _check(settings, given.part)
    from service.platform.logging import configure_logging

    configure_logging(settings)
    commands = {"api": _api, "relay": _relay, "executor": _executor, "migrate": _migrate}
    try:
        return commands[given.command](settings)
    except Exception:
        logging.getLogger(__name__).critical("The process has crashed", exc_info=True)
        return EXIT_FAILED
