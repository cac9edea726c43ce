"""Compares migrations, models and the live schema. Run inside the API's container: `python -c <this text>`.

Prints {"heads": [...], "current": [...], "differences": [...]}.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""


async def compare() -> dict[str, Any]:
    """What the image's migrations and models say, against what the database has."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

    from service.migrations.comparison import COMPARISON
    from service.migrations.migrate import alembic_config
    from service.platform.database import create_engine
    from service.platform.settings import load_settings
    from service.platform.tables import metadata

    heads = ScriptDirectory.from_config(alembic_config()).get_heads()

    def look(connection: Connection) -> tuple[list[str], list[str]]:
        context = MigrationContext.configure(connection, opts=COMPARISON)
        return list(context.get_current_heads()), [str(found) for found in compare_metadata(context, metadata)]

    engine = create_engine(load_settings(), application="verify")
    try:
        async with engine.connect() as connection:
            current, differences = await connection.run_sync(look)
    finally:
        await engine.dispose()
    return {"heads": list(heads), "current": current, "differences": differences}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(asyncio.wait_for(compare(), 30))))
