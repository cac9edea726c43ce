"""How a call is carried through: credentials, retries, what an answer means. Sends nothing itself.

An exchange is a generator: it yields what is to be done and is told how that went. Both clients drive the same one.
"""

import email.utils
import json
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from wfm.calls import Body, Call, Pause
from wfm.credentials import Credentials, Login
from wfm.errors import (
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    UntrustedError,
    problem_of,
)
from wfm.models import TokenAnswer

T = TypeVar("T")

PREFIX = "/api/v1"
RENEW_BEFORE_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

# With these nothing has reached the server.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True)
class Send:
    """Send this request. Where the answer ``streams`` its body is left to be read, if it is one of events."""

    request: httpx.Request
    streams: bool = False


@dataclass(frozen=True)
class Renew:
    """See to it that there is a token other than this one."""

    stale: str | None


Exchange = Generator[Send | Pause | Renew, Any, T]


@dataclass
class Session:
    """What both clients share: where the API is, who asks, and for how long something is tried again."""

    base_url: httpx.URL
    credentials: Credentials | None
    headers: Mapping[str, str]
    timeout: httpx.Timeout
    retry_seconds: float
    prefix: str = PREFIX
    token: str | None = field(default=None, repr=False)
    token_ends: float = 0.0

    def needs_renewal(self) -> bool:
        """Whether there is no token, or one that is about to end."""
        return self.token is None or time.monotonic() >= self.token_ends - RENEW_BEFORE_SECONDS

    def exchange(self, call: Call[T]) -> Exchange[T]:
        """Carries a call through: sent, repeated where that is safe, and its answer read; of a stream the answer."""
        deadline = time.monotonic() + self.retry_seconds
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            logs_in = isinstance(self.credentials, Login) and not call.anonymous
            if logs_in and self.needs_renewal():
                yield Renew(self.token)
            used = self.token
            try:
                response = yield Send(self.request(call), streams=call.quiet_seconds is not None)
                return self._read(call, response)
            except UnauthenticatedError:
                # A request that was refused like this has done nothing.
                if not logs_in or renewed:
                    raise
                renewed = True
                yield Renew(used)
            except UntrustedError:
                raise
            except (UnreachableError, TooManyRequestsError, UnavailableError) as error:
                pause = pause_after(attempt, getattr(error, "retry_after", None))
                safe = call.repeatable or getattr(error, "certainly_not_done", False)
                if not safe or time.monotonic() + pause > deadline:
                    raise
                yield Pause(pause)

    def log_in(self) -> Exchange[None]:
        """Gets a token for the name and the password."""
        from wfm.operations.auth import login

        if not isinstance(self.credentials, Login):
            return
        asked = time.monotonic()
        answer: TokenAnswer = yield from self.exchange(login(self.credentials.request()))
        self.token = answer.access_token
        self.token_ends = asked + answer.expires_in

    def request(self, call: Call[Any]) -> httpx.Request:
        """The call as it goes over the wire."""
        names = {name: quote(str(value), safe="") for name, value in call.path.items()}
        template = call.template
        if template.startswith(PREFIX):
            template = self.prefix + template.removeprefix(PREFIX)
        headers = {**self.headers, **call.headers}
        if not call.anonymous and self.credentials is not None:
            headers |= self.credentials.headers(self.token)
        content = None
        if call.body is not None:
            content = as_json(call.body)
            headers["Content-Type"] = "application/json"
        timeouts = self.timeout.as_dict()
        if call.quiet_seconds is not None:
            timeouts["read"] = call.quiet_seconds
        return httpx.Request(
            call.method,
            self.base_url.join(template.format(**names)),
            params={name: _parameter(value) for name, value in call.query.items() if value is not None},
            headers=headers,
            content=content,
            extensions={"timeout": timeouts},
        )

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        if not response.is_success and response.status_code not in call.answers:
            raise problem_of(response, retry_after(response.headers.get("Retry-After")))
        if call.quiet_seconds is not None:
            if response.status_code != 204 and not tells_events(response):
                raise UnexpectedAnswerError(response.status_code, _something_else(response))
            return response  # type: ignore[return-value]  # a stream is read by whoever opened it
        if call.reads is None:
            return None  # type: ignore[return-value]  # T is None here
        try:
            value = json.loads(response.content)
            if not issubclass(call.reads, BaseModel):
                raise TypeError(call.reads)
            return call.reads.model_validate(value)
        except (ValueError, ValidationError):
            raise UnexpectedAnswerError(response.status_code, _something_else(response)) from None


def tells_events(response: httpx.Response) -> bool:
    """Whether an answer is a stream of events."""
    return response.status_code == 200 and response.headers.get("Content-Type", "").startswith("text/event-stream")


def _something_else(response: httpx.Response) -> str:
    return f"{response.request.url} answered {response.status_code} with something else than this API gives"


def as_json(body: Body) -> bytes:
    """A body as it is sent; of a model what was given, so that the server's defaults hold for the rest."""
    value = body.model_dump(mode="json", exclude_unset=True) if isinstance(body, BaseModel) else body
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False).encode()


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} {value!r} cannot be sent as JSON")


def unreachable(error: httpx.RequestError, url: httpx.URL) -> UnreachableError:
    """The error for a request that got no answer."""
    address = f"{url.scheme}://{url.netloc.decode()}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        why = f"{address}: its certificate is not trusted ({error}); give the file of its authority as CA file"
        return UntrustedError(why, certainly_not_done=True)
    never_sent = isinstance(error, _NEVER_SENT)
    why = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    left_open = "" if never_sent else "; whether it was done is not known"
    return UnreachableError(f"{address}: {why}{left_open}", certainly_not_done=never_sent)


def retry_after(value: str | None) -> float | None:
    """The seconds that ``Retry-After`` asks for, given as a number or as a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def pause_after(attempt: int, asked: float | None) -> float:
    """As long as the server asks for; else longer each time, by a random part shorter, so that callers spread."""
    grown = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 10))
    return float(asked if asked is not None else 0) + grown * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _parameter(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
