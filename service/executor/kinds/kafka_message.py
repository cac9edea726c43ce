"""What a kafka agent sends: its settings, and the message that they and a step's input make."""

import json
import re
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from service.executor.expressions import compile_expression, search
from service.executor.kinds.base import SAVING, AgentSettings, StepContext, StepFailedError
from service.executor.kinds.placeholders import check_placeholders, filled
from service.executor.kinds.secrets import refuse_plain_credential
from service.executor.waiting import OnTimeout
from service.platform.kafka import Record

MOST_BYTES = 1_000_000
"""Of value, key and headers; a little less than what brokers and the producer take at most by default (1 MiB)."""

OWN_HEADERS = ("message_id", "run_id", "step_id", "correlation_id")
"""Headers of every message. ``message_id`` is the same for every attempt, so the receiver can tell a repetition."""


REPLY_HEADERS = ("reply_id", "reply_topic")
"""Headers of a message that asks for a reply: what the reply has to carry, and where it is to be sent."""

MAX_REPLY_SECONDS = 86_400.0 * 30
_REPLY_ID = re.compile(
    r"(?P<run>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r":(?P<step>[A-Za-z_][A-Za-z0-9_-]{0,63}(?:\[[0-9]{1,4}\])?)"
    r":(?P<attempt>[1-9][0-9]{0,3})"
)

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[ -~]+$")]


class ReplySettings(BaseModel):
    """Where the reply to a message is awaited, and by what it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    topic: TopicName
    header: Name | None = Field(None, description="Header that carries the id, there and back; `reply_id` by default")
    field: Name | None = Field(None, description="Instead: field of the JSON objects, there and back")
    timeout_seconds: float = Field(3600, gt=0, le=MAX_REPLY_SECONDS, allow_inf_nan=False)
    on_timeout: OnTimeout = Field("fail", description="`continue`: the step completes with the output null")

    @model_validator(mode="before")
    @classmethod
    def _by_default_it_is_the_header(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("header") is None and value.get("field") is None:
            return {**value, "header": REPLY_HEADERS[0]}
        return value

    @model_validator(mode="after")
    def _it_is_one_of_them(self) -> Self:
        if self.header is not None and self.field is not None:
            raise ValueError("header and field exclude each other: a reply is known by one of them")
        if self.header is not None and self.header.lower() in (*OWN_HEADERS, REPLY_HEADERS[1]):
            raise ValueError(f"{self.header} is set by the service and cannot carry the id")
        return self


class KafkaSettings(AgentSettings):
    """What a kafka agent publishes: the step's input as JSON; with ``reply``, the step ends when that has come.

    ``key`` is a JMESPath expression over the input (without one, the run's id is the key); ``${expression}`` may stand
    in the values of ``headers``.
    """

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    key: str | None = Field(default=None, min_length=1, max_length=1000)
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    reply: ReplySettings | None = None

    @model_validator(mode="after")
    def _headers_of_the_reply_are_not_given(self) -> Self:
        if self.reply is not None:
            taken = {*REPLY_HEADERS, self.reply.header}
            for name in self.headers:
                if name.lower() in taken or name in taken:
                    raise ValueError(f"{name} is set by the service where a reply is asked for, and cannot be given")
        return self

    @field_validator("topic")
    @classmethod
    def _topic_can_be_one(cls, value: str) -> str:
        if value in (".", ".."):
            raise ValueError("is no name of a topic")
        return value

    @field_validator("key")
    @classmethod
    def _key_parses(cls, value: str | None) -> str | None:
        if value is not None:
            compile_expression(value)
        return value

    @field_validator("headers")
    @classmethod
    def _headers_can_be_given(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        for name, text in value.items():
            if not name or not name.isprintable() or len(name) > 200:
                raise ValueError(f"{name[:50]!r} is not a header name")
            if name.lower() in OWN_HEADERS:
                raise ValueError(f"{name} is set by the service and cannot be given")
            check_placeholders(text)
            if info.context is not None and info.context.get(SAVING):
                refuse_plain_credential(name, text, may_name_secret=False)
        return value


def build_message(settings: KafkaSettings, step_input: dict[str, Any], context: StepContext) -> Record:
    """The message for this input; raises StepFailedError where an expression does not fit, or it is too large."""
    own = (f"{context.run_id}:{context.step_id}", context.run_id, context.step_id, context.correlation_id)
    try:
        given = [(name, filled(text, step_input, quoted=False)) for name, text in settings.headers.items()]
        key = context.run_id if settings.key is None else _key(settings.key, step_input)
        if settings.reply is not None:
            given += _asking(settings.reply, context)
            step_input = _asked(settings.reply, step_input, context)
        value = json.dumps(step_input, ensure_ascii=False, allow_nan=False).encode()
        record = Record(settings.topic, key, value, (*zip(OWN_HEADERS, own, strict=True), *given))
        size = len(value) + len(key.encode()) + sum(len(name.encode()) + len(text.encode()) for name, text in given)
    except ValueError as error:
        raise StepFailedError("kafka-message", str(error), retryable=False) from None
    if size > MOST_BYTES:
        detail = f"the message has {size} bytes, and {MOST_BYTES} at most can be sent"
        raise StepFailedError("kafka-too-large", detail, retryable=False)
    return record


def reply_id(context: StepContext) -> str:
    """What the reply to an attempt's message has to carry."""
    return f"{context.run_id}:{context.step_id}:{context.attempt}"


def read_reply_id(text: object) -> tuple[UUID, str, int] | None:
    """The run, the step and the attempt that an id was made of; None for what is no such id."""
    found = _REPLY_ID.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else (UUID(found["run"]), found["step"], int(found["attempt"]))


def _asking(reply: ReplySettings, context: StepContext) -> list[tuple[str, str]]:
    wanted = reply_id(context)
    headers = dict(zip(REPLY_HEADERS, (wanted, reply.topic), strict=True))
    if reply.header is not None:
        headers[reply.header] = wanted
    return list(headers.items())


def _asked(reply: ReplySettings, step_input: dict[str, Any], context: StepContext) -> dict[str, Any]:
    if reply.field is None:
        return step_input
    if reply.field in step_input:
        raise ValueError(f"the step's input has a field {reply.field!r} already, in which the reply's id is to be sent")
    return {**step_input, reply.field: reply_id(context)}


def _key(expression: str, step_input: dict[str, Any]) -> str:
    value = search(expression, step_input)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise ValueError(f"the key {expression!r} must give a text or a number for the step's input")
    return value if isinstance(value, str) else json.dumps(value)
