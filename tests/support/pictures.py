"""Takes the README's pictures of the current run, so that they show the real output."""

import asyncio
import io
import re

from playwright.sync_api import Browser
from rich.console import Console

from support.browser import chromium
from support.repository import ROOT
from veleta.clock import utc_now
from veleta.dataset import load_dataset
from veleta_local.demo.event_messages import Message
from veleta_local.demo.run_observer import RunObserver
from veleta_local.demo.terminal import Terminal
from veleta_local.demo.view import HINT, view
from veleta_local.run import Run

PICTURES = ROOT / "docs" / "pictures"
PROMOTION_SECONDS, DRAWN_MS = 180, 8_000
_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Fonts that a reader's browser would download from another site."""


def main() -> None:
    """Write all pictures."""
    PICTURES.mkdir(exist_ok=True)
    run = Run(ROOT / ".veleta")
    (PICTURES / "demo.svg").write_text(demo(run))
    with chromium() as browser:
        page(browser, run.url("monitor"), "monitor", 1360, 1180, "light")
        page(browser, run.url("monitor"), "monitor-phone", 390, 844, "dark")


def page(browser: Browser, url: str, name: str, width: int, height: int, scheme: str) -> None:
    """A screenshot of a page."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]  # a Literal
    sheet = context.new_page()
    sheet.goto(url)
    sheet.locator(".veleta table").nth(1).wait_for(timeout=60_000)
    sheet.wait_for_timeout(DRAWN_MS)
    sheet.screenshot(path=PICTURES / f"{name}.png")
    context.close()


def demo(run: Run) -> str:
    """The lines of `make demo` until a new version is served, and its live view then, as SVG."""
    console = Console(record=True, width=136, file=io.StringIO())
    asyncio.run(_watch_promotion(run, console))
    return _FONT.sub("", console.export_svg(title="make demo"))


async def _watch_promotion(run: Run, console: Console) -> None:
    """Print messages until a version replaces another one. Raises TimeoutError when none does."""
    terminal, replaced = Terminal(console, utc_now), asyncio.Event()

    def report(message: Message) -> None:
        terminal.add(message)
        if message.subject == "serving" and "(version " in message.text:
            replaced.set()

    observer = RunObserver(run, load_dataset(run.dataset), report, utc_now, run.parts)
    observing = asyncio.ensure_future(observer.observe())
    await asyncio.wait_for(replaced.wait(), PROMOTION_SECONDS)
    await asyncio.sleep(2)
    observing.cancel()
    terminal.finish()
    console.print(view(observer, utc_now(), console.width, HINT))


if __name__ == "__main__":
    main()
