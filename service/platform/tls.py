"""TLS of the service's own HTTP servers, with a certificate that may be exchanged while they run."""

import ssl
from pathlib import Path

from service.platform.logging import get_logger
from service.platform.settings import InvalidSettingsError, Settings

log = get_logger(__name__)

_Seen = tuple[tuple[int, int, int], ...]


class _Identity:
    """A certificate with its key, read again when the files have changed.

    It is asked in every handshake, so an exchanged file counts from the next connection on and no connection is cut.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._look()
        self._context = self._load()

    def server_context(self) -> ssl.SSLContext:
        """The context to serve with; it hands every handshake over to the newest one."""
        context = self._load()
        context.sni_callback = self._choose
        return context

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        try:
            seen = self._look()
            if seen != self._seen:
                self._context = self._load()
                self._seen = seen
                log.info("The TLS certificate was read again", certificate=str(self._files[0]))
        except (OSError, ssl.SSLError) as error:
            # In the middle of an exchange key and certificate may not fit together; the next handshake looks again.
            log.warning("The new TLS certificate cannot be used yet", reason=str(error))
        connection.context = self._context

    def _look(self) -> _Seen:
        found = (file.stat() for file in self._files)
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context


def reloading_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context; raises OSError or ssl.SSLError when the files cannot be used now."""
    return _Identity(certificate, key).server_context()


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """The context by TLS_CERT_FILE and TLS_KEY_FILE, None where they are not set: then it is plain HTTP.

    Raises InvalidSettingsError when the files cannot be used.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    try:
        return reloading_context(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise InvalidSettingsError(
            f"TLS_CERT_FILE {settings.tls_cert_file} with TLS_KEY_FILE {settings.tls_key_file} cannot be used: {reason}"
        ) from None
