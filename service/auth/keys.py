"""API keys: shown once, stored as a hash, found by it, with an end and a way to revoke them."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import api_keys, users

_MARK = "wfk"
_USE_RECORDED_EVERY = "1 minute"

_SHOWN = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.prefix,
    api_keys.c.role,
    api_keys.c.scopes,
    api_keys.c.user_id,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.revoked_at,
    api_keys.c.last_used_at,
)


def new_key() -> tuple[str, str]:
    """A key and its prefix, by which people recognise it in lists; 256 random bits need no slow hash."""
    prefix = secrets.token_hex(4)
    return f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}", prefix


def hash_key(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


async def create_key(
    connection: AsyncConnection,
    *,
    name: str,
    role: Role,
    scopes: Sequence[Scope] | None,
    user_id: UUID | None,
    expires_at: datetime | None,
) -> tuple[str, AnyRow]:
    """Store a new key; returns the key itself, which cannot be read again, and its row."""
    key, prefix = new_key()
    statement = (
        api_keys.insert()
        .values(
            id=new_id(),
            name=name,
            prefix=prefix,
            key_hash=hash_key(key),
            user_id=user_id,
            role=role.value,
            scopes=None if scopes is None else sorted({scope.value for scope in scopes}),
            expires_at=expires_at,
        )
        .returning(*_SHOWN)
    )
    return key, (await connection.execute(statement)).one()


async def list_keys(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[Sequence[AnyRow], int]:
    """One page of the keys, newest first, and the number of all."""
    rows = (await connection.execute(select(*_SHOWN).order_by(api_keys.c.id.desc()).limit(limit).offset(offset))).all()
    return rows, int(await connection.scalar(select(func.count()).select_from(api_keys)) or 0)


async def revoke_key(connection: AsyncConnection, key_id: UUID) -> AnyRow | None:
    """End a key now; None where there is none of this id. Revoking again changes nothing."""
    statement = (
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
        .returning(*_SHOWN)
    )
    return (await connection.execute(statement)).one_or_none()


async def find_key(connection: AsyncConnection, key: str) -> AnyRow | None:
    """The valid key's row with its owner's role, or None; notes now and then that it is in use."""
    valid = (
        api_keys.c.key_hash == hash_key(key),
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
    )
    stale = or_(
        api_keys.c.last_used_at.is_(None),
        api_keys.c.last_used_at < func.now() - text(f"interval '{_USE_RECORDED_EVERY}'"),
    )
    owned = select(*_SHOWN, users.c.role.label("owner_role"), stale.label("stale")).join_from(
        api_keys, users, api_keys.c.user_id == users.c.id, isouter=True
    )
    row = (await connection.execute(owned.where(*valid))).one_or_none()
    if row is not None and row.stale:
        await connection.execute(update(api_keys).where(api_keys.c.id == row.id, stale).values(last_used_at=func.now()))
    return row
