"""Which revision a database has, and the way back to an earlier one."""

import io
import re

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.migrations.migrate import MigrationFailedError, alembic_config, schema_lock
from service.platform.database import create_engine
from service.platform.logging import get_logger
from service.platform.settings import Settings

_STATEMENT = re.compile(r"^(.*?);\s*$", re.MULTILINE | re.DOTALL)
_LOSING = re.compile(
    r"\bDROP\s+TABLE\b|\bDROP\s+COLUMN\b|\bTRUNCATE\b|\bDELETE\s+FROM\b|^\s*UPDATE\b|\bALTER\s+COLUMN\s+\S+\s+TYPE\b",
    re.IGNORECASE | re.MULTILINE,
)
_BOOKKEEPING = re.compile(r"\balembic_version\b", re.IGNORECASE)

log = get_logger(__name__)


class DataLossError(RuntimeError):
    """The way back would delete or overwrite data; `statements` are those that would."""

    def __init__(self, statements: list[str]) -> None:
        super().__init__("; ".join(statements))
        self.statements = statements


def newest_revision() -> str:
    """The revision that this version of the service brings a database to."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


async def current_revision(engine: AsyncEngine) -> str | None:
    """The revision that the database has; None for one that has no schema yet."""
    async with engine.connect() as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return None
        revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(revision) if revision is not None else None


def losing_statements(current: str, target: str) -> list[str]:
    """The statements between two revisions, backwards, that delete or overwrite data. Nothing is asked of a database.

    Raises CommandError when there is no such way.
    """
    written = io.StringIO()
    config = alembic_config()
    config.output_buffer = written
    command.downgrade(config, f"{current}:{target}", sql=True)
    statements = [" ".join(match.split()) for match in _STATEMENT.findall(_without_comments(written.getvalue()))]
    return [each for each in statements if _LOSING.search(each) and not _BOOKKEEPING.search(each)]


def _without_comments(sql: str) -> str:
    return "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))


async def show(settings: Settings) -> dict[str, str | None]:
    """The revision of the database and the newest of this version."""
    engine = create_engine(settings, application="workflow-schema")
    try:
        return {"current": await current_revision(engine), "newest": newest_revision()}
    finally:
        await engine.dispose()


async def go_back(settings: Settings, target: str, accept_loss: bool, only_check: bool = False) -> None:
    """Bring the schema back to an earlier revision; nothing is done when it is there already, or for `only_check`.

    Raises DataLossError when data would be lost and that was not accepted, MigrationFailedError when there is no way.
    """
    engine = create_engine(settings, application="workflow-migrate", statement_seconds=None)
    try:
        async with schema_lock(engine) as connection:
            current = await current_revision(engine)
            if current == target:
                log.info("The schema is at that revision", revision=target)
                return
            try:
                lost = losing_statements(str(current), target)
                if lost and not accept_loss:
                    raise DataLossError(lost)
                if only_check:
                    return
                await connection.run_sync(lambda inner: command.downgrade(alembic_config(inner), target))
            except CommandError as error:
                raise MigrationFailedError(f"there is no way back from {current} to {target}: {error}") from error
            await connection.commit()
        log.info("The schema went back", before=current, revision=target, statements_losing_data=len(lost))
    finally:
        await engine.dispose()
