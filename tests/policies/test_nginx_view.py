"""nginx's configuration is read as nginx reads it."""

import pytest

from policies.view.nginx import parse

pytestmark = pytest.mark.ring("unit")

TEXT = """
# server { return 200; }
http {
    log_format x '{"a": 1; "b"}' "c";
    server {
        listen 8443 ssl;
        location / { return 404; }
        location /docs { proxy_pass http://a; }
        location = /docs { return 403; }
        location ~ ^/red(oc|ish)$ { proxy_pass http://b; }
        location ^~ /static/ { proxy_pass http://c; }
        location ~ \\.css$ { return 410; }
    }
}
"""


def _answer(path: str) -> tuple[str, ...] | None:
    (server,) = parse(TEXT).below("server")
    location = server.chosen(path)
    return next((each.words for each in location.inside), None) if location else None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/docs", ("403",)), ("/docs/more", ("http://a",)), ("/redoc", ("http://b",)), ("/other", ("404",)),
        ("/static/x.css", ("http://c",)), ("/x.css", ("410",)),
    ],
)  # fmt: skip
def test_a_location_is_chosen_as_nginx_does(path: str, words: tuple[str, ...]) -> None:
    assert _answer(path) == words


def test_comments_and_quotes_hold_no_blocks() -> None:
    (http,) = parse(TEXT).all("http")
    assert http.all("log_format")[0].words == ("x", '{"a": 1; "b"}', "c")
    assert len([*parse(TEXT).below("server")]) == 1
