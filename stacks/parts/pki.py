"""The stack's own authority."""

from typing import Annotated

from pydantic import Field

from stacks.parts.common import Part


class Pki(Part):
    """Lives of the stack's own authority and certificates, in days."""

    authority_days: Annotated[int, Field(ge=30, le=7300)] = 3650
    authority_generation: Annotated[int, Field(ge=1)] = 1
    days: Annotated[int, Field(ge=1, le=397)] = 90
    renew_before_days: Annotated[int, Field(ge=0, le=180)] = 30
    generation: Annotated[int, Field(ge=1)] = 1
    """A higher number issues every certificate anew at the next `up`."""
