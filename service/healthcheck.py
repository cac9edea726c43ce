"""The containers' health check: ``python -m service.healthcheck [--ca FILE] URL`` exits 0 on a 200, else 1.

An https address must prove itself by the certificates of FILE, or by the system's. Standard library only, so that it
starts quickly and works even when the service's own packages do not.
"""

import ssl
import sys
import urllib.error
import urllib.request

ANSWER_SECONDS = 8
"""Below the ten seconds that the documented health check allows the whole command."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object) -> None:
        return None


def main(arguments: list[str]) -> int:
    """Ask the one URL that is given; the exit code is the verdict, a line on standard error the reason."""
    authority = None
    if len(arguments) == 3 and arguments[0] == "--ca":
        authority, arguments = arguments[1], arguments[2:]
    if len(arguments) != 1 or not arguments[0].startswith(("http://", "https://")):
        sys.stderr.write("usage: python -m service.healthcheck [--ca FILE] https://localhost:8000/health\n")
        return 1
    try:
        context = ssl.create_default_context(cafile=authority)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect
        )
        with opener.open(arguments[0], timeout=ANSWER_SECONDS) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no answer from {arguments[0]}: {getattr(error, 'reason', error)}\n")
        return 1
    if status != 200:
        sys.stderr.write(f"{arguments[0]} answered {status}, expected 200\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
