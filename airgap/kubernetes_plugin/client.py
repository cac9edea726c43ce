"""Requests to one API server over pooled connections, and its errors in words for people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from airgap.provider.operation import ResourceError

from .credentials import Credentials
from .kubeconfig import Access

APPLY = "application/apply-patch+yaml"
_CONNECT_SECONDS = 5.0
_POOL = 64
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class UnreachableError(ResourceError):
    """No API server answers at the address."""


class ApiError(ResourceError):
    """The API server refused; `str()` is its message, `reason` its one-word reason, `causes` the details."""

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        details = status.get("details") or {}
        self.code = code
        self.reason = str(status.get("reason") or "")
        self.causes: list[Mapping[str, Any]] = details.get("causes") or []
        super().__init__(str(status.get("message") or f"the API server answered {code} {self.reason}").strip())

    @property
    def missing(self) -> bool:
        """Whether the thing asked for, or something that it needs, is not there."""
        return self.code == 404


class Client:
    """One API server. Nothing is opened before the first request; safe for use by many threads."""

    def __init__(self, access: Access, seconds: float = 30.0) -> None:
        import urllib3

        self.access = access
        self._credentials = Credentials(access)
        options: dict[str, Any] = {
            "maxsize": _POOL,
            "timeout": urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            # Every verb used here may be sent twice with the same effect, so an API server that is being restarted is
            # ridden out, for some ten seconds.
            "retries": urllib3.Retry(
                total=6, connect=5, backoff_factor=0.3, status_forcelist=(429, 502, 503, 504),
                allowed_methods=None, raise_on_status=False, redirect=0,
            ),
        }  # fmt: skip
        if access.server.startswith("https:"):
            options["ssl_context"] = self._credentials.tls()
            if access.server_name:
                options["server_hostname"] = options["assert_hostname"] = access.server_name
        if access.insecure:  # said in the kubeconfig; once more with each request would say nothing new
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        proxied = access.proxy
        self._pool: Any = urllib3.ProxyManager(proxied, **options) if proxied else urllib3.PoolManager(**options)

    def ping(self) -> None:
        """One quick look whether the API server is there and lets us in. Raises UnreachableError and ApiError."""
        self._request("GET", "/version", {}, retries=False)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object or list. Raises ApiError and UnreachableError, as all requests do."""
        return self._request("GET", path, query)

    def apply(
        self, path: str, body: Mapping[str, Any], warn: Callable[[str], None] = lambda line: None, **query: str
    ) -> dict[str, Any]:
        """Server-side apply; `warn` hears what the API server remarks (deprecations, pod security)."""
        return self._request("PATCH", path, query, body, APPLY, warn)

    def delete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a deletion; the object may be there for a while still."""
        return self._request("DELETE", path, {}, body, "application/json")

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        kind: str = "",
        warn: Callable[[str], None] = lambda line: None,
        **options: Any,
    ) -> dict[str, Any]:
        import urllib3

        headers = {"accept": "application/json", "user-agent": "pulumi-kubernetes", **self._credentials.headers()}
        if kind:
            headers["content-type"] = kind
        url = f"{self.access.server}{path}{'?' + urlencode(query) if query else ''}"
        payload = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, url, body=payload, headers=headers, **options)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(unreachable(self.access, _why(error))) from None
        for line in _WARNING.findall(", ".join(answer.headers.getlist("warning"))):
            warn(line.replace('\\"', '"'))
        return _checked(answer.status, answer.data, self.access)


def unreachable(access: Access, why: str) -> str:
    """The one line that says that the cluster is away."""
    return (
        f"the Kubernetes cluster at {access.server} does not answer ({why}); start it, or check the kubeconfig "
        f"({access.source}{f', context {access.context}' if access.context else ''})"
    )


def _checked(code: int, data: bytes, access: Access) -> dict[str, Any]:
    try:
        parsed = json.loads(data) if data else {}
    except ValueError:
        parsed = {"message": f"{access.server} answered {code}, but not as a Kubernetes API server does"}
        code = max(code, 400)
    found: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    if code == 401:
        raise ApiError(code, {"message": f"{access.server} does not accept the credentials in {access.source}"})
    if code >= 400:
        raise ApiError(code, found)
    return found


def _why(error: Exception) -> str:
    """The cause at the bottom of urllib3's wrappings, in a few words."""
    import urllib3

    inner: Any = error
    while getattr(inner, "reason", None) is not None and isinstance(inner.reason, Exception):
        inner = inner.reason
    refused = isinstance(inner, urllib3.exceptions.NewConnectionError)
    if isinstance(inner, urllib3.exceptions.ConnectTimeoutError) and not refused:
        return "no connection in time"
    if isinstance(inner, urllib3.exceptions.ReadTimeoutError):
        return "no answer in time"
    cause = inner.__cause__ or inner.__context__ or inner
    words = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or str(cause)
    return str(words).splitlines()[0] if str(words) else type(inner).__name__
