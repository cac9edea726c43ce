"""Posts one delivery, only to where the operator lets the service call."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from service.executor.kinds.allowlist import HostNotAllowedError
from service.executor.kinds.http import HttpAgent
from service.executor.kinds.http_request import OutgoingRequest

ATTEMPT_SECONDS = 15.0
"""All of an attempt: name, connection, request and the first line of the answer."""

GONE = 410
_MOST_RETRY_AFTER = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt; without an error it is delivered."""

    status: int | None = None
    error: str | None = None
    retry_after: float = 0.0


class WebhookCaller(HttpAgent):
    """Calls as the http agent does: a host of HTTP_AGENT_ALLOWED_HOSTS, at the very address that was checked.

    Of the answer only status and headers are read. A redirect is no delivery, and is not followed.
    """

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post once; whatever goes wrong is in the outcome."""
        request = OutgoingRequest("POST", url, dict(headers), body)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                async with self._open(await self._checked(request)) as answer:
                    return _outcome(answer)
        except TimeoutError:
            return Outcome(error=f"no answer within {ATTEMPT_SECONDS:g} s")
        except HostNotAllowedError as error:
            return Outcome(error=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Outcome(error=f"{urlsplit(url).hostname} could not be called: {str(error) or type(error).__name__}")


def _outcome(answer: httpx.Response) -> Outcome:
    if answer.is_success:
        return Outcome(answer.status_code)
    text = answer.headers.get("retry-after", "").strip()
    asked = min(float(text), _MOST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
    what = "a redirect, which is not followed" if answer.is_redirect else "no success"
    return Outcome(answer.status_code, f"answered with {answer.status_code}, {what}", asked)
