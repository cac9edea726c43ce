"""Operations of the API that the client does not have, each with the reason; a test refuses any other gap."""

from collections.abc import Mapping

LEFT_OUT: Mapping[str, str] = {}
"""By method and path as in the API's document: ``{"GET /api/v1/x/stream": "a stream, not one answer"}``."""
