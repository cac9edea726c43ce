"""The operator's commands: an administrator is made, what is wrong is told, letters are put back."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service import cli
from service.auth.create_admin import RefusedError, create_admin, read_password
from service.auth.password_rule import weakness
from service.auth.passwords import fits
from service.health import checkup
from service.health.checkup import check
from service.migrations.revisions import newest_revision
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, users
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("service")

GOOD = "tr0ub4dor&Zx9-quilted"


@pytest.mark.parametrize("password", ["", "short", "password1234", "aaaaaaaaaaaaaaaa", "abcdefghijklmnop"])
@pytest.mark.ring("unit")
def test_a_password_that_is_short_or_easily_guessed_is_weak(password: str) -> None:
    found = weakness(password, "ada")
    assert found is not None
    assert not password or password not in found


@pytest.mark.ring("unit")
def test_a_password_that_is_the_name_is_weak() -> None:
    assert "is the name" in str(weakness(GOOD, GOOD.upper()))
    assert weakness(GOOD, "ada") is None


async def test_an_administrator_is_made_with_a_fitting_password_and_an_audit_entry(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    made = await create_admin(api_settings, "ada", GOOD)
    async with transaction(engine) as connection:
        user = (await connection.execute(select(users))).one()
        entry = (await connection.execute(select(audit_log))).one()
    assert (made["id"], made["role"], user.role) == (str(user.id), "admin", "admin")
    assert fits(GOOD, user.password_hash)
    assert (entry.action, entry.subject_id, entry.actor) == ("user.create", str(user.id), "command:create-admin")
    assert GOOD not in str(entry.detail)


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("ada", GOOD, "already"),
        ("eve", "weak", "12 or more"),
        (" eve", GOOD, "the name"),
        ("", GOOD, "the name"),
        ("eve\n", GOOD, "the name"),
        ("eve", GOOD * 100, "at most"),
    ],
)
async def test_what_is_refused_changes_nothing(
    engine: AsyncEngine, api_settings: Settings, name: str, password: str, why: str
) -> None:
    await create_admin(api_settings, "ada", GOOD)
    with pytest.raises(RefusedError, match=why):
        await create_admin(api_settings, name, password)
    async with transaction(engine) as connection:
        assert len((await connection.execute(select(users))).all()) == 1
        assert len((await connection.execute(select(audit_log))).all()) == 1


@pytest.mark.ring("unit")
def test_the_password_is_read_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(GOOD + "\n")
    assert read_password(tmp_path / "password", from_stdin=False) == GOOD
    with pytest.raises(RefusedError, match="cannot be read"):
        read_password(tmp_path / "absent", from_stdin=False)


@pytest.mark.ring("unit")
def test_a_password_on_the_command_line_is_not_taken() -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["create-admin", "ada", "--password", GOOD])
    assert ended.value.code == 2


@pytest.mark.ring("unit")
@pytest.mark.parametrize(
    "arguments",
    [["requeue"], ["requeue", "--reason", "unreadable"], ["requeue", "no-id"], ["requeue", "--all", "0" * 32]],
)
def test_requeue_wants_ids_or_all(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2


@pytest.mark.ring("unit")
@pytest.mark.parametrize("command", ["create-admin", "check", "requeue"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.ring("unit")
def test_check_tells_wrong_settings_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("KAFKA_BROKERS", "nowhere:1")
    assert cli.main(["check", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], [each["name"] for each in told["checks"]]) == (False, ["settings"])
    assert "DATABASE_URL is not set" in told["checks"][0]["detail"]


async def test_everything_is_found_right_where_it_is(settings: Settings) -> None:
    found = await check(settings)
    assert [(each.name, each.passed) for each in found] == [
        ("database", True),
        ("schema", True),
        ("partitions", True),
        ("kafka", True),
        ("topics", True),
        ("agents", True),
    ]
    assert newest_revision() in found[1].detail


async def test_what_is_not_as_it_must_be_is_named(engine: AsyncEngine, settings: Settings) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    absent = settings.model_copy(update={"kafka_cancellation_topic": "absent.topic"})
    found = {each.name: each for each in await check(absent)}
    assert [name for name, each in found.items() if not each.passed] == ["schema", "topics"]
    assert "at revision 0001" in found["schema"].detail
    assert "absent.topic" in found["topics"].detail
    assert settings.kafka_execution_topic not in found["topics"].detail


@pytest.mark.ring("unit")
async def test_what_is_away_is_told_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "CHECK_SECONDS", 1.0)
    away: dict[str, Any] = {
        each.name: each for each in await check(make_settings("postgresql://u:s3cret@127.0.0.1:9/d"))
    }
    assert [name for name, each in away.items() if each.passed] == ["agents"], "what needs no connection"
    assert not any("s3cret" in each.detail for each in away.values())
