"""What an http agent sends: its settings, and the request that they and a step's input make."""

import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from service.executor.expressions import evaluate, validate_expressions
from service.executor.kinds.base import SAVING, AgentSettings, StepContext, StepFailedError
from service.executor.kinds.placeholders import PLACEHOLDER, check_placeholders, filled
from service.executor.kinds.secrets import SecretReference, refuse_plain_credential

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
# Set by the protocol itself; a workflow that sets them could speak past the address that was checked.
_RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te"})


def _form_of(value: object) -> str:
    return "<reference>" if isinstance(value, (dict, SecretReference)) else "<text>"


HeaderValue = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[SecretReference, Tag("<reference>")], Discriminator(_form_of)
]
"""A text, or the name of a secret."""


class HttpSettings(AgentSettings):
    """How an http agent calls.

    ``${expression}`` (JMESPath over the step's input) may stand in the URL behind the host, in header values and in
    ``body``; ``json`` may hold ``{"$jmespath": expression}``. POST, PUT and PATCH without either send the step's input.
    A header that carries a credential is ``{"secret": NAME, "prefix": "Bearer "}``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    method: Method = "GET"
    url: str = Field(min_length=1, max_length=4000)
    headers: dict[str, HeaderValue] = Field(default_factory=dict, max_length=50)
    json_body: Any = Field(default=None, alias="json")
    body: str | None = Field(default=None, max_length=1_000_000)
    timeout_seconds: float = Field(10.0, gt=0, le=300, allow_inf_nan=False)
    max_response_bytes: int = Field(1024 * 1024, ge=1, le=10 * 1024 * 1024)
    max_redirects: int = Field(5, ge=0, le=10)

    @field_validator("method", mode="before")
    @classmethod
    def _method_in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _url_is_absolute(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            raise ValueError("is not a URL, for instance https://example.net/path") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or password: give an Authorization header that names a secret")
        if PLACEHOLDER.search(parts.netloc) or any(mark in parts.netloc for mark in "${}"):
            raise ValueError("must name its host and port: ${...} may only stand behind them")
        check_placeholders(value)
        return value

    @field_validator("headers")
    @classmethod
    def _headers_are_sendable(cls, value: dict[str, HeaderValue], info: ValidationInfo) -> dict[str, HeaderValue]:
        for name, given in value.items():
            if not _HEADER_NAME.match(name):
                raise ValueError(f"{name!r} is not a header name")
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"{name} is set by the protocol and cannot be given")
            if isinstance(given, SecretReference):
                continue
            if "\r" in given or "\n" in given:
                raise ValueError(f"the value of {name} has a line break")
            check_placeholders(given)
            # Only what is saved is judged: versions from before go on meaning what they meant.
            if info.context is not None and info.context.get(SAVING):
                refuse_plain_credential(name, given)
        return value

    @field_validator("body")
    @classmethod
    def _body_placeholders_parse(cls, value: str | None) -> str | None:
        check_placeholders(value or "")
        return value

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.json_body is not None and self.body is not None:
            raise ValueError("json and body are both given: a request has only one of them")
        for mistake in validate_expressions({"json": self.json_body}):
            raise ValueError(f"{mistake.path}: {mistake.message}")
        return self


@dataclass
class OutgoingRequest:
    """A request ready to be sent; ``url`` names the logical host, whose address is still to be checked."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    secret_headers: frozenset[str] = frozenset()
    """Names, in small letters, of headers that no other origin may ever be told."""

    def drop_body(self) -> None:
        """What a redirect to a GET does."""
        self.method, self.content = "GET", None
        self.headers = {name: text for name, text in self.headers.items() if name.lower() != "content-type"}


def build_request(settings: HttpSettings, step_input: dict[str, Any], context: StepContext) -> OutgoingRequest:
    """The request of the settings for this input, with its secrets; raises StepFailedError where an expression does
    not fit the input, or a secret cannot be used."""
    try:
        url = filled(settings.url, step_input, quoted=True)
        headers = {
            name: filled(text, step_input, quoted=False)
            for name, text in settings.headers.items()
            if isinstance(text, str)
        }
        request = OutgoingRequest(settings.method, url, headers)
        if settings.body is not None:
            request.content = filled(settings.body, step_input, quoted=False).encode()
        elif settings.json_body is not None:
            _set_json(request, evaluate(settings.json_body, step_input))
        elif settings.method in METHODS_WITH_BODY:
            _set_json(request, step_input)
    except ValueError as error:
        raise StepFailedError("http-request", str(error), retryable=False) from None
    for name, text in request.headers.items():
        if any(character in text for character in "\r\n\0"):
            raise StepFailedError("http-request", f"the value of header {name} has a line break", retryable=False)
    _add_secrets(settings, request, context)
    return request


def _add_secrets(settings: HttpSettings, request: OutgoingRequest, context: StepContext) -> None:
    for name, given in settings.headers.items():
        if isinstance(given, SecretReference):
            text = context.secret(given.secret)
            if not (text.isascii() and text.isprintable()):
                detail = f"the secret {given.secret!r} cannot be sent as header {name}: it is not one line of ASCII"
                raise StepFailedError("secret-unusable", detail, retryable=False)
            request.headers[name] = given.prefix + text
            request.secret_headers |= {name.lower()}


def _set_json(request: OutgoingRequest, value: Any) -> None:
    request.content = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    if not any(name.lower() == "content-type" for name in request.headers):
        request.headers["Content-Type"] = "application/json"
