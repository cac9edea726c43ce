"""How alembic reaches the database: on the connection it is handed, or on one made from the service's settings."""

import asyncio

from alembic import context
from sqlalchemy import Connection

from service.migrations.comparison import COMPARISON
from service.platform.database import create_engine
from service.platform.settings import load_settings
from service.platform.tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        **COMPARISON,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _migrate_by_settings() -> None:
    engine = create_engine(load_settings(), application="alembic", statement_seconds=None)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_migrate)
            await connection.commit()
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    asyncio.run(_migrate_by_settings())
