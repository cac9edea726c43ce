"""Reads what a form sends."""

from urllib.parse import parse_qsl

from fastapi import Request

from service.platform.problems import ProblemError

_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 50


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form by their names. Raises a 415 or 422 problem for what is no form."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _TYPE:
        raise ProblemError(415, "not-a-form", f"Send the fields of the form as {_TYPE}.")
    try:
        text = (await request.body()).decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"))
    except ValueError:
        raise ProblemError(422, "malformed-form", "The form cannot be read.") from None
