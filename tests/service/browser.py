"""A real browser for tests: Debian's Chromium, without a screen, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

PROGRAM = "chromium"

# A page that refreshes itself does so every few seconds.
expect.set_options(timeout=20_000)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A started browser; fails with what to do where there is none."""
    program = shutil.which(PROGRAM)
    assert program, f"there is no {PROGRAM} on this machine; install it (Debian: apt-get install chromium)"
    async with async_playwright() as playwright:
        # Root may not run it with its sandbox; it sees only pages of ours.
        browser = await playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=60_000
        )
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One visitor's window, and all that the browser complained of."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _heard(self, message: ConsoleMessage) -> None:
        # Refused forms are answered with 4xx, which the browser notes as well.
        if message.type in ("error", "warning") and "the server responded with a status of 4" not in message.text:
            self.complaints.append(message.text)


@asynccontextmanager
async def visiting(browser: Browser, address: str, *, width: int = 1280, dark: bool = False) -> AsyncIterator[Visit]:
    """A window without cookies at the address of the console; at its end nothing may have been complained of."""
    context = await browser.new_context(
        base_url=address,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(30_000)
    try:
        page = await context.new_page()
        visit = Visit(context, page)
        yield visit
        assert visit.complaints == []
    finally:
        await context.close()
