"""Headers that tell browsers to be careful with what the API answers."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.middleware.answer_start import before_start

_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", _POLICY),
)
_ENCRYPTED_HEADERS = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000; includeSubDomains"))


class SecurityHeadersMiddleware:
    """Adds the headers to every answer; one that is set already stays."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        add = _add_encrypted if scope["scheme"] == "https" else _add
        await self.app(scope, receive, before_start(scope, send, add))


def _add(message: Message, wanted: Sequence[tuple[bytes, bytes]] = _HEADERS) -> None:
    headers = message["headers"]
    present = dict(headers)
    headers += [header for header in wanted if header[0] not in present]


def _add_encrypted(message: Message) -> None:
    _add(message, _ENCRYPTED_HEADERS)
