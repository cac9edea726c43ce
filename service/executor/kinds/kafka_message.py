"""What a kafka agent sends: its settings, and the message that they and a step's input make."""

import json
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from service.executor.expressions import compile_expression, search
from service.executor.kinds.base import SAVING, AgentSettings, StepContext, StepFailedError
from service.executor.kinds.placeholders import check_placeholders, filled
from service.executor.kinds.secrets import refuse_plain_credential
from service.platform.kafka import Record

MOST_BYTES = 1_000_000
"""Of value, key and headers; a little less than what brokers and the producer take at most by default (1 MiB)."""

OWN_HEADERS = ("message_id", "run_id", "step_id", "correlation_id")
"""Headers of every message. ``message_id`` is the same for every attempt, so the receiver can tell a repetition."""


class KafkaSettings(AgentSettings):
    """What a kafka agent publishes: the step's input as JSON.

    ``key`` is a JMESPath expression over the input (without one, the run's id is the key); ``${expression}`` may stand
    in the values of ``headers``.
    """

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    key: str | None = Field(default=None, min_length=1, max_length=1000)
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)

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
        value = json.dumps(step_input, ensure_ascii=False, allow_nan=False).encode()
        record = Record(settings.topic, key, value, (*zip(OWN_HEADERS, own, strict=True), *given))
        size = len(value) + len(key.encode()) + sum(len(name.encode()) + len(text.encode()) for name, text in given)
    except ValueError as error:
        raise StepFailedError("kafka-message", str(error), retryable=False) from None
    if size > MOST_BYTES:
        detail = f"the message has {size} bytes, and {MOST_BYTES} at most can be sent"
        raise StepFailedError("kafka-too-large", detail, retryable=False)
    return record


def _key(expression: str, step_input: dict[str, Any]) -> str:
    value = search(expression, step_input)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise ValueError(f"the key {expression!r} must give a text or a number for the step's input")
    return value if isinstance(value, str) else json.dumps(value)
