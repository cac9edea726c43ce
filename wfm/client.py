"""The two clients. What they do is in ``session`` and ``operations``; here it is sent, awaited or not."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx

from wfm import parts, trust
from wfm.calls import Call, Flow, Paged, Pause, page_after
from wfm.credentials import Credentials, chosen
from wfm.drive import run, run_async
from wfm.errors import UnreachableError
from wfm.events import LiveEvent
from wfm.following import Following
from wfm.session import PREFIX, Exchange, Renew, Send, Session, tells_events, unreachable

T = TypeVar("T")
S = TypeVar("S")

USER_AGENT = "wfm/1.0"
CONNECT_SECONDS = 5.0


class _Client:
    """What both clients are made of."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | Path | None = None,
        insecure: bool = False,
        timeout: float = 30.0,
        retry_seconds: float = 30.0,
        prefix: str = PREFIX,
        api_key_header: str = "X-API-Key",
        user_agent: str = USER_AGENT,
        transport: Any = None,
    ) -> None:
        """The API at an address such as ``https://workflow.example``.

        ``timeout`` bounds each wait for the server, ``retry_seconds`` the time during which one request is tried again.
        ``ca_file`` names the authorities to believe. ``transport`` replaces the network, for tests.
        """
        address = _address(url, prefix)
        if timeout <= 0 or retry_seconds < 0:
            raise ValueError("timeout must be more than 0 seconds, and retry_seconds not less than 0")
        credentials: Credentials | None = chosen(api_key, api_key_header, token, username, password)
        self.session = Session(
            base_url=address,
            credentials=credentials,
            headers={"User-Agent": user_agent, "Accept": "application/json, application/problem+json"},
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            retry_seconds=retry_seconds,
            prefix=prefix,
        )
        # Without TLS there is nothing to verify, and to read the system's authorities takes its time.
        verified = address.scheme == "https" and transport is None
        verify = trust.context(ca_file, insecure=insecure) if verified else True
        # Redirects are not followed: credentials go to the given address only.
        self._open({"verify": verify, "transport": transport, "follow_redirects": False})

    def _open(self, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def _open_events(self, following: Following) -> Exchange[httpx.Response]:
        return self.session.exchange(cast("Call[httpx.Response]", following.opening()))

    def _renewal_is_due(self, renew: Renew) -> bool:
        """Not so when somebody else got a new token while this one waited for its turn."""
        return self.session.token == renew.stale or self.session.needs_renewal()


def _address(url: str, prefix: str) -> httpx.URL:
    try:
        found = httpx.URL(url.rstrip("/").removesuffix(prefix))
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host or found.path not in ("", "/") or found.userinfo:
        raise ValueError("the URL must be like https://workflow.example or http://127.0.0.1:8000")
    return found


class WorkflowClient(_Client):
    """The API for programs that wait for each answer. Use it with ``with``; threads may share one."""

    def _open(self, options: dict[str, Any]) -> None:
        self._http = httpx.Client(**options)
        self._renewing = threading.Lock()
        self.agents = parts.Agents(self)
        self.audit = parts.Audit(self)
        self.auth = parts.Auth(self)
        self.dead_letters = parts.DeadLetters(self)
        self.health = parts.Health(self)
        self.keys = parts.Keys(self)
        self.runs = parts.Runs(self)
        self.schedules = parts.Schedules(self)
        self.webhooks = parts.Webhooks(self)
        self.workflows = parts.Workflows(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Carries a call through and gives what it reads."""
        return run(self.session.exchange(call), self._do)

    def follow(self, flow: Flow[T]) -> T:
        """Carries several calls through, one after another."""
        return run(flow, lambda step: time.sleep(step.seconds) if isinstance(step, Pause) else self.send(step))

    def items(self, call: Call[Paged[S]]) -> Iterator[S]:
        """The items of a list, page by page."""
        following: Call[Paged[S]] | None = call
        while following is not None:
            page = self.send(following)
            yield from page.items
            following = page_after(following, page)

    def events(self, following: Following) -> Generator[LiveEvent, None, None]:
        """The events of a run as they come, over as many connections as it takes."""
        while not following.is_over:
            error: UnreachableError | None = None
            response = run(self._open_events(following), self._do)
            try:
                yield from following.opened(response)
                for chunk in response.iter_bytes():
                    yield from following.read(chunk)
                    if following.is_over:
                        break
            except httpx.RequestError as cut:
                error = unreachable(cut, response.request.url)
            finally:
                response.close()
            time.sleep(following.cut(error, self.session.retry_seconds))

    def _do(self, step: Send | Pause | Renew) -> httpx.Response | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if isinstance(step, Renew):
            with self._renewing:
                if self._renewal_is_due(step):
                    run(self.session.log_in(), self._do)
            return None
        try:
            response = self._http.send(step.request, stream=step.streams)
            if step.streams and not tells_events(response):
                response.read()
        except httpx.RequestError as error:
            raise unreachable(error, step.request.url) from error
        return response


class AsyncWorkflowClient(_Client):
    """The API for asyncio. Use it with ``async with``; tasks of one loop may share one."""

    def _open(self, options: dict[str, Any]) -> None:
        self._http = httpx.AsyncClient(**options)
        self._renewing = asyncio.Lock()
        self.agents = parts.AsyncAgents(self)
        self.audit = parts.AsyncAudit(self)
        self.auth = parts.AsyncAuth(self)
        self.dead_letters = parts.AsyncDeadLetters(self)
        self.health = parts.AsyncHealth(self)
        self.keys = parts.AsyncKeys(self)
        self.runs = parts.AsyncRuns(self)
        self.schedules = parts.AsyncSchedules(self)
        self.webhooks = parts.AsyncWebhooks(self)
        self.workflows = parts.AsyncWorkflows(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Carries a call through and gives what it reads."""
        return await run_async(self.session.exchange(call), self._do)

    async def follow(self, flow: Flow[T]) -> T:
        """Carries several calls through, one after another."""

        async def do(step: Call[Any] | Pause) -> Any:
            return await (asyncio.sleep(step.seconds) if isinstance(step, Pause) else self.send(step))

        return await run_async(flow, do)

    async def items(self, call: Call[Paged[S]]) -> AsyncIterator[S]:
        """The items of a list, page by page."""
        following: Call[Paged[S]] | None = call
        while following is not None:
            page = await self.send(following)
            for item in page.items:
                yield item
            following = page_after(following, page)

    async def events(self, following: Following) -> AsyncGenerator[LiveEvent, None]:
        """The events of a run as they come, over as many connections as it takes."""
        while not following.is_over:
            error: UnreachableError | None = None
            response = await run_async(self._open_events(following), self._do)
            try:
                for event in following.opened(response):
                    yield event
                async for chunk in response.aiter_bytes():
                    for event in following.read(chunk):
                        yield event
                    if following.is_over:
                        break
            except httpx.RequestError as cut:
                error = unreachable(cut, response.request.url)
            finally:
                await response.aclose()
            await asyncio.sleep(following.cut(error, self.session.retry_seconds))

    async def _do(self, step: Send | Pause | Renew) -> httpx.Response | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        if isinstance(step, Renew):
            async with self._renewing:
                if self._renewal_is_due(step):
                    await run_async(self.session.log_in(), self._do)
            return None
        try:
            response = await self._http.send(step.request, stream=step.streams)
            if step.streams and not tells_events(response):
                await response.aread()
        except httpx.RequestError as error:
            raise unreachable(error, step.request.url) from error
        return response
