"""The monitor's page in each of its states, wide and narrow, light and dark, in a real browser."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from support.memory_inference import MemoryInference, served_inference
from support.monitor_states import STATES
from support.testbed import free_port, http_status, wait_until

TIMEOUT_MS = 120_000
"""How long the page may take to show an expected text."""
WIDE, NARROW = 1440, 390
FAILED_SECTION = "This section cannot be shown. See the monitor's log."
ANIMATION = "element => getComputedStyle(element, '::after').animationName"
TEXTS: Mapping[str, Sequence[str]] = {
    "empty": ["Waiting for the first batch.", "No batch has arrived yet", "No model has been trained yet. The first"],
    "loading": ["Loading from Kafka", "Loading from MySQL", "checking"],
    "working": [
        "Batch 3/4",
        "Fitting tree 275 of 500",
        "RMSE",
        "lag 1",
        "Version 3 became the champion",
        "predicted rows: 14 %, 3 % of them (2 % of its holdout) outside what the model has learnt.",
    ],
    "calm": [
        "Waiting for the next batch. Last batch: 3/3",
        "Last training: version 3 was promoted",
        "15 % rule: drift",
        "harmed: MAE +4.1 % on batch 3/3",
        "Version 3 predicts batch 3/3 worse than version 2, which it replaced (MAE +4.1 %, beyond chance). To go back:",
        "9 of 12 retrains helped (75 %), 2 made no difference, 1 harmed.",
        "No expected error: 12 rows were predicted since the version was loaded, and 100 are needed.",
    ],
    "market": [
        "Prices have changed by +7.4 % since 2014-05: +5.9 % to +8.9 % with a probability of 80 %.",
        "The level waits: a batch shows +56.0 %, and one alone may not move it so far.",
        "price index, 2014-05 = 100, with its 80 % band",
        "by ada",
        "107.4",
    ],
    "stale": [
        "MySQL is unavailable: connection refused. The values shown are from",
        "no response",
        "waiting for mysql",
    ],
    "without rows": [
        "loader: batch 3/4 has no clean row: 400 of 400 rows are left out (100 %): price: no value 400",
        "No batch arrives: GET /data answered 404 Not Found: is API_URL right?",
        "No model is served: training 3/4 is at tree 120 of 500.",
        "78 %",
        "no clean row",
    ],
    "broken": [FAILED_SECTION, "Batch 3/4", "Fitting tree 275 of 500", "Version 3 became the champion"],
}


@pytest.fixture(scope="module")
def inference_url() -> Iterator[str]:
    """The URL of inference with a model in memory."""
    with served_inference(MemoryInference()) as url:
        yield url


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, inference_url: str) -> Iterator[str]:
    """The URL of the page. `?state=` selects its state."""
    folder, port = tmp_path_factory.mktemp("monitor"), free_port()
    environment = dict.fromkeys(
        ("MONITOR_INFERENCE_URL", "MONITOR_MLFLOW_URL", "MONITOR_SOURCE_URL"), "http://127.0.0.1:1"
    )
    environment |= {"MYSQL_USER": "reader", "MYSQL_PASSWORD": "none", "MONITOR_PORT": str(port), "MONITOR_REFRESH": "1"}
    environment |= {"DATASET": "sales"}  # it has a market
    environment |= {"MONITOR_READYZ": json.dumps({"inference": inference_url})}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "support.monitor_states"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: http_status(f"{url}/_stcore/health") == 200, 60, "the page is served")
        yield url
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def opened(browser: Browser, width: int, scheme: Literal["light", "dark"]) -> Iterator[Page]:
    """A browser window of this width, with a preference for light or dark."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    yield context.new_page()
    context.close()


def test_a_refresh_keeps_the_scroll_position(browser: Browser, address: str) -> None:
    """A scrolled table does not move while its values change. The newest batch is a second old."""
    with opened(browser, NARROW, "light") as page:
        page.goto(f"{address}/?state=working")
        table = page.locator(".stHtml", has=page.locator("table")).first
        age = table.locator("tbody tr").first.locator("td").last
        expect(age).to_be_visible(timeout=TIMEOUT_MS)
        table.evaluate("element => element.scrollTop = 150")
        before = age.inner_text()
        expect(age).not_to_have_text(before, timeout=TIMEOUT_MS)
        assert table.evaluate("element => element.scrollTop") == 150


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_visitor_asks_for_a_price(browser: Browser, address: str, width: int) -> None:
    """With an empty optional field. What is typed, and the answer, outlive the refreshes of the other sections."""
    with opened(browser, width, "light") as page:
        page.goto(f"{address}/?state=working")
        page.get_by_text("Ask for a price", exact=True).click(timeout=TIMEOUT_MS)
        broker, bedrooms = page.get_by_label("Broker, optional"), page.get_by_label("Bedrooms")
        broker.fill("")
        bedrooms.fill("10")
        wait_for_refresh(page)
        assert (broker.input_value(), bedrooms.input_value()) == ("", "10")
        page.get_by_role("button", name="Ask for the price").click()
        expect(page.get_by_role("status").get_by_text("Price: 59,874 USD")).to_be_visible(timeout=TIMEOUT_MS)
        expect(page.get_by_text("Broker: was not given; the model does not use it")).to_be_visible()
        wait_for_refresh(page)
        assert (broker.input_value(), bedrooms.input_value()) == ("", "10")
        expect(page.get_by_text("Price: 59,874 USD")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert overflow(page) <= 0


def wait_for_refresh(page: Page) -> None:
    """Wait until the sections are drawn again: each time the animation of the loop has another phase."""
    loop = page.locator("[style*=phase]", has=page.locator(".loop"))
    before = loop.get_attribute("style", timeout=TIMEOUT_MS)
    expect(loop).not_to_have_attribute("style", before or "", timeout=TIMEOUT_MS)


@pytest.mark.parametrize(("preference", "animation"), [("no-preference", "veleta-flow"), ("reduce", "none")])
def test_reduced_motion_is_respected(
    browser: Browser, address: str, preference: Literal["no-preference", "reduce"], animation: str
) -> None:
    """The arrow to a busy stage is animated, unless the user prefers reduced motion."""
    with opened(browser, WIDE, "dark") as page:
        page.emulate_media(reduced_motion=preference)
        page.goto(f"{address}/?state=working")
        arrow = page.locator(".busy .input")
        expect(arrow).to_have_count(1, timeout=TIMEOUT_MS)
        # A refresh may replace the element, so each check locates it again.
        wait_until(lambda: arrow.evaluate(ANIMATION) == animation, what=f"the animation is {animation}")


@pytest.mark.failure("F65", "F139")
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_readable(browser: Browser, address: str, width: int, scheme: Literal["light", "dark"]) -> None:
    """Each state has its texts, shows no exception, is light or dark as the user prefers, and fits the width."""
    assert list(TEXTS) == list(STATES)
    with opened(browser, width, scheme) as page:
        for state, texts in TEXTS.items():
            page.goto(f"{address}/?state={state}")
            expect(page.get_by_text("Trainings and versions", exact=True)).to_be_visible(timeout=TIMEOUT_MS)
            for text in texts:
                expect(page.get_by_text(text).first).to_be_visible(timeout=TIMEOUT_MS)
            expect(page.get_by_text(FAILED_SECTION)).to_have_count(2 if state == "broken" else 0)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            assert overflow(page) <= 0, state
            assert is_dark(page) is (scheme == "dark"), state


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    script = "[document.documentElement, document.querySelector('.stMain')].map(e => e.scrollWidth - e.clientWidth)"
    return int(max(page.evaluate(script)))


def is_dark(page: Page) -> bool:
    """Whether the page's background is darker than a medium grey."""
    background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g)")
    return sum(map(int, background[:3])) < 3 * 128
