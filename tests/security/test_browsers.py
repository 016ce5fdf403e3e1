"""What a page of another origin can do, in a real browser. Its host is evil.test, which resolves to this machine."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar
from urllib.request import urlopen

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, expect

from support.browser import chromium
from support.http import served
from support.memory_inference import DATASET, MemoryInference
from support.testbed import Process, free_port, http_status, wait_until
from veleta.service.health import ServiceHealth
from veleta.service.lifecycle import Service, run_service
from veleta.service.watchdog import Watchdog
from veleta.settings import ServiceSettings
from veleta_inference.adapters.http import forbidden
from veleta_source.bootstrap import build as build_source
from veleta_source.settings import SourceSettings

EVIL = "evil.test"
GROUPS = count(1)
S = TypeVar("S", bound=ServiceSettings)


@contextmanager
def running(name: str, build: Callable[[S, ServiceHealth], Service], settings: S) -> Iterator[str]:
    """Run a service in a thread while the block runs. Returns its URL."""
    loop, watchdog = asyncio.new_event_loop(), Watchdog()
    thread = threading.Thread(target=loop.run_until_complete, args=(run_service(name, build, settings, watchdog),))
    thread.start()
    url = f"http://127.0.0.1:{settings.port}"
    try:
        wait_until(lambda: http_status(f"{url}/livez") == 200, what=f"{name} answers")
        yield url
    finally:
        loop.call_soon_threadsafe(watchdog.stop_requested.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The data API with generated rows."""
    folder = tmp_path_factory.mktemp("source")
    settings = SourceSettings(port=free_port(), liveness_seconds=0, state=folder, scale=0.001)
    with running("source", build_source, settings) as url:
        yield url


@pytest.fixture
def memory() -> MemoryInference:
    """Inference with a model in memory. `answered` has what it stored."""
    return MemoryInference()


@pytest.fixture
def inference(memory: MemoryInference) -> Iterator[str]:
    def build(_settings: ServiceSettings, health: ServiceHealth) -> Service:
        async def run() -> None:
            predicting = asyncio.create_task(memory.service.run())
            await health.stopping.wait()
            predicting.cancel()

        return Service(run, memory.application, forbidden=forbidden)

    with running("inference", build, ServiceSettings(port=free_port(), liveness_seconds=0)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that resolves evil.test to this machine."""
    with chromium(f"--host-resolver-rules=MAP {EVIL} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def evil(browser: Browser) -> Iterator[Page]:
    """An open page of evil.test."""

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>evil</title><body></body>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", show)])
    with served(app) as url:
        page = browser.new_page()
        page.goto(url.replace("127.0.0.1", EVIL))
        yield page
        page.close()


ATTACKS = {
    "fetch": "url => fetch(url, {mode: 'no-cors', referrerPolicy: 'no-referrer'}).catch(() => {})",
    "image": "url => new Promise(done => { const image = new Image(); image.onerror = done; image.src = url })",
    "frame": """url => new Promise(done => {
        const frame = document.createElement('iframe')
        frame.onload = done; frame.src = url; document.body.append(frame)
    })""",
    "link": """url => {
        const link = document.createElement('a'); link.href = url; document.body.append(link); link.click()
    }""",
}
"""Scripts by which a page sends a GET."""


def next_batch(source: str, group: int) -> int:
    """The number of the batch that a client gets which is no browser."""
    with urlopen(f"{source}/data?group_number={group}", timeout=30) as response:
        return int(json.load(response)["batch_number"])


@pytest.mark.failure("F376")
@pytest.mark.parametrize("path", ["data", "restart_data_generation"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_page_takes_no_batch_and_restarts_nothing(source: str, evil: Page, attack: str, path: str) -> None:
    """By no kind of request. The next batch of another client is the next one."""
    group = next(GROUPS)
    taken = next_batch(source, group)
    with evil.expect_response(f"{source}/{path}*") as response:
        evil.evaluate(ATTACKS[attack], f"{source}/{path}?group_number={group}")
    assert response.value.status == 403
    assert next_batch(source, group) == taken + 1


@pytest.mark.failure("F376")
def test_a_person_can_open_the_data_api(source: str, browser: Browser) -> None:
    """And a page of another origin can link to what changes nothing."""
    page = browser.new_page()
    opened = [page.goto(f"{source}{path}") for path in ("/", f"/data?group_number={next(GROUPS)}")]
    assert [response.status for response in opened if response] == [200, 200]
    page.close()


@pytest.mark.failure("F375")
def test_a_rebound_name_reads_nothing(source: str, inference: str, evil: Page) -> None:
    """The name of the page resolves to this machine, so the page and the service have one origin."""
    for url, setting in ((source, "SOURCE_HOSTS"), (inference, "INFERENCE_HOSTS")):
        response = evil.goto(url.replace("127.0.0.1", EVIL) + "/readyz")
        assert response
        assert (response.status, setting in response.text()) == (403, True)


@pytest.mark.failure("F376")
def test_a_page_gets_no_price(inference: str, memory: MemoryInference, evil: Page, browser: Browser) -> None:
    """Nothing is stored for it either. A page of the service itself gets one."""
    post = """([url, mode, body]) => fetch(url, {method: 'POST', mode, body})
        .then(response => response.status, () => 0)"""
    body = json.dumps(DATASET.example)
    with evil.expect_response(f"{inference}/predict") as response:
        evil.evaluate(post, [f"{inference}/predict", "no-cors", body])
    assert (response.value.status, memory.answered.groups, memory.refused.groups) == (403, [], [])
    page = browser.new_page()
    page.goto(f"{inference}/docs")
    assert page.evaluate(post, [f"{inference}/predict", "cors", body]) == 200
    assert len(memory.answered.groups) == 1
    page.close()


@pytest.mark.failure("F377")
def test_no_page_has_the_documentation_in_a_frame(inference: str, evil: Page, browser: Browser) -> None:
    """A page of another origin does not get it. One of the same origin gets it, and the browser does not show it."""
    own = browser.new_page()
    own.goto(f"{inference}/models/history")
    for page in (evil, own):
        page.evaluate(ATTACKS["frame"], f"{inference}/docs")
        assert page.frames[1].locator("#page").count() == 0
    own.close()


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real process of the monitor. Neither Kafka nor MySQL runs: its page says so."""
    folder, port = tmp_path_factory.mktemp("monitor"), free_port()
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "MYSQL_USER": "reader", "MYSQL_PASSWORD": "none"}
    addresses = {
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "MYSQL_PORT": str(free_port()),
        "MONITOR_PORT": str(port),
    }
    process = Process("monitor", port, variables | addresses, folder)
    process.start()
    try:
        wait_until(lambda: http_status(f"{process.url}/_stcore/health") == 200, 60, "the monitor responds")
        yield process.url
    finally:
        process.stop()


OPEN_STREAM = """url => new Promise(done => {
    const socket = new WebSocket(url, ['streamlit'])
    socket.onopen = () => done(true); socket.onerror = () => done(false)
})"""
"""Opens the WebSocket by which the monitor's page gets its texts, and sends what is pressed."""


def stream(url: str) -> str:
    return url.replace("http", "ws") + "/_stcore/stream"


@pytest.mark.failure("F378")
def test_the_monitor_works_under_each_name_of_this_machine(monitor: str, browser: Browser) -> None:
    """Its page is drawn."""
    for url in (monitor, monitor.replace("127.0.0.1", "localhost")):
        page = browser.new_page()
        page.goto(url)
        expect(page.get_by_text("Control polling by hand")).to_be_visible(timeout=30_000)
        page.close()


@pytest.mark.failure("F378")
def test_a_rebound_name_reads_no_page_and_presses_no_button(monitor: str, evil: Page) -> None:
    """Neither the page nor its WebSocket."""
    url = monitor.replace("127.0.0.1", EVIL)
    response = evil.goto(url)
    assert response
    assert (response.status, "MONITOR_HOSTS" in response.text()) == (403, True)
    assert evil.evaluate(OPEN_STREAM, stream(url)) is False


@pytest.mark.failure("F378")
def test_a_page_of_another_origin_presses_no_button(monitor: str, evil: Page, browser: Browser) -> None:
    """Its browser opens no WebSocket for it, though Streamlit itself accepts each page of localhost. It may link."""
    assert evil.evaluate(OPEN_STREAM, stream(monitor)) is False
    other = browser.new_page()
    other.goto(evil.url.replace(EVIL, "localhost"))
    assert other.evaluate(OPEN_STREAM, stream(monitor)) is False
    with other.expect_navigation():
        other.evaluate(ATTACKS["link"], monitor)
    assert other.evaluate(OPEN_STREAM, stream(monitor)) is True
    other.close()


@pytest.mark.failure("F379")
def test_no_page_has_the_monitor_in_a_frame(monitor: str, evil: Page, browser: Browser) -> None:
    """A page of another origin does not get it. One of the same origin gets it, and the browser does not show it."""
    own = browser.new_page()
    own.goto(f"{monitor}/_stcore/health")
    for page in (evil, own):
        page.evaluate(ATTACKS["frame"], monitor)
        assert page.frames[1].locator("#root").count() == 0
    own.close()
    with urlopen(monitor, timeout=10) as response:
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert response.headers["X-Frame-Options"] == "DENY"
