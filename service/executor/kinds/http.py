"""The kind that calls an HTTP service."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from service.executor.kinds.allowlist import AllowList, HostNotAllowedError
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.http_request import HttpSettings, OutgoingRequest, build_request

_REDIRECTS = (301, 302, 303, 307, 308)
_RETRYABLE_STATUSES = (408, 425, 429)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What may still be told to another origin after a redirect; anything else may be a credential.
_HARMLESS_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent", "x-correlation-id"})


class HttpAgent(Agent[HttpSettings]):
    """Calls a host of the allow-list and returns ``{"status", "headers", "json" or "text"}``.

    The address that was checked is the one that is connected to, so a name that changes its address between check and
    call does not help. Redirects are followed by hand, each hop checked like the first. An answer of 5xx, 408, 425 or
    429, a timeout and a broken connection may be tried again; any other answer from 400 on, and a redirect too many,
    may not.
    """

    kind = "http"
    settings_model = HttpSettings

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = AllowList(allowed_hosts)
        self._client: httpx.AsyncClient | None = None

    async def run(self, settings: HttpSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Send the request and read the answer; the settings' timeout covers all of it, redirects included."""
        request = build_request(settings, step_input, context)
        _identify(request, context)
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                return await self._follow(settings, request)
        except TimeoutError:
            detail = f"{_shown(request.url)} did not answer within {settings.timeout_seconds:g} s"
            raise StepFailedError("http-timeout", detail, retryable=True) from None
        except HostNotAllowedError as error:
            raise StepFailedError("http-host-not-allowed", str(error), retryable=False) from None
        except (httpx.TransportError, OSError) as error:
            detail = f"{_shown(request.url)} could not be called: {_reason(error)}"
            raise StepFailedError("http-connection", detail, retryable=True) from None
        except (httpx.InvalidURL, httpx.HTTPError, ValueError) as error:
            raise StepFailedError("http-request", f"{_shown(request.url)}: {error}", retryable=False) from None

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _follow(self, settings: HttpSettings, request: OutgoingRequest) -> dict[str, Any]:
        for _ in range(settings.max_redirects + 1):
            async with self._open(await self._checked(request)) as response:
                location = response.headers.get("location")
                if response.status_code in _REDIRECTS and location is not None:
                    _redirect(request, response.status_code, location)
                    continue
                body = await _read(response, settings.max_response_bytes)
            return _answer(request, response, body)
        detail = f"more than {settings.max_redirects} redirects, the last to {_shown(request.url)}"
        raise StepFailedError("http-redirects", detail, retryable=False)

    async def _checked(self, request: OutgoingRequest) -> httpx.Request:
        """The request addressed to the checked address of its host."""
        url, host, port = _parts(request.url)
        self._allowed.check_host(host, port)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            self._allowed.check_address(host, port, address)
        bracketed = f"[{host}]" if ":" in host else host
        shown_port = "" if port == _DEFAULT_PORTS[url.scheme] else f":{port}"
        return self._client_for_all().build_request(
            request.method,
            httpx.URL(request.url).copy_with(host=addresses[0], port=port),
            headers={**request.headers, "Host": f"{bracketed}{shown_port}"},
            content=request.content,
            extensions={"sni_hostname": host},
        )

    def _open(self, request: httpx.Request) -> "_Response":
        return _Response(self._client_for_all(), request)

    def _client_for_all(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=_tls(),
                # Proxies named by the environment would make the call from another place than the one checked.
                trust_env=False,
                timeout=None,  # noqa: S113 - run() bounds the whole exchange
                # Kept connections are found by address, and two hosts may share one: TLS was proven for only one.
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._client


class _Response:
    """A streamed answer that is closed at the end of its block."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        self._client, self._request = client, request

    async def __aenter__(self) -> httpx.Response:
        self._response = await self._client.send(self._request, stream=True, follow_redirects=False)
        return self._response

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=True)


def _identify(request: OutgoingRequest, context: StepContext) -> None:
    given = {name.lower() for name in request.headers}
    if "x-correlation-id" not in given and context.correlation_id.isprintable() and context.correlation_id.isascii():
        request.headers["X-Correlation-ID"] = context.correlation_id
    # The same for every attempt of this step, so that the called side can tell a repetition from a new order.
    if request.method not in _SAFE_METHODS and "idempotency-key" not in given:
        request.headers["Idempotency-Key"] = f"{context.run_id}:{context.step_id}"


def _parts(url: str) -> tuple[SplitResult, str, int]:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise HostNotAllowedError(f"{_shown(url)} is no http or https address")
    # The form that httpx connects by, so that what is checked is what is called.
    host = httpx.URL(url).raw_host.decode("ascii")
    return parts, host, parts.port or _DEFAULT_PORTS[parts.scheme]


def _redirect(request: OutgoingRequest, status: int, location: str) -> None:
    before, target = _parts(request.url), urljoin(request.url, location)
    after = _parts(target)
    if (before[0].scheme, *before[1:]) != (after[0].scheme, *after[1:]):
        kept = _HARMLESS_HEADERS - request.secret_headers
        request.headers = {name: text for name, text in request.headers.items() if name.lower() in kept}
    request.url = target
    if (status == 303 and request.method != "HEAD") or (status in (301, 302) and request.method == "POST"):
        request.drop_body()


async def _read(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            raise StepFailedError("http-too-large", f"the answer is larger than {limit} bytes", retryable=False)
    return bytes(body)


def _answer(request: OutgoingRequest, response: httpx.Response, body: bytes) -> dict[str, Any]:
    status = response.status_code
    if status >= 400:
        retryable = status >= 500 or status in _RETRYABLE_STATUSES
        detail = f"{request.method} {_shown(request.url)} was answered with {status}"
        raise StepFailedError("http-status", detail, retryable=retryable, retry_after=_retry_after(response))
    answer: dict[str, Any] = {"status": status, "headers": dict(response.headers)}
    if response.headers.get("content-type", "").partition(";")[0].strip().lower().endswith(("/json", "+json")) and body:
        try:
            return answer | {"json": json.loads(body)}
        except ValueError:
            pass  # said to be JSON and is not: the text tells more than a failure would
    try:
        return answer | {"text": body.decode(response.charset_encoding or "utf-8", errors="replace")}
    except LookupError:
        return answer | {"text": body.decode("utf-8", errors="replace")}


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _shown(url: str) -> str:
    """The URL without what may be secret in it: user, query, fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
