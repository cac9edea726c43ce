"""Reads what a form sends."""

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from service.platform.problems import ProblemError

_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50
_MOST_KEY = 255


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form by their names. Raises a 415 or 422 problem for what is no form."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _TYPE:
        raise ProblemError(415, "not-a-form", f"Send the fields of the form as {_TYPE}.")
    try:
        text = (await request.body()).decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise ProblemError(422, "malformed-form", "The form cannot be read.") from None


def new_key() -> str:
    """The idempotency key of one form, so that it does what it does once however often it is sent."""
    return secrets.token_hex(16)


def key_of(fields: Mapping[str, str]) -> str | None:
    """The idempotency key that a form sends; None where there is none that the API would take."""
    key = fields.get("key", "")[:_MOST_KEY]
    return key if key and key.isascii() and key.isprintable() and " " not in key else None
