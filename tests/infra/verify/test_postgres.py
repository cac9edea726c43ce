"""The database: reachable with the programs' own credentials, at the image's revision, and sound."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from service.platform.tables import metadata
from tests.infra.support import schema_inside
from tests.infra.support.database_url import DatabaseUrl

pytestmark = pytest.mark.ring("verify")

SLOWEST_MEAN = 500.0  # milliseconds
SALTED_HASH = re.compile(r"^\$(argon2id?|2[aby])\$")


@pytest.fixture(scope="module")
def schema(in_api: Callable[..., str]) -> dict[str, Any]:
    """Migrations, models and live schema compared inside the deployed image."""
    return dict(json.loads(in_api(schema_inside.SOURCE)))


@pytest.mark.item("postgres-reachable")
def test_every_program_reaches_the_database_with_its_own_credentials(connections: dict[str, dict[str, str]]) -> None:
    unreachable = {part: said["database"] for part, said in connections.items() if said["database"]}
    assert connections
    assert not unreachable


@pytest.mark.item("database-url-set", "database-url-matches-provisioned")
@pytest.mark.target("docker", why="on a cluster each program has a login of its own, see kubernetes/test_database.py")
def test_every_program_has_a_full_database_url_of_the_provisioned_server(
    database_urls: dict[str, DatabaseUrl], environment: Callable[[str], dict[str, str]]
) -> None:
    server = environment("postgres")
    for part, url in database_urls.items():
        wanted = ("postgresql", "postgres", 5432, server["POSTGRES_USER"], server["POSTGRES_DB"], True)
        assert url.place == wanted, part


@pytest.mark.item("postgres-reachable")
def test_the_application_is_no_superuser(psql: Callable[[str], str], logins: list[str]) -> None:
    for user in logins:
        row = psql(f"select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = '{user}'")  # noqa: S608
        assert row == "f|f|f", user


@pytest.mark.item("postgres-reachable")
def test_passwords_are_stored_and_asked_for_by_scram(psql: Callable[[str], str]) -> None:
    assert psql("show password_encryption") == "scram-sha-256"
    weak = psql(
        "select type, database, user_name, auth_method from pg_hba_file_rules"
        " where auth_method in ('trust', 'md5', 'password')"
    )
    assert weak == ""


@pytest.mark.item("migrations-applied", "image-ships-migrations")
def test_the_database_is_at_the_one_head_of_the_images_migrations(schema: dict[str, Any]) -> None:
    assert len(schema["heads"]) == 1, f"the image's migrations have the heads {schema['heads']}"
    assert schema["current"] == schema["heads"]


@pytest.mark.item("schema-verified")
def test_the_live_schema_equals_the_models(schema: dict[str, Any]) -> None:
    assert schema["differences"] == []


@pytest.mark.item("indexes-verified")
def test_every_declared_index_exists_and_is_valid(psql: Callable[[str], str]) -> None:
    rows = psql(
        "select c.relname, i.indisvalid and i.indisready from pg_index i join pg_class c on c.oid = i.indexrelid"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public'"
    )
    valid = dict(row.split("|") for row in rows.splitlines())
    declared = {str(index.name) for table in metadata.tables.values() for index in table.indexes}
    declared |= {str(table.primary_key.name) for table in metadata.tables.values()}
    assert declared, "the models declare no index"
    assert declared <= valid.keys(), f"missing: {sorted(declared - valid.keys())}"
    assert set(valid.values()) == {"t"}, f"invalid: {[name for name, sound in valid.items() if sound != 't']}"


@pytest.mark.item("data-integrity-checks")
def test_no_row_points_to_a_row_that_is_not_there(psql: Callable[[str], str]) -> None:
    checked = 0
    for table in metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            pairs = [(element.parent.name, element.column.name) for element in constraint.elements]
            same = " and ".join(f"child.{own} = parent.{other}" for own, other in pairs)
            given = " and ".join(f"child.{own} is not null" for own, _ in pairs)
            orphans = psql(
                f"select count(*) from {table.name} child where {given} and not exists"  # noqa: S608
                f" (select from {constraint.referred_table.name} parent where {same})"
            )
            assert orphans == "0", f"{table.name} has {orphans} rows without their {constraint.referred_table.name}"
            checked += 1
    assert checked
    assert psql("select count(*) from pg_constraint where not convalidated") == "0"


@pytest.mark.item("data-integrity-checks")
def test_the_database_keeps_checksums_of_its_pages(psql: Callable[[str], str]) -> None:
    assert psql("show data_checksums") == "on"
    assert psql("select coalesce(sum(checksum_failures), 0) from pg_stat_database") == "0"


@pytest.mark.item("default-admin-account-changed")
def test_stored_credentials_are_salted_hashes(psql: Callable[[str], str]) -> None:
    hashes = psql("select password_hash from users").splitlines()
    assert hashes, "there is no user"
    assert all(SALTED_HASH.match(stored) for stored in hashes)
    short = psql("select count(*) from api_keys where key_hash !~ '^[0-9a-f]{64}$'")
    assert short == "0", f"{short} API keys are not stored as a SHA-256"


@pytest.mark.item("query-performance")
def test_no_statement_of_the_application_is_slow_on_average(psql: Callable[[str], str], logins: list[str]) -> None:
    users = ", ".join(f"'{user}'" for user in logins)
    slow = psql(
        "select s.queryid, round(s.mean_exec_time::numeric, 1) from pg_stat_statements s"  # noqa: S608
        f" join pg_roles r on r.oid = s.userid where r.rolname in ({users}) and s.calls > 5"
        f" and s.mean_exec_time > {SLOWEST_MEAN} and s.query !~* '^(create|alter|copy|begin|commit)'"
    )
    assert slow == "", f"slow statements (id|mean ms): {slow}"


@pytest.mark.item("pool-not-exhausted")
def test_connections_stay_below_the_servers_limit(psql: Callable[[str], str]) -> None:
    used, limit = psql("select count(*), current_setting('max_connections') from pg_stat_activity").split("|")
    assert int(used) < int(limit) * 0.8, f"{used} of {limit} connections are in use"
