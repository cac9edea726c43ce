"""The figures of the repository's host as its image serves them: over TLS, to callers with a certificate only."""

from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from infra.postgres.names import BACKUP_FIGURES_PORT, BACKUPS
from tests.images.containers import wait_until
from tests.images.postgres_cluster import Cluster, cluster

pytestmark = pytest.mark.ring("images")

CALL = f"""
import ssl, sys, urllib.request
own = "/config/secrets/"
context = ssl.create_default_context(cafile=own + "ca.crt")
if "anonymous" not in sys.argv:
    context.load_cert_chain(own + "tls.crt", own + "tls.key")
print(urllib.request.urlopen("https://{BACKUPS}:{BACKUP_FIGURES_PORT}" + sys.argv[1], context=context).read().decode())
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Cluster]:
    """A repository's host without a database, so without a backup."""
    with cluster() as made:
        made.backups()
        yield made


def call(client: Container, *arguments: str) -> tuple[int, str]:
    code, said = client.exec_run(["python3", "-c", CALL, *arguments])
    return int(code), said.decode(errors="replace")


@pytest.mark.item("backup-automated-running")
def test_a_repository_without_a_backup_says_so(host: Cluster) -> None:
    client = host.client("prometheus")
    wait_until(lambda: call(client, "/metrics")[0] == 0, "the figures")
    _, said = call(client, "/metrics")
    assert "backup_repository_ok 0" in said.splitlines()
    assert "backup_newest_end_seconds{" not in said


@pytest.mark.item("api-intended-channels-only")
def test_who_has_no_certificate_of_the_stack_is_not_let_in(host: Cluster) -> None:
    known, stranger = host.client("prometheus"), host.client("prometheus", host.foreign)
    wait_until(lambda: call(known, "/metrics")[0] == 0, "the figures")
    assert call(known, "/metrics", "anonymous")[0] != 0
    assert call(stranger, "/metrics")[0] != 0
    assert "404" in call(known, "/")[1]
