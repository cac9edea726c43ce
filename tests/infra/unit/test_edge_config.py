"""The edge's configuration as text; what it does is seen in the images' ring."""

import re

import pytest

from infra.edge.nginx_config import render
from service import openapi
from service.platform.drain import DRAIN_SECONDS
from stacks.model import EDGE_KEEPS_SECONDS
from stacks.parts.edge import Edge, EdgeLimits

pytestmark = pytest.mark.ring("unit")


def _rendered(**values: object) -> str:
    return render(Edge.model_validate(values), api_port=8000, api_prefix="/api/v1")


def test_every_place_of_the_template_is_filled() -> None:
    assert re.findall(r"@[A-Z_]+@", _rendered()) == []


def test_braces_are_balanced() -> None:
    for maintenance in (False, True):
        text = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", _rendered(maintenance=maintenance))
        assert text.count("{") == text.count("}")


@pytest.mark.item("tls-public-endpoints")
def test_the_api_is_verified_by_name_and_authority() -> None:
    text = _rendered()
    assert re.search(r"^ *proxy_ssl_verify on;$", text, re.MULTILINE)
    assert re.search(r"^ *proxy_ssl_name api;$", text, re.MULTILINE)
    assert re.search(r"^ *ssl_protocols TLSv1\.2 TLSv1\.3;$", text, re.MULTILINE)
    assert "http://api" not in text


@pytest.mark.item("https-enforced")
@pytest.mark.parametrize(
    ("port", "expected"), [(443, "https://$host$request_uri"), (30443, "https://$host:30443$request_uri")]
)
def test_visitors_are_sent_to_the_published_port(port: int, expected: str) -> None:
    assert f"return 308 {expected};" in _rendered(published_port=port)


def test_the_life_of_hsts_is_the_described_one() -> None:
    lives = re.findall(
        r'Strict-Transport-Security "max-age=(\d+); includeSubDomains" always;', _rendered(hsts_seconds=60)
    )
    assert set(lives) == {"60"}


@pytest.mark.item("flood-protection")
def test_the_limits_are_the_described_ones() -> None:
    text = _rendered(limits=EdgeLimits(requests_per_second=7, burst=9, connections=11), body_limit=3, answer_seconds=44)
    assert "rate=7r/s;" in text
    assert "burst=9 nodelay;" in text
    assert "limit_conn connections 11;" in text
    assert "client_max_body_size 3m;" in text
    assert "proxy_read_timeout 44s;" in text


@pytest.mark.item("maintenance-mode")
def test_maintenance_closes_business_and_leaves_health_open() -> None:
    text = _rendered(maintenance=True)
    business = text.split("location /api/v1/ {")[1].split("}\n")[0]
    assert "proxy_pass" not in business
    assert text.count("proxy_pass https://api;") == 2, "health and readiness"


def test_connections_to_the_api_are_given_up_before_a_replica_leaves() -> None:
    upstream = _rendered().split("upstream api {")[1].split("}")[0]
    idle, life = (
        int(found[1]) for name in ("timeout", "time") if (found := re.search(rf"keepalive_{name} (\d+)s;", upstream))
    )
    assert idle < DRAIN_SECONDS
    assert life <= EDGE_KEEPS_SECONDS


def test_events_of_runs_are_passed_on_as_they_come() -> None:
    (path,) = [path for path in openapi.document()["paths"] if path.endswith("/events")]
    place = re.search(r"location ~ (\S+) \{([^}]+)\}", _rendered())
    assert place is not None
    assert re.search(place[1], path.replace("{run_id}", "01a20245-580a-721f-b174-27897f913689"))
    assert "proxy_buffering off;" in place[2]
    assert "proxy_read_timeout 1h;" in place[2], "longer than a stream lasts"
