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
from uuid import UUID

from service.platform.settings import InvalidSettingsError, Settings, load_settings

EXIT_FAILED = 1
EXIT_WRONG_SETTINGS = 2
EXIT_LOSES_DATA = 3
EXIT_REFUSED = 4


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
    check = commands.add_parser("check", help="try what a program of the service needs, and say what is wrong")
    check.add_argument(
        "part",
        nargs="?",
        choices=("database", "schema", "partitions", "kafka", "topics", "agents"),
        help="try only this",
    )
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    _add_operators_commands(commands)
    access = commands.add_parser("kafka-access", help="make Kafka's topics, logins and rights what a plan says")
    access.add_argument("--plan", type=Path, required=True, metavar="FILE", help="the plan, JSON")
    openapi = commands.add_parser("openapi", help="print the OpenAPI document")
    openapi.add_argument("--write", action="store_true", help="write it to the committed file instead")
    return parser


def _add_operators_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    admin = commands.add_parser(
        "create-admin", help="make an administrator; asks for the password unless told where it is"
    )
    admin.add_argument("name", help="the name to log in with")
    where = admin.add_mutually_exclusive_group()
    where.add_argument("--password-file", type=Path, metavar="FILE", help="read the password from this file")
    where.add_argument("--password-stdin", action="store_true", help="read the password from standard input, one line")
    requeue = commands.add_parser("requeue", help="put dead letters back into the outbox, each once")
    requeue.add_argument("letter", nargs="*", type=UUID, metavar="ID", help="the letters, by their ids")
    requeue.add_argument("--all", action="store_true", help="all open ones instead")
    requeue.add_argument(
        "--reason", choices=("unreadable", "too-large"), help="with --all: only those set aside for it"
    )
    for command in (admin, requeue):
        command.add_argument("--json", action="store_true", help="print the result as JSON")


def _run_loop(settings: Settings, work: Callable[[Settings], Awaitable[None]]) -> int:
    import uvloop

    from service.platform.garbage import keep_what_is_loaded

    async def body() -> None:
        keep_what_is_loaded()
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


def _check(settings: Settings, part: str | None, *, as_json: bool) -> int:
    from service.health.checkup import CHECKS, Finding, check, show

    findings = asyncio.run(check(settings, [part] if part else list(CHECKS)))
    show(findings if part else [Finding("settings", True, "usable"), *findings], as_json=as_json)
    return 0 if all(each.passed for each in findings) else EXIT_FAILED


def _unusable_settings(error: InvalidSettingsError, *, as_json: bool) -> int:
    if as_json:
        from service.health.checkup import Finding, show

        show([Finding("settings", False, str(error))], as_json=True)
    sys.stderr.write("The settings cannot be used:\n" + "".join(f"  {line}\n" for line in str(error).split("\n")))
    return EXIT_WRONG_SETTINGS


def _requeue(settings: Settings, given: argparse.Namespace) -> int:
    from service.deadletters.command import requeue, show

    outcomes = asyncio.run(requeue(settings, given.letter, reason=given.reason))
    show(outcomes, as_json=given.json)
    return 0 if all(each.requeued for each in outcomes) else EXIT_FAILED


def _create_admin(settings: Settings, given: argparse.Namespace) -> int:
    from service.auth.create_admin import RefusedError, create_admin, read_password

    try:
        password = read_password(given.password_file, from_stdin=given.password_stdin)
        made = asyncio.run(create_admin(settings, given.name, password))
    except RefusedError as error:
        sys.stderr.write(f"No administrator was made: {error}\n")
        return EXIT_REFUSED
    sys.stdout.write(json.dumps(made) + "\n" if given.json else f"{made['username']} is an administrator now\n")
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


def _by_hand(settings: Settings, given: argparse.Namespace) -> int:
    try:
        return _requeue(settings, given) if given.command == "requeue" else _create_admin(settings, given)
    except Exception as error:  # noqa: BLE001 - whatever went wrong is told to whoever typed the command
        sys.stderr.write(f"{given.command}: {str(error) or type(error).__name__}\n")
        return EXIT_FAILED


def main(arguments: list[str]) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 wrong arguments or environment, 3 refused for loss
    of data, 4 refused for another reason that the message names."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "requeue" and bool(given.letter) == given.all:
        parser.error("requeue: name the letters by their ids, or give --all")
    if given.command == "requeue" and given.reason and not given.all:
        parser.error("requeue: --reason chooses among all, so it needs --all")
    if given.command == "openapi":
        return _openapi(write=given.write)
    if given.command == "kafka-access":
        return _kafka_access(given.plan)
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        return _unusable_settings(error, as_json=given.command == "check" and given.json)
    if given.command == "check":
        return _check(settings, given.part, as_json=given.json)
    from service.platform.logging import configure_logging

    configure_logging(settings)
    if given.command in ("requeue", "create-admin"):
        return _by_hand(settings, given)
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
