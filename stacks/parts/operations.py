"""Who answers for an environment, and what is promised when it fails."""

from datetime import date
from typing import Annotated

from pydantic import Field

from stacks.parts.common import Part

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$|^\+[0-9][0-9 ]{5,20}$")]
"""An e-mail address, or a telephone number that begins with the country's."""


class Contacts(Part):
    """Where each role is reached, and when somebody last saw that it is true."""

    on_call: Address
    tech_lead: Address
    devops_lead: Address
    product_owner: Address
    security: Address
    incident_commander: Address
    reviewed: date


class OnCall(Part):
    """Who takes the pager, one after the other."""

    people: Annotated[tuple[Address, ...], Field(min_length=2)]
    since: date
    """The first day of the first one's turn."""
    turn_days: Annotated[int, Field(ge=1, le=31)] = 7


class Recovery(Part):
    """What may be lost, and for how long nothing works, when everything but the backups is gone."""

    point_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 60
    """The most time whose changes may be lost."""
    time_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 60
    """The longest time until the service works again."""


class Operations(Part):
    """What people and programs need to know in an emergency; production needs all of it."""

    contacts: Contacts | None = None
    on_call: OnCall | None = None
    recovery: Recovery = Recovery()
