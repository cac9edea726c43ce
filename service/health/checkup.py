"""The command ``check``: tries what a program of the service needs, and says of each thing whether it is right."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text

from service.executor.kinds.installed import UnusableKindError
from service.executor.kinds.registry import known_kinds
from service.maintenance.partitions import NEXT_MONTH
from service.migrations.revisions import current_revision, newest_revision
from service.platform.database import autocommit, check_database, create_engine
from service.platform.kafka import check_kafka, connection_options
from service.platform.settings import Settings

CHECK_SECONDS = 5.0
"""For each thing; all are tried at the same time."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    name: str
    passed: bool
    detail: str


class WrongError(Exception):
    """What was tried is there but not as it must be; the text says how it must be."""


Check = Callable[[Settings], Awaitable[str]]


async def _database(settings: Settings) -> str:
    engine = create_engine(settings, application="workflow-check")
    try:
        await check_database(engine, seconds=CHECK_SECONDS)
    finally:
        await engine.dispose()
    return "connected"


async def _schema(settings: Settings) -> str:
    engine = create_engine(settings, application="workflow-check")
    try:
        found = await current_revision(engine)
    finally:
        await engine.dispose()
    needed = newest_revision()
    if found != needed:
        raise WrongError(f"is at revision {found or 'none'}, this version needs {needed}: run `migrate`")
    return f"at revision {found}"


async def _partitions(settings: Settings) -> str:
    engine = create_engine(settings, application="workflow-check")
    try:
        async with autocommit(engine) as connection:
            following = (await connection.execute(text(NEXT_MONTH))).one()
    finally:
        await engine.dispose()
    if not following.is_there:
        raise WrongError(
            f"the audit log has no partition for {following.month}: the relay makes it, so one must run; until then"
            " entries of that month are kept in the default partition"
        )
    return f"the audit log has one for {following.month}"


async def _kafka(settings: Settings) -> str:
    await check_kafka(settings, seconds=CHECK_SECONDS)
    return "connected"


async def _topics(settings: Settings) -> str:
    wanted = (settings.kafka_execution_topic, settings.kafka_cancellation_topic)
    admin = AIOKafkaAdminClient(
        **connection_options(settings), client_id="check", request_timeout_ms=int(CHECK_SECONDS * 1000)
    )
    try:
        await admin.start()
        there = set(await admin.list_topics())
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await admin.close()
    missing = [name for name in wanted if name not in there]
    if missing:
        raise WrongError(f"not there, or not to be seen by this login: {', '.join(missing)}; run `migrate`")
    return ", ".join(wanted)


async def _agents(settings: Settings) -> str:
    del settings
    try:
        kinds = known_kinds().values()
    except UnusableKindError as error:
        raise WrongError(f"not usable: {error}") from None
    return ", ".join(f"{each.kind} ({each.package or 'builtin'})" for each in kinds)


CHECKS: Mapping[str, Check] = {
    "database": _database,
    "schema": _schema,
    "partitions": _partitions,
    "kafka": _kafka,
    "topics": _topics,
    "agents": _agents,
}


async def _tried(name: str, check: Check, settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS + 1):
            return Finding(name, True, await check(settings))
    except WrongError as error:
        return Finding(name, False, str(error))
    except TimeoutError:
        return Finding(name, False, "not reachable: no answer in time")
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the finding
        return Finding(name, False, f"not reachable: {str(error) or type(error).__name__}")


async def check(settings: Settings, names: Sequence[str] = tuple(CHECKS)) -> list[Finding]:
    """Try the named things, within ``CHECK_SECONDS`` and a little."""
    return list(await asyncio.gather(*(_tried(name, CHECKS[name], settings) for name in names)))


def show(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Write a line for each thing; what failed goes to standard error unless it is JSON."""
    if as_json:
        passed = all(each.passed for each in findings)
        sys.stdout.write(json.dumps({"passed": passed, "checks": [asdict(each) for each in findings]}) + "\n")
        return
    for each in findings:
        (sys.stdout if each.passed else sys.stderr).write(f"{each.name}: {each.detail}\n")
