"""The console in a real browser, against the API as a process."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import runs, signals, webhooks
from tests.service.browser import chromium, visiting
from tests.service.console_support import (
    NASTY,
    PASSWORD,
    SCHEMA,
    add_agent,
    add_dead_letter,
    add_log,
    add_people,
    add_question,
    add_run,
    add_schedule,
    add_steps,
    add_workflow,
)
from tests.service.servers import eventually, free_port
from tests.service.support import NOBODY
from tests.service.webhook_support import add_deliveries, add_webhook

pytestmark = pytest.mark.ring("service")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = os.environ.get("CONSOLE_PICTURES")
"""A folder to put pictures of the pages into, for people to look at."""


DELIVERIES: dict[str, dict[str, Any]] = {
    "delivered": {"attempts": 1, "last_status": 204},
    "dead": {"attempts": 12, "last_status": 503, "last_error": "answered 503"},
    "pending": {"attempts": 2, "last_error": "no answer within 10 s"},
}


@dataclass(frozen=True)
class Site:
    """A running API and what it holds."""

    address: str
    engine: AsyncEngine
    workflow_id: UUID
    failed: UUID
    queued: UUID
    running: UUID
    waiting: UUID
    schedule_id: UUID
    letter: UUID
    webhook: UUID


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests."""
    async with chromium() as found:
        yield found


@contextmanager
def _process(settings: Settings, port: int, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    assert settings.jwt_secret is not None
    assert settings.webhook_secret is not None
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "KAFKA_BROKERS": NOBODY,
        "API_HOST": "127.0.0.1",
        "API_PORT": str(port),
        "RATE_LIMIT_REQUESTS": "0",
        "WEBHOOK_SECRET": settings.webhook_secret.get_secret_value(),
        "HTTP_AGENT_ALLOWED_HOSTS": "hooks.example.com",
    }
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "api"], cwd=ROOT, env=environment, stdout=stream, stderr=stream
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@asynccontextmanager
async def _served(settings: Settings, output: Path) -> AsyncIterator[str]:
    """The address of an API that answers."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    def said() -> str:
        return output.read_text()

    with _process(settings, port, output) as process:
        async with httpx.AsyncClient(base_url=address, timeout=10) as client:

            async def answers() -> bool:
                assert process.poll() is None, said()
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, "the API to answer", seconds=120)
        yield address


@pytest.fixture
async def site(api_settings: Settings, engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Site]:
    """The API as a process, with a workflow and runs."""
    await add_people(engine)
    await add_agent(engine)
    workflow_id = await add_workflow(
        engine, NASTY, input_schema=SCHEMA, on_failure=[{"id": "tell", "agent": "nothing"}]
    )
    failed = await add_run(engine, workflow_id, "failed", error={"code": "broken", "detail": NASTY})
    await add_steps(engine, failed)
    await add_log(engine, failed)
    waiting = await add_run(engine, workflow_id, "waiting", -1)
    await add_question(engine, waiting)
    webhook = await add_webhook(engine, "https://hooks.example.com/runs", ["run.completed", "run.failed"], name="pager")
    for status, more in DELIVERIES.items():
        await add_deliveries(engine, webhook, 2, status=status, **more)
    async with _served(api_settings, tmp_path / "output") as address:
        yield Site(
            address,
            engine,
            workflow_id,
            failed,
            await add_run(engine, workflow_id, "queued", 1),
            await add_run(engine, workflow_id, "running", 2),
            waiting,
            await add_schedule(engine, workflow_id),
            await add_dead_letter(engine),
            webhook,
        )


async def _log_in(page: Page, name: str, path: str = "/console") -> None:
    await page.goto(path)
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()


async def test_an_operator_filters_opens_and_cancels(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator")
        await expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        await expect(page.locator("tbody tr")).to_have_count(4)
        await page.get_by_label("Status").select_option("queued")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.locator("tbody a").click()
        await expect(page.locator(".state")).to_contain_text("queued")
        await page.get_by_text("Cancel run…").click()
        await page.get_by_role("button", name="Yes, cancel run").click()
        await expect(page.get_by_text("The run was asked to stop.")).to_be_visible()
        await expect(page.get_by_text("Cancel run…")).to_have_count(0)
    async with transaction(site.engine) as connection:
        asked = await connection.scalar(select(runs.c.cancel_requested_at).where(runs.c.id == site.queued))
    assert asked is not None


async def test_a_wrong_input_is_told_and_a_right_one_begins_a_run(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator", f"/console/workflows/{site.workflow_id}")
        await page.get_by_role("link", name="Execute…").click()
        await page.get_by_label("Input, as JSON").fill('{"name": 7}')
        await page.get_by_role("button", name="Execute version 1").click()
        await expect(page.get_by_role("alert")).to_contain_text("input.name")
        await expect(page.get_by_label("Input, as JSON")).to_have_value('{"name": 7}')
        await page.get_by_label("Input, as JSON").fill('{"name": "Ada"}')
        await page.get_by_role("button", name="Execute version 1").click()
        await expect(page.get_by_role("heading", name="Run of")).to_be_visible()
        await expect(page.locator("#input")).to_contain_text('"Ada"')
    async with transaction(site.engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(runs)) == 5


async def test_a_page_follows_its_run_until_it_is_finished_and_says_so(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator", f"/console/runs/{site.running}")
        await page.get_by_text("Cancel run…").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Yes, cancel run")).to_be_visible()
        async with page.expect_response(lambda answer: answer.url.endswith("/live")):
            pass
        # What was opened stays open while the rest is refreshed.
        await expect(page.get_by_role("button", name="Yes, cancel run")).to_be_visible()
        async with transaction(site.engine) as connection:
            done = {"status": "completed", "finished_at": func.now(), "output": {"said": NASTY}}
            await connection.execute(runs.update().where(runs.c.id == site.running).values(done))
        await expect(page.locator(".state")).to_contain_text("completed")
        await expect(page.get_by_text("Cancel run…")).to_have_count(0)
        await expect(page.locator("#announcer")).to_contain_text("The run is completed")
        await expect(page.locator("[data-live]")).to_have_count(0)


async def test_a_comment_is_typed_and_a_step_decided_while_the_page_refreshes_itself(
    site: Site, browser: Browser
) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator", f"/console/runs/{site.waiting}")
        await expect(page.get_by_text(f"Ship it? {NASTY}")).to_be_visible()
        comment = page.get_by_label("Comment")
        await comment.click()
        await page.keyboard.type("Looks ")
        async with page.expect_response(lambda answer: answer.url.endswith("/live")):
            pass
        async with page.expect_response(lambda answer: answer.url.endswith("/live")):
            pass
        await page.keyboard.type("right.")
        await expect(comment).to_be_focused()
        await expect(comment).to_have_value("Looks right.")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("The step was approved.")).to_be_visible()
        await expect(page.get_by_text("Decided by")).to_be_visible()
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    async with transaction(site.engine) as connection:
        [output] = (await connection.execute(select(signals.c.output))).scalars()
    assert (output["approved"], output["comment"]) == (True, "Looks right.")


async def test_data_is_typed_by_keyboard_mended_where_it_is_wrong_and_handed_over(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator", f"/console/runs/{site.waiting}")
        data = page.get_by_label("Data, as JSON")
        await expect(data).to_be_hidden()
        await page.get_by_label("Comment").focus()
        for key in ("Tab", "Enter", "Tab"):
            await page.keyboard.press(key)
        await expect(data).to_be_focused()
        await page.keyboard.type('{"limit": ')
        async with page.expect_response(lambda answer: answer.url.endswith("/live")):
            pass
        await expect(data).to_be_focused()
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("alert")).to_contain_text("data is no JSON")
        await expect(data).to_be_focused()
        await expect(data).to_have_accessible_description("is no JSON: Expecting value in line 1, column 11")
        await page.keyboard.press("Control+End")
        await page.keyboard.type("7}")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_text("The step was approved.")).to_be_visible()
    async with transaction(site.engine) as connection:
        [output] = (await connection.execute(select(signals.c.output))).scalars()
    assert output["data"] == {"limit": 7}


async def test_a_webhook_is_made_by_keyboard_and_its_secret_replaced_once_however_often_that_page_is_loaded(
    site: Site, browser: Browser
) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "admin", "/console/webhooks")
        await page.get_by_role("link", name="New webhook…").click()
        await expect(page.get_by_label("Name")).to_be_focused()
        for text in ("alarms", "Tab", "https://hooks.example.com/alarms", "Tab", "Space", "Enter"):
            await (page.keyboard.press(text) if text in ("Tab", "Space", "Enter") else page.keyboard.type(text))
        secret = page.get_by_label("Secret")
        await expect(secret).to_be_focused()
        first = await secret.input_value()
        await page.get_by_role("link", name="To the webhook").click()
        await page.get_by_text("Replace secret…").click()
        await page.get_by_role("button", name="Yes, replace secret").click()
        await expect(page.get_by_text("The secret was replaced.")).to_be_visible()
        assert await secret.input_value() not in ("", first)
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("The secret was replaced since")
        await page.get_by_role("link", name="Back to the page").click()
        await expect(page.get_by_role("heading", name="alarms")).to_be_visible()
    async with transaction(site.engine) as connection:
        row = (await connection.execute(select(webhooks).where(webhooks.c.name == "alarms"))).one()
    assert (row.key_number, list(row.events)) == (2, ["run.completed"])


async def test_a_failed_run_is_retried_and_replayed(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "operator", f"/console/runs/{site.failed}")
        await page.get_by_text("Retry…").click()
        await page.get_by_role("button", name="Yes, retry").click()
        await expect(page.get_by_text("This is the new run.")).to_be_visible()
        await page.get_by_role("link", name=str(site.failed)).click()
        await page.get_by_role("link", name="Replay…").click()
        await expect(page.get_by_label("Input, as JSON")).to_have_value(f'{{\n  "name": "{NASTY}"\n}}')
        await page.get_by_role("button", name="Replay").click()
        await expect(page.get_by_role("heading", name="Run of")).to_be_visible()
    async with transaction(site.engine) as connection:
        query = select(func.count()).where(runs.c.origin_run_id == site.failed)
        assert await connection.scalar(query) == 2


async def test_everything_can_be_done_by_keyboard_alone(site: Site, browser: Browser) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await page.goto(f"/console/runs/{site.queued}")
        # The form has the focus when it is shown.
        await expect(page.get_by_label("Name")).to_be_focused()
        await page.keyboard.type("operator")
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.locator(".state")).to_contain_text("queued")
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        for _ in range(12):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.tagName") == "SUMMARY":
                break
        await expect(page.locator("summary", has_text="Cancel run")).to_be_focused()
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", "who uses the keyboard must see where they are"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Yes, cancel run")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("The run was asked to stop.")).to_be_visible()


async def test_what_people_wrote_is_text_on_every_page_and_the_policy_is_not_violated(
    site: Site, browser: Browser
) -> None:
    async with visiting(browser, site.address) as visit:
        page = visit.page
        await _log_in(page, "admin")
        for path in (
            "/runs",
            f"/runs/{site.failed}",
            f"/runs/{site.failed}/replay",
            f"/runs/{site.waiting}",
            f"/runs/{site.waiting}/steps/check/signal",
            "/workflows",
            f"/workflows/{site.workflow_id}",
            f"/workflows/{site.workflow_id}/execute",
            "/schedules",
            f"/schedules/{site.schedule_id}",
            "/agents",
            "/dead-letters",
            f"/dead-letters/{site.letter}",
            "/webhooks",
            f"/webhooks/{site.webhook}",
            f"/webhooks/{site.webhook}/change",
            "/webhooks/new",
            "/audit",
        ):
            answer = await page.goto(f"/console{path}")
            assert answer is not None
            assert answer.status == 200, path
            if not path.startswith(("/agents", "/webhooks", "/audit")):
                await expect(page.get_by_text(NASTY).first).to_be_attached()
            assert await page.locator("script:not([src])").count() == 0, path
            assert await page.locator("main").count() == 1, path
            assert await page.locator("h1").count() == 1, path
            unnamed = "input:not([type=hidden]):not([aria-label]), select, textarea"
            for field in await page.locator(unnamed).all():
                assert await field.evaluate("field => field.labels.length"), f"a field of {path} has no label"


async def _contrasts(page: Page) -> list[str]:
    """Texts that stand out too little from what is behind them (WCAG 2.2: 4.5 to 1)."""
    found: list[str] = await page.evaluate(_CONTRASTS)
    return found


_CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const numbers = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (part) => {
    for (let at = part; at; at = at.parentElement) {
      if (at.tagName === "g") { return numbers(getComputedStyle(at.querySelector("rect")).fill); }
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) { return color; }
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const part of document.querySelectorAll("body *")) {
    const own = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !part.getClientRects().length || part.closest("option, datalist, title, .unseen")) { continue; }
    const style = getComputedStyle(part);
    const [one, other] = [light(numbers(part.tagName === "text" ? style.fill : style.color)), light(behind(part))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const name = `${part.tagName} ${part.getAttribute("class")} ${part.textContent.trim().slice(0, 30)}`;
    if (contrast < 4.5) { found.push(`${contrast.toFixed(2)}: ${name}`); }
  }
  return found;
}"""

OPENED = {
    "live": "Cancel run…",
    "retry": "Retry…",
    "run": "Output",
    "waiting": "Data for the steps after it",
    "webhook": "Replace secret…",
}
"""What is pressed on a page before it is looked at."""

LOOKS = [(1280, False), (1280, True), (390, False), (390, True)]


@pytest.mark.parametrize(("width", "dark"), LOOKS, ids=["wide-light", "wide-dark", "narrow-light", "narrow-dark"])
async def test_pages_can_be_read_wide_and_narrow_light_and_dark(
    width: int, dark: bool, site: Site, browser: Browser
) -> None:
    async with visiting(browser, site.address, width=width, dark=dark) as visit:
        page = visit.page
        await page.goto("/console/login")
        assert await _contrasts(page) == []
        await _picture(page, "login", width, dark)
        await _log_in(page, "admin")
        for name, path in {
            "runs": "/runs",
            "run": f"/runs/{site.failed}",
            "live": f"/runs/{site.running}",
            "waiting": f"/runs/{site.waiting}",
            "replay": f"/runs/{site.failed}/replay",
            "workflows": "/workflows",
            "workflow": f"/workflows/{site.workflow_id}",
            "execute": f"/workflows/{site.workflow_id}/execute",
            "schedules": "/schedules",
            "schedule": f"/schedules/{site.schedule_id}",
            "agents": "/agents",
            "letters": "/dead-letters",
            "letter": f"/dead-letters/{site.letter}",
            "payload": f"/dead-letters/{site.letter}/payload",
            "webhooks": "/webhooks",
            "webhook": f"/webhooks/{site.webhook}",
            "change-webhook": f"/webhooks/{site.webhook}/change",
            "new-webhook": "/webhooks/new",
            "decision": f"/runs/{site.waiting}/steps/check/signal",
            "audit": "/audit",
            "wrong": "/runs?status=gone",
            "missing": f"/runs/{site.workflow_id}",
            "retry": f"/runs/{site.failed}",
        }.items():
            await page.goto(f"/console{path}")
            if name in OPENED:
                await page.get_by_text(OPENED[name]).first.click()
            await _is_readable(page, name, width, dark)
        await page.goto(f"/console/runs/{site.waiting}/steps/check/signal")
        await page.get_by_label("Data, as JSON").fill('{"limit": ')
        await page.get_by_role("button", name="Approve").click()
        await _is_readable(page, "wrong-decision", width, dark)
        await page.goto("/console/webhooks/new")
        await page.get_by_label("Name").fill("other")
        await page.get_by_label("Address").fill("https://elsewhere.example/" + "long" * 50)
        await page.get_by_role("button", name="Create").click()
        await _is_readable(page, "wrong-webhook", width, dark)
        await page.get_by_label("Address").fill("https://hooks.example.com/runs")
        await page.get_by_label("run.failed").check()
        await page.get_by_role("button", name="Create").click()
        await expect(page.get_by_label("Secret")).to_be_visible()
        await _is_readable(page, "secret", width, dark)


async def _is_readable(page: Page, name: str, width: int, dark: bool) -> None:
    assert await _contrasts(page) == [], page.url
    wider = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0, f"{page.url} has to be scrolled sideways as a whole"
    await _picture(page, name, width, dark)


async def _picture(page: Page, name: str, width: int, dark: bool) -> None:
    if PICTURES:
        picture = Path(PICTURES) / f"{name}-{width}-{'dark' if dark else 'light'}.png"
        await page.screenshot(path=picture, full_page=True)
