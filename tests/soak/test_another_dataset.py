"""The whole system on another dataset: other names, columns, kinds and target, without code of its own."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import mlflow
import pandas as pd
import pytest
import sqlalchemy as sa

from support.bicycles import BICYCLES, BICYCLES_CSV
from support.browser import chromium
from support.http import post
from support.testbed import Process, Testbed, wait_until
from veleta.tables import batches, dataset_tables, drift_reports, trainings
from veleta_local.run import Run

SECONDS = 60_000


@dataclass
class Loop:
    """All services on the second dataset, and the rows of the file."""

    testbed: Testbed
    rows: pd.DataFrame
    services: dict[str, Process]

    def post(self, row: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return post(f"{self.services['inference'].url}/predict", row)


@pytest.fixture(scope="module")
def loop(backing: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """From a CSV file to a served price: every batch is loaded and assessed, every training request ended."""
    folder = tmp_path_factory.mktemp("bicycles")
    rows = pd.read_csv(BICYCLES_CSV)
    testbed = Testbed(backing, folder, BICYCLES.read_text())
    assert testbed.prepare().returncode == 0
    with ExitStack() as stack:
        services: dict[str, Process] = {}

        def start(name: str, user: str | None = None, **settings: Any) -> Process:
            services[name] = stack.enter_context(testbed.service(name, user, **settings))
            return services[name]

        source = start("source", csv=BICYCLES_CSV, state=folder / "source")
        start("poller", api_url=source.url, group_number=1, poll_every=0.5, at_end="stop", inbox=folder / "inbox")
        start("loader", "loader")
        start("drift", "drift")
        start("trainer", "trainer", work=folder / "work", trees=20)
        inference = start("inference", "inference", reconcile_seconds=1)
        readyz = json.dumps({name: process.url for name, process in services.items()})
        start("monitor", "reader", readyz=readyz, inference_url=inference.url)
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 3, 90, "three verdicts")
        wait_until(lambda: all(line.ended_at for line in testbed.sql(sa.select(trainings))), 120, "all trainings ended")
        inference.wait_until_ready()
        yield Loop(testbed, rows, services)
    testbed.close()


def test_batches_follow_the_rules_of_its_file(loop: Loop) -> None:
    """Three batches, each row once; only rows within the bounds of the dataset file are clean."""
    places = loop.rows.apply(_place, axis=1)
    batch_rows = {line.number: line for line in loop.testbed.sql(sa.select(batches))}
    assert {n: line.received for n, line in batch_rows.items()} == places.value_counts().to_dict()
    clean = loop.rows[loop.rows["weight"] <= 40]
    assert {n: line.cleaned for n, line in batch_rows.items()} == clean.apply(_place, axis=1).value_counts().to_dict()
    stored = loop.testbed.sql(sa.select(dataset_tables(loop.testbed.dataset).raw.c.serial))
    assert sorted(row.serial for row in stored) == sorted(loop.rows["serial"])


def test_verdicts_are_those_of_pandas_on_its_numbers(loop: Loop) -> None:
    """The 15 % rule on the columns that the dataset file does not ignore."""
    places = loop.rows.apply(_place, axis=1)
    verdicts = {line.number: line.verdict for line in loop.testbed.sql(sa.select(drift_reports))}
    assert verdicts[0] == "not enough data"
    for number in (1, 2):
        columns = ["gears", "weight", "asking"]
        old, new = (loop.rows[places == n][columns].describe() for n in (number - 1, number))
        change = ((new - old).abs() / old.abs()).loc[["mean", "std", "50%", "75%"]]
        assert verdicts[number] == ("drift" if (change > 0.15).any(axis=None) else "no drift")


def test_its_target_is_predicted_and_its_fields_are_checked(loop: Loop) -> None:
    """The response has the target's name; a wrong field is named; the request is stored in the dataset's columns."""
    example = loop.testbed.dataset.example
    status, answer = loop.post(example)
    assert status == 200
    [prediction] = answer["predictions"]
    assert list(prediction) == ["asking"]
    assert prediction["asking"] > 0
    status, problem = loop.post({**example, "gears": "many"})
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["gears"])
    table = dataset_tables(loop.testbed.dataset).requests
    query = sa.select(table).where(table.c.request_id == answer["request_id"])
    [stored] = wait_until(lambda: loop.testbed.sql(query), 20, "the request is in MySQL")
    assert (stored.maker, stored.gears, stored.prediction) == (example["maker"], example["gears"], prediction["asking"])


def test_its_registered_model_takes_its_raw_rows(loop: Loop) -> None:
    """The signature has the dataset's columns except the target. MLflow returns the service's price."""
    mlflow.set_tracking_uri(loop.testbed.mlflow_uri)
    model = mlflow.pyfunc.load_model(f"models:/{loop.testbed.dataset.name}@champion")
    inputs = model.metadata.get_input_schema()
    assert inputs is not None
    names = [column.name for column in loop.testbed.dataset.inputs]
    assert inputs.input_names() == names
    example = {name: loop.testbed.dataset.example[name] for name in names}
    _, answer = loop.post(example)
    assert model.predict(pd.DataFrame([example]))[0] == pytest.approx(answer["predictions"][0]["asking"], rel=1e-12)


def test_the_monitor_shows_it(loop: Loop) -> None:
    """Its title and its batches in a real browser, without an exception."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(loop.services["monitor"].url)
        page.get_by_text("Used bicycles").first.wait_for(timeout=SECONDS)
        page.locator("td", has_text="1/2").first.wait_for(timeout=SECONDS)
        page.get_by_text("became the champion by decision").first.wait_for(timeout=SECONDS)
        assert page.locator("[data-testid=stException]").count() == 0


def _place(row: Any) -> int:
    if row["asking"] <= 700:
        return 0
    return 1 if row["maker"] == "Velox" else 2
