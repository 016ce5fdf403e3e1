"""The monitor's page in every state it can be in, wide and narrow, light and dark, in a real browser."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from support.monitor_states import STATES
from support.world import eventually, free_port, http_status

SECONDS = 120_000
"""How long the page may take to show what is looked for, in milliseconds."""
WIDE, NARROW = 1440, 390
UNSHOWN = "This part cannot be shown; the monitor's log says why."
ANIMATION = "element => getComputedStyle(element, '::after').animationName"
SHOWN: Mapping[str, Sequence[str]] = {
    "empty": ["Waiting for the first batch.", "No batch has arrived yet", "Nothing has been trained yet. The first"],
    "loading": ["Asking Kafka", "Asking MySQL", "asking"],
    "working": ["Batch 3/4", "Fitting tree 275 of 500", "RMSE", "1 behind", "Version 3 became the champion"],
    "calm": ["Waiting for the next batch. The last one: 3/3", "The last training: version 3 was promoted"],
    "stale": ["MySQL does not answer: connection refused. What is shown of it is from", "no answer", "waits for mysql"],
    "broken": [UNSHOWN, "Batch 3/4", "Fitting tree 275 of 500", "Version 3 became the champion"],
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page is served; `?state=` names what it shows."""
    folder, port = tmp_path_factory.mktemp("monitor"), free_port()
    told = dict.fromkeys(("MONITOR_INFERENCE_URL", "MONITOR_MLFLOW_URL", "MONITOR_SOURCE_URL"), "http://127.0.0.1:1")
    told |= {"MYSQL_USER": "reader", "MYSQL_PASSWORD": "none", "MONITOR_PORT": str(port), "MONITOR_REFRESH": "1"}
    told |= {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "support.monitor_states"]
        process = subprocess.Popen(command, env=told, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: http_status(f"{url}/_stcore/health") == 200, 60, "the page is served")
        yield url
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def opened(browser: Browser, width: int, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """A browser window of this width, whose owner likes it light or dark."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def test_a_renewal_moves_nothing(browser: Browser, address: str) -> None:
    """A table that was scrolled stays where it is while its figures change; the newest batch is a second old."""
    with opened(browser, NARROW, "light") as page:
        page.goto(f"{address}/?state=working")
        table = page.locator(".stHtml", has=page.locator("table")).first
        age = table.locator("tbody tr").first.locator("td").last
        expect(age).to_be_visible(timeout=SECONDS)
        table.evaluate("element => element.scrollTop = 150")
        before = age.inner_text()
        expect(age).not_to_have_text(before, timeout=SECONDS)
        assert table.evaluate("element => element.scrollTop") == 150


@pytest.mark.parametrize(("wish", "motion"), [("no-preference", "veleta-flow"), ("reduce", "none")])
def test_who_wants_no_motion_gets_none(
    browser: Browser, address: str, wish: Literal["no-preference", "reduce"], motion: str
) -> None:
    """The way into a stage at work moves, unless the reader's system asks for less of that."""
    with opened(browser, WIDE, "dark") as page:
        page.emulate_media(reduced_motion=wish)
        page.goto(f"{address}/?state=working")
        way = page.locator(".busy .into")
        expect(way).to_have_count(1, timeout=SECONDS)
        # A renewal of the page may put another element in the place of the one that was found: it is looked up anew.
        eventually(lambda: way.evaluate(ANIMATION) == motion, what=f"the animation is {motion}")


@pytest.mark.failure("F65")
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_designed(browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]) -> None:
    """Each says what it is in words, shows no exception, is light or dark as its reader is, and fits the width."""
    assert list(SHOWN) == list(STATES)
    with opened(browser, width, scheme) as page:
        for state, texts in SHOWN.items():
            page.goto(f"{address}/?state={state}")
            expect(page.get_by_text("Trainings and versions", exact=True)).to_be_visible(timeout=SECONDS)
            for text in texts:
                expect(page.get_by_text(text).first).to_be_visible(timeout=SECONDS)
            expect(page.get_by_text(UNSHOWN)).to_have_count(2 if state == "broken" else 0)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            assert overflow(page) <= 0, state
            assert is_dark(page) is (scheme == "dark"), state


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    seen = "[document.documentElement, document.querySelector('.stMain')].map(e => e.scrollWidth - e.clientWidth)"
    return int(max(page.evaluate(seen)))


def is_dark(page: Page) -> bool:
    """Whether the page's ground is darker than a middle grey."""
    ground = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g)")
    return sum(map(int, ground[:3])) < 3 * 128
