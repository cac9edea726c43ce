"""Passwords, hashed with argon2 off the event loop, few at a time: each takes 64 MiB and tens of milliseconds."""

import asyncio
import secrets
from functools import cached_property

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

_AT_ONCE = 2

_HASHER = PasswordHash((Argon2Hasher(),))


def hash_password(password: str) -> str:
    """What is stored of a password; takes tens of milliseconds."""
    return _HASHER.hash(password)


def fits(password: str, stored: str) -> bool:
    """Whether the password is the stored one; takes tens of milliseconds. A malformed hash fits nothing."""
    try:
        return _HASHER.verify(password, stored)
    except PwdlibError:
        return False


class Passwords:
    """Verifies passwords within a bound of memory and time."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @cached_property
    def _nobodys(self) -> str:
        return hash_password(secrets.token_urlsafe(16))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password fits; takes as long where there is no such user (``stored`` is None) as where it does
        not fit, so that the time does not tell which names exist."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, password, stored)

    def _verify(self, password: str, stored: str | None) -> bool:
        # The first refusal of an unknown name would take longer if the substitute were made only then.
        substitute = self._nobodys
        return fits(password, stored or substitute) and stored is not None
