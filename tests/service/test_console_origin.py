"""What another site's page could try with a session of the console: to send a form, or to lead the log-in elsewhere."""

from collections.abc import Callable
from typing import Any

import pytest

from service.app import create_app
from service.console.session import way_back
from service.platform.ids import new_id
from tests.service.support import make_settings, plain_client

pytestmark = pytest.mark.ring("unit")

SITES: list[tuple[dict[str, str], bool]] = [
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, True),
    ({"Origin": "http://testserver"}, True),
    ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Origin": "http://elsewhere"}, False),
    ({"Origin": "http://testserver:81"}, False),
    ({"Origin": "http://testserver.elsewhere"}, False),
    ({"Origin": "null"}, False),
    ({}, False),
]
CHANGES = [
    "/console/login",
    "/console/logout",
    "/console/runs/{id}/cancel",
    "/console/runs/{id}/steps/a/signal",
    "/console/workflows/{id}/execute",
    "/console/webhooks/new",
    "/console/webhooks/{id}/change",
    "/console/webhooks/{id}/delete",
    "/console/webhooks/{id}/rotate-secret",
    "/console/webhooks/{id}/deliveries/{id}/redeliver",
]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(("headers", "taken"), SITES, ids=str)
async def test_a_change_is_taken_only_from_a_page_of_the_console(
    path: str, headers: dict[str, str], taken: bool
) -> None:
    """Without a session what is taken leads to the log-in page, so nothing more is needed to tell the two apart."""
    app = create_app(make_settings("postgresql://u@h/d"))
    app.state.service = _NoSession()
    async with plain_client(app) as client:
        answer = await client.post(path.format(id=new_id()), headers=headers, content=b"")
    assert (answer.status_code == 403 and "not sent by a page of the console" in answer.text) is not taken


class _NoSession:
    """As much of a process' parts as a request without a session meets."""

    settings = make_settings("postgresql://u@h/d")
    callers = None

    class patience:  # noqa: N801 - stands for an attribute
        """Tries once."""

        @staticmethod
        async def repeat(work: Callable[[], Any]) -> Any:
            """Do the work."""
            return await work()


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/console/runs/1?x=%2F&y=a-b", "/console/runs/1?x=%2F&y=a-b"),
        ("/console/audit", "/console/audit"),
        ("", "/console/runs"),
        ("https://elsewhere/console/runs", "/console/runs"),
        ("//elsewhere/console", "/console/runs"),
        ("/console//elsewhere", "/console//elsewhere"),
        ("/console\\elsewhere", "/console/runs"),
        ("/console@elsewhere", "/console/runs"),
        ("/console.elsewhere", "/console/runs"),
        ("/consolelsewhere", "/console/runs"),
        ("/console/runs\r\nSet-Cookie: x=y", "/console/runs"),
        ("/console/runs\n", "/console/runs"),
        ("/console/login?next=/console/login", "/console/runs"),
        ("/console/logout", "/console/runs"),
        ("javascript:alert(1)", "/console/runs"),
    ],
)
def test_a_log_in_leads_only_to_pages_of_the_console(wanted: str, page: str) -> None:
    assert way_back(wanted) == page
