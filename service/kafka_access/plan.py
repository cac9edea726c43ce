"""What a cluster's topics, logins and rights shall be, as a file without secrets."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MILLISECONDS_AN_HOUR = 3_600_000

Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]


class InvalidPlanError(ValueError):
    """The plan, or a file that it names, cannot be used; the message says which and why and holds no secret."""


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PlannedTopic(_Plan):
    """A topic: it is made, widened and set as it says here, but never made smaller and never removed."""

    name: Topic
    partitions: Annotated[int, Field(ge=1)]
    replication: Annotated[int, Field(ge=1)]
    min_in_sync: Annotated[int, Field(ge=1)]
    retention_hours: Annotated[int, Field(ge=1)]

    @property
    def settings(self) -> dict[str, str]:
        """The topic's settings in Kafka's names."""
        return {
            "min.insync.replicas": str(self.min_in_sync),
            "retention.ms": str(self.retention_hours * MILLISECONDS_AN_HOUR),
        }


class Grant(_Plan):
    """What a login may do with one topic or one consumer group. READ and WRITE hold DESCRIBE in them."""

    on: Literal["topic", "group"]
    name: Topic
    operations: Annotated[frozenset[Literal["READ", "WRITE", "DESCRIBE"]], Field(min_length=1)]


class PlannedLogin(_Plan):
    """A SCRAM login; the generation at the end of its name lets an old and a new one exist side by side."""

    user: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,60}-[1-9][0-9]*$")]
    password_file: Path
    grants: tuple[Grant, ...] = ()

    def password(self) -> bytes:
        """Raises InvalidPlanError when the file cannot be read or is empty."""
        try:
            found = self.password_file.read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise InvalidPlanError(
                f"the password of {self.user} cannot be read from {self.password_file}: {error.strerror}"
            ) from None
        if not found:
            raise InvalidPlanError(f"the password of {self.user} in {self.password_file} is empty")
        return found


class AccessPlan(_Plan):
    """Everything that is to be there. Logins and rights that it does not name are taken away."""

    brokers: Annotated[tuple[str, ...], Field(min_length=1)]
    """host:port of the listener where a certificate says who asks."""
    ca_file: Path = Path("/config/secrets/ca.crt")
    certificate_file: Path = Path("/config/secrets/tls.crt")
    key_file: Path = Path("/config/secrets/tls.key")
    wait_seconds: Annotated[float, Field(gt=0, le=3600)] = 180.0
    """How long to wait for as many brokers as the topics want copies."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    topics: tuple[PlannedTopic, ...] = ()
    logins: tuple[PlannedLogin, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, names in (
            ("topic", [topic.name for topic in self.topics]),
            ("login", [login.user for login in self.logins]),
        ):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{what} {twice[0]} is listed more than once")
        return self

    @property
    def brokers_needed(self) -> int:
        """The most copies that any topic wants."""
        return max((topic.replication for topic in self.topics), default=1)


def load_plan(path: Path) -> AccessPlan:
    """Read a plan. Raises InvalidPlanError with one line for each fault."""
    try:
        return AccessPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidPlanError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"{path}: {'.'.join(map(str, each['loc'])) or 'plan'}: {each['msg']}" for each in problems]
        raise InvalidPlanError("\n".join(lines)) from None
