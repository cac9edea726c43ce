"""The form by which somebody decides with data, and what it says about what was typed wrongly."""

import re
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from markupsafe import escape
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction
from service.platform.tables import run_steps, signals
from tests.service.console_support import add_agent, add_people, add_question, add_run, add_workflow, visiting

pytestmark = pytest.mark.ring("service")


@pytest.fixture
async def asking(engine: AsyncEngine) -> UUID:
    """A run whose step waits for a decision."""
    await add_people(engine)
    await add_agent(engine)
    run_id = await add_run(engine, await add_workflow(engine, "orders"), "waiting")
    await add_question(engine, run_id)
    return run_id


async def _outputs(engine: AsyncEngine) -> list[Any]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(signals.c.output))).scalars())


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ('{"limit": 7,\r\n "to": ["Ada"]}', {"limit": 7, "to": ["Ada"]}),
        ("[1, 2]", [1, 2]),
        ('"only words"', "only words"),
        ("false", False),
        (" \r\n", None),
        ("null", None),
    ],
)
async def test_data_is_handed_to_the_steps_after_it_whatever_json_it_is(
    text: str, data: Any, app: FastAPI, engine: AsyncEngine, asking: UUID
) -> None:
    async with visiting(app, "operator") as client:
        page = (await client.get(f"/console/runs/{asking}")).text
        assert re.search(r'<textarea[^>]* name="data"', page)
        form = {"outcome": "approve", "comment": "Yes.", "data": text}
        answer = await client.post(f"/console/runs/{asking}/steps/check/signal", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/console/runs/{asking}?done=approve")
    [output] = await _outputs(engine)
    assert (output["approved"], output["comment"], output["data"]) == (True, "Yes.", data)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("data", '{"limit": ', "is no JSON: Expecting value in line 1, column 11"),
        ("data", '{"limit": NaN}', "is no JSON: NaN is no value of JSON"),
        ("data", "[" * 5000, "may nest arrays and objects 64 times at most"),
        ("comment", "x" * 2001, "String should have at most 2000 characters"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field_and_what_was_typed_is_kept(
    field: str, text: str, said: str, app: FastAPI, engine: AsyncEngine, asking: UUID
) -> None:
    form = {"outcome": "reject", "comment": "Too dear.", "data": '{"kept": 1}', field: text}
    async with visiting(app, "operator") as client:
        answer = await client.post(f"/console/runs/{asking}/steps/check/signal", data=form)
    assert answer.status_code == 422
    assert f'<p class="wrong" id="wrong-{field}-check">{said}</p>' in answer.text
    [area] = re.findall(rf'<textarea[^>]* name="{field}"[^>]*>', answer.text)
    assert f'aria-invalid="true" aria-describedby="wrong-{field}-check" autofocus' in area
    assert answer.text.count("autofocus") == 1
    for each in ("comment", "data"):
        assert f">\n{escape(form[each])}</textarea>" in answer.text, each
    assert "Ship it? &lt;script&gt;" in answer.text
    assert await _outputs(engine) == []
    async with transaction(engine) as connection:
        assert (await connection.execute(select(run_steps.c.status))).scalars().all() == ["waiting"]


async def test_data_that_the_database_cannot_store_is_refused_on_the_form(
    app: FastAPI, engine: AsyncEngine, asking: UUID
) -> None:
    form = {"outcome": "approve", "data": '"\\u0000"'}
    async with visiting(app, "operator") as client:
        answer = await client.post(f"/console/runs/{asking}/steps/check/signal", data=form)
    assert (answer.status_code, "cannot be stored" in answer.text) == (422, True)
    assert "&#34;\\u0000&#34;</textarea>" in answer.text
    assert await _outputs(engine) == []


async def test_the_form_alone_is_there_until_somebody_has_decided(
    app: FastAPI, engine: AsyncEngine, asking: UUID
) -> None:
    page = f"/console/runs/{asking}/steps/check/signal"
    async with visiting(app, "operator") as client:
        assert f'action="{page}"' in (await client.get(page)).text
        await client.post(page, data={"outcome": "approve"})
        decided = await client.get(page)
        assert ("Decided by" in decided.text, f'action="{page}"' in decided.text) == (True, False)
        late = await client.post(page, data={"outcome": "reject", "data": "{}"})
        assert (late.status_code, "the first decision counts" in late.text) == (409, True)
        assert (await client.get(f"/console/runs/{asking}/steps/read/signal")).status_code == 404
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(signals)) == 1


async def test_a_decision_that_nobody_waits_for_any_more_is_refused_with_the_reason(
    app: FastAPI, engine: AsyncEngine, asking: UUID
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(run_steps.update().values(status="completed", waits=None))
    async with visiting(app, "operator") as client:
        answer = await client.post(
            f"/console/runs/{asking}/steps/check/signal", data={"outcome": "approve", "data": "{}"}
        )
    assert (answer.status_code, "it waits for no decision" in answer.text) == (409, True)
    assert f'href="/console/runs/{asking}"' in answer.text
