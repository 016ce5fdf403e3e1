"""The whole system as `make start` runs it: from a CSV file to a served price. The tests depend on their order."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psutil
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from playwright.sync_api import expect

from support import other_account
from support.browser import chromium
from support.demo import DemoInTerminal
from support.http import get, post
from support.listings import write_csv
from support.scoring_forms import forms, guessed_forms, invalid_forms
from support.testbed import admin_login, free_base, free_port, http_status, wait_until
from veleta.adapters.kafka import KafkaLog
from veleta.adapters.mlflow import MlflowRegistry
from veleta.adapters.mysql import mysql_engine
from veleta.dataset import load_dataset
from veleta.events.catalogue import Poll
from veleta.tables import batches, dataset_tables, drift_reports, promotions, trainings
from veleta.topics import declared_topics
from veleta.users import USERS
from veleta_local import processes, record_format, topics
from veleta_local.demo.view import VIEWER_HINT
from veleta_local.deployment import PYTHON, ROOT
from veleta_local.run import Run
from veleta_local.send_command import send_command
from veleta_local.supervise import base_environment
from veleta_local.variables import Variables

DATASET = load_dataset("real_estate")
TABLES = dataset_tables(DATASET)
PLACES, ROWS = 6, 150
CELLS = "tables => tables.map(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText)))"
"""Returns the text of every cell of every row of every table."""


class Client:
    """Posts the example row repeatedly in a thread and records every response."""

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self._url = url
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._post_on)

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def versions(self) -> set[int]:
        return {answer["model"]["version"] for status, answer in self.answers if status == 200}

    def _post_on(self) -> None:
        while not self._enough.is_set():
            self.answers.append(post(f"{self._url}/predict", DATASET.example))


class Stack:
    """The run under test."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.url = run.url("inference")
        self._engine = mysql_engine(admin_login(run))

    def sql(self, query: sa.Executable) -> list[Any]:
        with self._engine.begin() as connection:
            return list(connection.execute(query).all())

    def execute(self, statement: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.text(statement))

    def frame(self, table: sa.Table) -> pd.DataFrame:
        with self._engine.begin() as connection:
            return pd.read_sql(sa.select(table), connection)

    def kill(self, service: str) -> None:
        """kill -9; supervisor restarts the process."""
        os.kill(self.run.pid(service), signal.SIGKILL)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`make start` on its own run, which has loaded the first batch and polls only by command."""
    folder = tmp_path_factory.mktemp("loop")
    write_csv(folder / "listings.csv", ROWS, seed=7)
    variables = Variables(
        csv=str(folder / "listings.csv"), at_end="stop", poll_every="3600", trees="50", port_base=str(free_base())
    )
    run = Run(folder / "home", variables, report=lambda _line: None)
    try:
        run.start(300)
        yield Stack(run)
    finally:
        run.stop()


def all_loaded(stack: Stack) -> bool:
    return [row.state for row in stack.sql(sa.select(batches))] == ["loaded"] * PLACES


def all_ended(stack: Stack) -> bool:
    verdicts = stack.sql(sa.select(drift_reports))
    lines = stack.sql(sa.select(trainings))
    asked = sum(v.verdict == "drift" or v.number == 0 for v in verdicts)
    return len(verdicts) == PLACES and len(lines) == asked and all(line.ended_at for line in lines)


def test_start_returns_with_a_model_served(stack: Stack) -> None:
    """The example row gets a price and is in new_real_estate with its version and price."""
    status, answer = post(f"{stack.url}/predict", DATASET.example)
    assert status == 200
    mine = sa.select(TABLES.requests).where(TABLES.requests.c.request_id == answer["request_id"])
    (stored,) = wait_until(lambda: stack.sql(mine), what="the request is in MySQL")
    assert stored.prediction == answer["predictions"][0][DATASET.target]
    assert stored.model_version == answer["model"]["version"]


@pytest.mark.failure("F22", "F47")
def test_no_request_fails_while_models_change_and_services_die(stack: Stack) -> None:
    """kill -9 of loader and trainer at work while a client posts: no request fails, and the version changes."""
    with Client(stack.url) as client:
        wait_until(lambda: len(client.versions()) == 1, what="an answer")
        for _ in range(PLACES - 1):
            send_command(stack.run.kafka_operator, Poll, DATASET.name)
        wait_until(lambda: _state(stack, "planned"), 120, "a training is under way")
        stack.kill("trainer")
        stack.kill("loader")
        wait_until(lambda: all_loaded(stack), 240, "every batch is loaded")
        wait_until(lambda: all_ended(stack), 240, "every request to train has ended")
        newest = stack.sql(sa.select(sa.func.max(promotions.c.version)).where(promotions.c.decision == "promoted"))
        wait_until(lambda: newest[0][0] in client.versions(), 60, "the champion answers")
        time.sleep(1)
    assert {status for status, _ in client.answers} == {200}
    assert len(client.versions()) > 1
    asked = len(client.answers) + 1
    counted = sa.select(sa.func.count()).select_from(TABLES.requests)
    wait_until(lambda: stack.sql(counted)[0][0] == asked, what="every answered request is in MySQL once")
    stored = {row.request_id: row for row in stack.sql(sa.select(TABLES.requests))}
    for _, answer in client.answers:
        row = stored[answer["request_id"]]
        assert (row.model_version, row.prediction) == (
            answer["model"]["version"],
            answer["predictions"][0][DATASET.target],
        )


def test_every_row_is_stored_once(stack: Stack) -> None:
    """Six batches of the right size; each row once, each cleaned or counted."""
    transactions = stack.sql(sa.select(batches).order_by(batches.c.number))
    assert [(row.epoch, row.number, row.received) for row in transactions] == [(1, n, ROWS) for n in range(PLACES)]
    raw = stack.frame(TABLES.raw)
    assert Counter(raw["number"]) == dict.fromkeys(range(PLACES), ROWS)
    assert not raw.duplicated(["epoch", "number", "row_no"]).any()
    assert len(stack.frame(TABLES.clean)) == sum(row.cleaned for row in transactions)
    assert all(row.cleaned + sum(row.rejected.values()) == row.received for row in transactions)


def test_verdicts_equal_those_computed_with_pandas(stack: Stack) -> None:
    """From the rows as stored: every change of every comparison to 1e-9 relative, and the verdict."""
    raw = stack.frame(TABLES.raw)
    compared = stack.frame(TABLES.comparison).set_index("number")
    verdicts = {row.number: row.verdict for row in stack.sql(sa.select(drift_reports))}
    assert verdicts[0] == "not enough data"
    for number in range(1, PLACES):
        old, new = (raw[raw["number"] == n][DATASET.drift_columns].describe() for n in (number - 1, number))
        change = ((new - old).abs() / old.abs()).loc[["mean", "std", "50%", "75%"]]
        for column in DATASET.drift_columns:
            for theirs, value in change[column].items():
                stored = compared.loc[number, f"{column}_{str(theirs).removesuffix('%')}"]
                assert stored == pytest.approx(value, rel=1e-9)
        assert verdicts[number] == ("drift" if (change > 0.15).any(axis=None) else "no drift")
        assert compared.loc[number, "retrain"] == (verdicts[number] == "drift")


def test_each_request_ended_once_and_each_training_is_one_version(stack: Stack) -> None:
    """Versions, finished trainings and decisions agree; there is one champion."""
    lines = stack.sql(sa.select(trainings))
    assert {line.state for line in lines} <= {"finished", "merged", "skipped"}
    finished = sorted(line.version for line in lines if line.state == "finished")
    client = MlflowClient(stack.run.mlflow_url)
    versions = sorted(int(v.version) for v in client.search_model_versions(f"name = '{DATASET.name}'"))
    decided = stack.sql(sa.select(promotions).order_by(promotions.c.seq))
    assert versions == finished == [row.version for row in decided] == list(range(1, len(versions) + 1))
    champion = MlflowRegistry(stack.run.mlflow_url, DATASET.name).alias("champion")
    assert champion is not None
    assert champion.number == [row.version for row in decided if row.decision == "promoted"][-1]


def test_mlflow_serves_the_same_price(stack: Stack, tmp_path: Path) -> None:
    """Plain `mlflow models serve` of the champion: raw rows in each form, and invalid bodies; its client too."""
    port = free_port()
    environment = {
        "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "MLFLOW_TRACKING_URI": stack.run.mlflow_url,
    }
    model = ["-m", f"models:/{DATASET.name}@champion", "--env-manager", "local", "-p", str(port)]
    command = [str(PYTHON.parent / "mlflow"), "models", "serve", *model]
    with (tmp_path / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: http_status(f"http://127.0.0.1:{port}/ping") == 200, 90, "mlflow serves")
        row = {c.name: DATASET.example[c.name] for c in DATASET.inputs}
        other = {**row, "house_size": 3_000.0, "city": "Macondo"}
        services = [f"http://127.0.0.1:{port}", stack.url]
        several = [post(f"{url}/invocations", form) for form in forms([row, other]) for url in services]
        one = [post(f"{url}/invocations", form) for form in forms([row]) for url in services]
        wrong = invalid_forms(row, "house_size")
        refused = [[post(f"{url}/invocations", form)[0] for form in wrong] for url in services]
        odd = guessed_forms(row, "house_size", "city")
        guessed = [[post(f"{url}/invocations", form)[0] for form in odd] for url in services]
        frame = pd.DataFrame([row, other])
        clients: list[Any] = [
            ScoringServerClient("127.0.0.1", each)  # type: ignore[no-untyped-call]  # MLflow leaves it untyped
            for each in (port, stack.run.ports["inference"])
        ]
        for client in clients:
            client.wait_server_ready(30)
        invoked = [client.invoke(frame).get_predictions()[0].tolist() for client in clients]
        assert [client.get_version() for client in clients] == [mlflow.__version__] * 2
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
    _, answer = post(f"{stack.url}/predict", [row, other])
    assert "city" in {warning["field"] for warning in answer["predictions"][1]["warnings"]}  # learnt by a real training
    prices = pytest.approx([each[DATASET.target] for each in answer["predictions"]], rel=1e-12)
    assert several == [(200, {"predictions": prices})] * len(several)
    assert one == [(200, {"predictions": pytest.approx(invoked[0][:1], rel=1e-12)})] * len(one)
    assert refused == [[400] * len(wrong), [422] * len(wrong)]
    assert guessed == [[200] * len(odd), [422] * len(odd)]
    assert invoked == [prices] * 2


def test_a_notebook_runs(stack: Stack, tmp_path: Path) -> None:
    """From top to bottom on the running system, with its plot and text. tests/compose runs the other notebook too."""
    name = "02_two_versions.ipynb"
    command = [str(PYTHON), "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", str(tmp_path)]
    environment = base_environment() | stack.run.environment_of_notebooks()
    done = subprocess.run(
        [*command, str(ROOT / "notebooks" / name)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / name).read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    text = "".join(line for output in outputs for line in output.get("text", []))
    assert re.search("Strongest feature: .* in version 1, ", text)


def test_topics_and_tail_are_readable(stack: Stack) -> None:
    """The declared topics and no others (topics of other tests have other dataset names)."""
    kafka = stack.run.kafka
    ours = sorted(name for name in topics.names(kafka) if name.startswith(f"{DATASET.name}."))
    assert ours == sorted(t.name for t in declared_topics(DATASET.name))
    log, drift = KafkaLog(kafka, "test"), f"{DATASET.name}.drift"
    assert "drift.assessed" in record_format.title(topics.summary(log, drift).last[0])
    shown = "\n".join(map(record_format.as_text, topics.tail(log, drift, None, 1)))
    assert "verdict: drift" in shown
    assert "house_size" in shown


def test_the_monitor_shows_the_loop(stack: Stack) -> None:
    """In a real browser: ready stages, each batch with its verdict, each decision, the served version and why."""
    _, model = get(f"{stack.url}/model")
    verdicts = {f"1/{row.number}": row.verdict for row in stack.sql(sa.select(drift_reports))}
    decided = [(str(row.version), row.decision, str(row.seq)) for row in stack.sql(sa.select(promotions))]
    with chromium() as browser:
        page = browser.new_page()
        page.goto(stack.run.url("monitor"))
        for stage in ("source", "poller", "loader", "drift", "trainer", "inference"):
            expect(page.locator(f'[data-stage="{stage}"] .state')).to_have_text("ready", timeout=60_000)
        page.locator(".veleta table").nth(1).wait_for(timeout=60_000)
        shown, versions = page.eval_on_selector_all(".veleta table", CELLS)
        page.get_by_text(f"Version {model['version']} became the champion by decision").wait_for(timeout=60_000)
        page.get_by_text(f"Reason for the training: {model['causes']['reason']}").wait_for(timeout=60_000)
        assert page.locator("[data-testid=stException]").count() == 0
    # Below the verdict that decides are those of the other policies, and below an outcome whether it helped.
    assert {row[0]: (row[1], row[2], row[5].splitlines()[0]) for row in shown} == {
        batch: ("loaded", str(ROWS), verdict) for batch, verdict in verdicts.items()
    }
    decisions = {(row[0].split()[0], row[1].splitlines()[0], row[2]) for row in versions if row[2] != "-"}
    assert decisions == set(decided)
    assert [row[0].split() for row in versions if "served" in row[0]] == [[str(model["version"]), "served"]]


@pytest.mark.failure("F393", "F394")
def test_another_account_of_this_machine_gets_nothing(stack: Stack) -> None:
    """It runs no command, changes no model, takes no batch and reads no secret. Kafka has a test of its own."""
    run, processes_of_run = stack.run, processes.of_run(stack.run.home)
    mlflow_api, source = f"{run.mlflow_url}/api/2.0/mlflow", run.url("source")
    assistant = f"{run.mlflow_url}/ajax-api/3.0/mlflow/assistant"
    alias = {"name": DATASET.name, "alias": "champion", "version": "1"}
    cursors = run.home / "source/cursors.json"
    before = get(f"{stack.url}/model")[1]["version"], cursors.read_text()
    stack.execute("CREATE USER open_to_all@'127.0.0.1'")  # shows that the attack would find one
    folders = [Path(folder) for root in (run.home, run.sockets) for folder, _, _ in os.walk(root)]
    found = other_account.attack(
        {
            "paths": [str(path) for folder in folders for path in (folder, *folder.iterdir())],
            "pids": [process.pid for process in processes_of_run],
            "requests": [
                ("GET", f"{assistant}/config", None),
                ("PUT", f"{assistant}/config", {}),
                ("POST", f"{mlflow_api}/registered-models/alias", alias),
                ("DELETE", f"{mlflow_api}/registered-models/delete", {"name": DATASET.name}),
                ("GET", f"{source}/data?group_number=1", None),
                ("GET", f"{source}/restart_data_generation?group_number=1", None),
            ],
            "mysql_port": run.mysql_port,
            "users": ["root", "admin", *(user.name for user in USERS), "", "open_to_all"],
        }
    )
    assert found["account"] == [other_account.UID, other_account.UID, []]
    stack.execute("DROP USER open_to_all@'127.0.0.1'")
    assert (found["read"], found["environments"], found["logins"]) == ([], [], ["open_to_all"])
    assert list(found["statuses"].values()) == [404, 404, 401, 401, 401, 401]
    secrets = [line.split("=", 1)[1] for line in shlex.split((run.home / "secrets").read_text())]
    assert len(secrets) > len(USERS)
    assert [secret for secret in secrets if any(secret in command for command in found["commands"])] == []
    assert {root.stat().st_mode & 0o777 for root in (run.home, run.sockets)} == {0o700}
    assert (get(f"{stack.url}/model")[1]["version"], cursors.read_text()) == before


@pytest.mark.failure("F394")
def test_nothing_listens_beyond_this_machine(stack: Stack) -> None:
    """Not one of all sockets of the run's processes, as `ss -ltnp` shows them."""
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for process in processes.of_run(stack.run.home)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {stack.run.ports[part] for part in stack.run.parts} <= {port for _, port in listening}
    assert {address for address, _ in listening} == {"127.0.0.1"}


def test_a_second_start_changes_nothing_and_a_demo_of_a_run_that_is_up_is_a_viewer(stack: Stack) -> None:
    """It draws the run on the terminal. Ctrl-C and a closed terminal end only the viewer."""
    before = {part: stack.run.pid(part) for part in stack.run.parts}
    stack.run.start(60)
    assert {part: stack.run.pid(part) for part in stack.run.parts} == before
    version = get(f"{stack.url}/model")[1]["version"]
    viewers = [DemoInTerminal(stack.run.home, "{}", columns) for columns in (80, 120)]
    for viewer in viewers:
        for text in ("no training is running", f"the example:  v{version} ", stack.url, VIEWER_HINT):
            viewer.wait_for(text)
    assert viewers[0].end() == 0
    viewers[1].close()
    assert {part: stack.run.pid(part) for part in stack.run.parts} == before


def _state(stack: Stack, state: str) -> bool:
    return any(line.state == state for line in stack.sql(sa.select(trainings)))
