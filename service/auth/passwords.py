"""Passwords, hashed with argon2 off the event loop, few at a time: each takes 64 MiB and tens of milliseconds."""

import asyncio
import secrets
from functools import cached_property

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

_AT_ONCE = 2


class Passwords:
    """Verifies passwords within a bound of memory and time."""

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password fits; takes as long where there is no such user (``stored`` is None) as where it does
        not fit, so that the time does not tell which names exist."""
        async with self._slots:
            fits = await asyncio.to_thread(self._verify, password, stored)
        return fits and stored is not None

    def _verify(self, password: str, stored: str | None) -> bool:
        try:
            return self._hasher.verify(password, stored or self._nobodys)
        except PwdlibError:
            return False
