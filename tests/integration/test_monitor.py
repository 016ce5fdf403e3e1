"""The monitor's page, in a real browser, on real MariaDB, Kafka and MLflow."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from support.batches import publish_batch
from support.hostile import hostile_api, of_rows
from support.listings import api_rows
from support.models import Models
from support.proxy import Proxy
from support.world import Process, World, eventually, free_port, http_status
from veleta.events.catalogue import (
    BatchRefused,
    Command,
    RecordDeadlettered,
    TrainingFailed,
    TrainingProgress,
    TrainingStarted,
)
from veleta.events.envelope import Event, encode
from veleta.tables import batches, dataset_tables, drift_reports, promotions, trainings
from veleta.topics import TopicName, topic

SECONDS = 30_000
"""How long the page may take to show what is looked for, in milliseconds."""


@contextmanager
def monitor(world: World, told: Mapping[str, str] | None = None, **settings: object) -> Iterator[Process]:
    """The real process, when its server answers; `told` overrides variables of the parts it reads from."""
    port = free_port()
    shown = {"port": port, "refresh": 1, "mlflow_url": world.mlflow_uri, **settings}
    process = Process(
        "monitor", port, {**world.environment("monitor", "reader", **shown), **(told or {})}, world.folder
    )
    process.start()
    try:
        eventually(lambda: http_status(f"{process.url}/_stcore/health") == 200, 60, "the monitor answers")
        yield process
    finally:
        process.stop()


@contextmanager
def visit(browser: Browser, process: Process) -> Iterator[Page]:
    """The page, opened; at the end nothing on it was an exception, and it asked nobody but its own server."""
    page = browser.new_page(viewport={"width": 1440, "height": 1600})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(process.url)
    yield page
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_text("This part cannot be shown")).to_have_count(0)
    expect(page.get_by_text("Traceback")).to_have_count(0)
    assert [url for url in asked if not url.startswith((process.url, "data:", "blob:"))] == []
    page.close()


def shows(page: Page, *texts: str) -> None:
    """Each text is on the page, or comes."""
    for text in texts:
        expect(page.get_by_text(text, exact=False).first).to_be_visible(timeout=SECONDS)


ANY = re.compile(".")
"""A cell that may hold anything."""


def line(page: Page, start: str, *cells: str | re.Pattern[str]) -> None:
    """The table row whose first cell begins so has these cells behind it, or comes to have them."""
    first = page.locator("td:first-child", has_text=re.compile(f"^{start}"))
    found = page.locator("tr", has=first).first.locator("td:not(:first-child)")
    expect(found).to_have_text(list(cells), use_inner_text=True, timeout=SECONDS)


def stage(page: Page, name: str, *texts: str) -> None:
    """The stage's place in the picture holds these texts, or comes to hold them."""
    for text in texts:
        expect(page.locator(f'[data-stage="{name}"]')).to_contain_text(text, timeout=SECONDS)


def quiet(page: Page) -> None:
    """No notice stands on the page, or the last one goes: a part that was slow at first may have brought it."""
    expect(page.get_by_role("alert")).to_have_text([], timeout=2 * SECONDS)


def decide(world: World, now: datetime) -> None:
    """A version that was trained and promoted, and a request that failed, as the trainer writes them."""
    name = world.dataset.name
    common = {"cause": {}, "requested_at": now, "attempts": 1}
    request = {"epoch": 1, "number": 0, "reason": "first of the epoch"}
    done = {"run_id": "r", "version": 3, "metrics": {"mae": 61_234.2, "r2": 0.77}}
    with world.admin.begin() as sql:
        sql.execute(
            sa.insert(trainings).values({**common, **done, "request_id": "a", "state": "finished", "cause": request})
        )
        sql.execute(
            sa.insert(trainings).values({**common, "request_id": "b", "state": "failed", "failure": "out of memory"})
        )
        sql.execute(
            sa.insert(promotions).values(
                seq=7,
                version=3,
                decision="promoted",
                reason="better by far",
                actor="trainer",
                cause="a",
                decided_at=now,
            )
        )
        sql.execute(
            sa.insert(dataset_tables(world.dataset).requests).values(
                request_id="q", item=0, received_at=now, answered_at=now, model_version=3, latency_ms=1, http_status=200
            )
        )
    for what, said in (
        ("started", TrainingStarted(request_id="b", recipe={})),
        ("25", TrainingProgress(request_id="b", phase="fitting", done=25, of=50, error=0.512)),
        ("50", TrainingProgress(request_id="b", phase="fitting", done=50, of=50, error=0.341)),
        ("failed", TrainingFailed(request_id="b", reason="out of memory")),
    ):
        say(world, "training", Event(f"b/{what}", "trainer", now.replace(tzinfo=UTC), said))
    letter = RecordDeadlettered(
        service="drift", reason="x", error="x", topic=f"{name}.batches", partition=0, offset=1, first_key=name,
        headers={}, value="",
    )  # fmt: skip
    say(world, "deadletter", Event("dead", "drift", now.replace(tzinfo=UTC), letter))


def say(world: World, name: TopicName, event: Event) -> None:
    world.log.publish([encode(topic(world.dataset.name, name), event)])


def test_the_page_before_anything_happened(world: World, browser: Browser) -> None:
    """An empty deployment reads as one: no figures are made up, and nothing looks like a fault."""
    with monitor(world) as process, visit(browser, process) as page:
        shows(page, "USA real estate", "No batch has arrived yet", "Nothing has been trained yet")
        shows(page, "No model is served: this deployment has no inference")
        shows(page, "Waiting for the first batch")
        stage(page, "loader", "not in this run", "0 behind", "nothing yet")
        expect(page.get_by_test_id("stMetricValue")).to_have_text(["none", "0", "0", "0"])
        quiet(page)


def test_the_page_shows_the_whole_loop(world: World, browser: Browser) -> None:
    """Stages, batches with verdicts, versions with decisions, requests, dead letters and links, all from real parts."""
    name = world.dataset.name
    with world.service("loader", "loader") as loader, world.service("drift", "drift") as drift:
        loader.ready()
        drift.ready()
        for number in (0, 1):
            publish_batch(world.log, world.dataset, 1, number, api_rows(5 * number, 200, 1))
        refused = BatchRefused(dataset=name, epoch=1, number=2, reason="no JSON", status=200, body="b")
        say(world, "batches", Event(f"{name}/1/2/refused", "poller", datetime.now(UTC), refused))
        eventually(lambda: len(world.sql(sa.select(drift_reports))) == 2, what="both batches are judged")
        eventually(lambda: len(world.sql(sa.select(batches))) == 3, what="the refused batch is noted")
        decide(world, datetime.now(UTC).replace(tzinfo=None))
        urls = {"loader": loader.url, "drift": drift.url, "trainer": "http://127.0.0.1:1"}
        links = {"inference_url": "http://127.0.0.1:8000", "source_url": "http://127.0.0.1:8090"}
        with monitor(world, None, readyz=json.dumps(urls), **links) as process, visit(browser, process) as page:
            stage(page, "poller", "not in this run", "batch.refused", f"{name}/1/2/refused")
            stage(page, "loader", "ready", "waiting for events", "0 behind", "batch loaded", f"{name}/1/1")
            stage(page, "drift", "ready", "0 behind", "drift.assessed", f"{name}/1/1/assessed")
            stage(page, "trainer", "no answer", "nobody listens there", "lag unknown", "training.failed", "b/failed")
            steps = ["\u2713taken", "\u2713stored200 rows", "\u2713judgeddrift", "\u2022trainedasked for", "served"]
            expect(page.locator(".steps li")).to_have_text(steps, timeout=SECONDS)
            shows(page, "Batch 1/1", "The last training: failed: out of memory", "0.341")
            line(page, "1/2", "refused", "-", "-", "-", "-", re.compile("no JSON"), ANY)
            line(page, "1/1", "loaded", "200", "200", "0", "drift", re.compile("limit 15 %"), ANY)
            line(page, "1/0", "loaded", "200", "200", "0", "not enough data", "first batch of the epoch", ANY)
            line(page, "3", "promoted", "7", "61,234", "better by far", "first of the epoch batch 1/0", ANY)
            shows(page, "out of memory")
            expect(page.get_by_test_id("stMetricValue")).to_have_text(["none", "3", "1", "1"])
            for url in (f"{links['inference_url']}/model", world.mlflow_uri, links["source_url"]):
                expect(page.locator(f'a[href="{url}"]')).to_be_visible()
            expect(page.locator(f'a[href="{world.mlflow_uri}/#/models/{name}/versions/3"]')).to_be_visible()


def test_a_button_takes_a_batch(world: World, browser: Browser) -> None:
    """The command goes to the topic, and the poller's answer comes to the page.

    Its rows are its own: those of another test's last batch would be a repeat.
    """

    def closed() -> list[Event]:
        return [event for event in world.events("batches") if event.type == "batch.closed"]

    before = len(closed())
    with (
        hostile_api([of_rows(0, list(api_rows(0, 10, 2)))]) as (_, url),
        monitor(world) as process,
        visit(browser, process) as page,
    ):
        poller: dict[str, Any] = {"api_url": url, "group_number": 1, "poll": "manual"}
        with world.service("poller", inbox=world.folder / "inbox", **poller) as running:
            running.ready()
            expect(page.get_by_text("Veleta", exact=True)).to_be_visible(timeout=SECONDS)
            expect(page.get_by_text("The buttons, and")).to_have_count(0)
            page.get_by_role("button", name="Take the next batch").click()
            shows(page, "poll: the next batch is fetched now, if there is one")
            eventually(lambda: len(closed()) == before + 1, what="the batch is closed")
            page.get_by_role("button", name="Pause").click()
            shows(page, "pause: no batch is fetched until polling is resumed")
    asked = [event.payload for event in world.events("commands") if isinstance(event.payload, Command)]
    assert [(each.TYPE, each.actor) for each in asked] == [
        ("poll", "somebody at the monitor"),
        ("pause", "somebody at the monitor"),
    ]


def test_the_served_version_says_why(world: World, browser: Browser) -> None:
    """The version that inference answers with, since when, and its causes in words, from a real inference."""
    models = Models(world)
    with world.service("inference", "inference") as inference:
        urls = json.dumps({"inference": inference.url})
        eventually(lambda: http_status(f"{inference.url}/model") == 503, what="inference answers without a version")
        with monitor(world, None, readyz=urls) as process, visit(browser, process) as page:
            shows(page, "No model is served: ")
            version = models.promote().number
            shows(page, f"Version {version} became the champion by decision 1", "Asked for because: test.")
            expect(page.get_by_test_id("stMetricValue").first).to_have_text(str(version))
            stage(page, "inference", "ready", f"serving {world.dataset.name} {version}")
            stage(page, "trainer", "model.promoted")


def test_a_login_that_is_refused_is_said_and_the_rest_stays(world: World, browser: Browser) -> None:
    """Without MySQL the page says what MySQL said, and shows all that does not come from there."""
    publish_batch(world.log, world.dataset, 8, 0, api_rows(0, 10, 1))
    with monitor(world, {"MYSQL_PASSWORD": "wrong"}) as process, visit(browser, process) as page:
        expect(page.get_by_role("alert")).to_contain_text("MySQL does not answer: Access denied", timeout=SECONDS)
        expect(page.get_by_text("Not known while MySQL does not answer.")).to_have_count(3)
        shows(page, f"{world.dataset.name}/8/0/closed")
        stage(page, "poller", "not in this run", "batch.closed")


@pytest.mark.failure("F64")
def test_what_was_known_stays_while_a_part_is_away(world: World, browser: Browser) -> None:
    """What happens comes to the open page. Kafka and MySQL go: their last figures stay, with their age; they return."""
    ways = {"Kafka": Proxy(int(world.bootstrap.rpartition(":")[2])), "MySQL": Proxy(world.mysql("reader").port)}
    told = {"KAFKA_BOOTSTRAP": f"127.0.0.1:{ways['Kafka'].port}", "MYSQL_PORT": str(ways["MySQL"].port)}
    with monitor(world, told) as process, visit(browser, process) as page:
        shows(page, "Trainings and versions")
        publish_batch(world.log, world.dataset, 7, 0, api_rows(0, 10, 1))
        shows(page, f"{world.dataset.name}/7/0/closed")
        quiet(page)
        for name, way in ways.items():
            way.cut()
            notice = page.get_by_role("alert").filter(has_text=name)
            expect(notice).to_contain_text("does not answer", timeout=SECONDS)
            expect(notice).to_contain_text("What is shown of it is from")
        shows(page, f"{world.dataset.name}/7/0/closed")
        for way in ways.values():
            way.restore()
        quiet(page)


def test_settings_are_refused_in_one_line(world: World) -> None:
    """An unknown name with the service's prefix ends it before the server starts."""
    command = [sys.executable, "-m", "veleta_monitor"]
    environment = world.environment("monitor", "reader", colour="red")
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("monitor: unknown setting MONITOR_COLOUR")
    assert len(ended.stderr.splitlines()) == 1


def test_sigterm_ends_it_while_a_page_is_open(world: World, browser: Browser) -> None:
    """It stops within seconds, with 0, whoever looks."""
    with monitor(world) as process:
        page = browser.new_page()
        page.goto(process.url)
        shows(page, "Trainings and versions")
        assert process.stop() == 0
        page.close()
