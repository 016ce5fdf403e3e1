"""The default stack, from nothing to a promoted model, and what can be done with it and what cannot."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pymysql
import pytest
from pymysql.err import OperationalError

from support.house import ROOT
from support.http import get, post
from support.stack import LONG_RUNNING, SERVICES, Stack, docker
from support.world import eventually, http_status
from veleta.adapters.kafka import KafkaLog
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
PROMOTED_SECONDS = 300
COUNTED = (
    "RAW_DATA.real_estate",
    "RAW_DATA.new_real_estate",
    "PIPELINE.batches",
    "PIPELINE.drift_reports",
    "PIPELINE.trainings",
    "PIPELINE.promotions",
)
TOPICS = ("batches", "rows", "drift", "retrain", "training", "models", "deadletter")


def served(stack: Stack) -> int:
    """The version that answers; 0 while there is none."""
    url = f"{stack.url('inference')}/model"
    return int(get(url)[1]["version"]) if http_status(url) == 200 else 0


def sql(stack: Stack, query: str, user: str = "root", password: str = "") -> list[tuple[object, ...]]:
    """The rows of a query, over caching_sha2_password without TLS."""
    word = password or stack.mysql_password
    with pymysql.connect(host="127.0.0.1", port=stack.mysql_port, user=user, password=word) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return list(cursor.fetchall())


def counts(stack: Stack) -> dict[str, int]:
    """The rows of each table, the records of each topic."""
    tables = {table: int(str(sql(stack, f"SELECT COUNT(*) FROM {table}")[0][0])) for table in COUNTED}
    log = KafkaLog(stack.kafka_bootstrap, "test")
    bounds = {name: log.bounds(f"{DATASET.name}.{name}") for name in TOPICS}
    return tables | {name: sum(end - first for first, end in parts.values()) for name, parts in bounds.items()}


def secret(stack: Stack, part: str) -> str:
    """The password of a part, as it reads it."""
    return stack.inside(part, "cat", "/run/secrets/mysql_password")


def pause(stack: Stack) -> None:
    """Take no more batches, and let those taken come to their end."""
    say(stack, "pause")

    def quiet() -> bool:
        (batches,), (verdicts,), (open_,) = (
            sql(stack, f"SELECT COUNT(*) FROM PIPELINE.{what}")[0]
            for what in (
                "batches WHERE state = 'loaded'",
                "drift_reports",
                "trainings WHERE state NOT IN ('finished', 'merged', 'skipped', 'failed')",
            )
        )
        return batches == verdicts and open_ == 0

    for _ in range(3):
        eventually(quiet, 180, "all that was taken has come to its end")
        time.sleep(2)


def say(stack: Stack, what: str) -> None:
    """A command to the poller, as the monitor would send it."""
    code = (
        "from datetime import datetime, timezone; from veleta.adapters.kafka import KafkaLog; "
        "from veleta import commands; from veleta.events.catalogue import Pause, Resume; "
        f"kind = {{'pause': Pause, 'resume': Resume}}['{what}']; "
        "print(commands.ask(KafkaLog('kafka:19092', 'test'), kind(dataset='real_estate', actor='test'), 'monitor', "
        "lambda: datetime.now(timezone.utc)).__class__.__name__)"
    )
    assert stack.inside("poller", "python", "-c", code).strip() == "CommandAccepted"


def test_a_model_is_promoted_and_its_price_kept(stack: Stack) -> None:
    """The loop runs, POST /predict answers, and the answer lies in MySQL."""
    eventually(lambda: served(stack), PROMOTED_SECONDS, "a model is served")
    status, answer = post(f"{stack.url('inference')}/predict", DATASET.example)
    assert status == 200
    where = f"request_id = '{answer['request_id']}'"
    kept = eventually(
        lambda: sql(stack, f"SELECT prediction, model_version FROM RAW_DATA.new_real_estate WHERE {where}")
    )
    assert kept == [(answer["predictions"][0]["price"], answer["model"]["version"])]


def test_a_request_is_purged(stack: Stack) -> None:
    """By the command that the README names."""
    assert post(f"{stack.url('inference')}/predict", DATASET.example, {"X-Request-ID": "to purge"})[0] == 200
    kept = "SELECT request_id FROM RAW_DATA.new_real_estate WHERE client_request_id = 'to purge'"
    eventually(lambda: sql(stack, kept), 20, "the request is kept")
    said = stack.inside("retention", "python", "-m", "veleta_retention.purge", "to purge")
    assert said == "rows deleted: 1 of RAW_DATA.new_real_estate, 0 of RAW_DATA.refused_real_estate\n"
    assert sql(stack, kept) == []


def test_all_containers_are_healthy(stack: Stack) -> None:
    """Each by a check that asks it for what it is there for."""
    assert {part: stack.inspect(part)["State"]["Health"]["Status"] for part in LONG_RUNNING} == dict.fromkeys(
        LONG_RUNNING, "healthy"
    )


def test_kafkas_own_tools_read_the_topics(stack: Stack) -> None:
    """From inside its container, at localhost:9092."""
    there = stack.inside("kafka", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--list")
    assert {"real_estate.batches", "real_estate.rows", "real_estate.models"} <= set(there.split())
    told = stack.inside(
        "kafka", "/opt/kafka/bin/kafka-console-consumer.sh", "--bootstrap-server", "localhost:9092",
        "--topic", "real_estate.batches", "--from-beginning", "--max-messages", "1",
    )  # fmt: skip
    (said,) = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert said["dataset"] == DATASET.name


def test_mlflow_and_the_monitor_answer_on_this_machine(stack: Stack) -> None:
    """And source, for it can be asked too."""
    for part, path in (("mlflow", "/health"), ("monitor", "/_stcore/health"), ("source", "/readyz")):
        assert http_status(f"{stack.url(part)}{path}") == 200
    with urlopen(stack.url("monitor")) as page:
        assert "<title>" in page.read().decode()


def test_jupyterlab_opens_the_notebooks_for_who_has_the_token(stack: Stack) -> None:
    """It is healthy, asks for the token, keeps it out of its log, and both notebooks run in its container."""
    stack.up("--no-recreate", "notebooks")
    token = stack.inside("notebooks", "cat", "/run/secrets/jupyter_token")
    address = f"{stack.url('jupyter')}/api/contents"
    assert http_status(address) == 403
    listed = {each["name"] for each in get(f"{address}?token={token}")[1]["content"]}
    assert {"01_model_in_production.ipynb", "02_two_versions.ipynb"} <= listed
    assert token not in stack.compose("logs", "notebooks")
    for name, pictures in (("01_model_in_production", 3), ("02_two_versions", 1)):
        execute = f"python -m nbconvert --to notebook --execute --stdout /notebooks/{name}.ipynb"
        cells = json.loads(stack.inside("notebooks", "sh", "-c", execute))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    """The same containers, all the while."""
    before = {part: (stack.container(part), stack.inspect(part)["State"]["StartedAt"]) for part in LONG_RUNNING}
    stack.up()
    after = {part: (stack.container(part), stack.inspect(part)["State"]["StartedAt"]) for part in LONG_RUNNING}
    assert before == after


@pytest.mark.parametrize(
    ("part", "user", "query"),
    [
        ("loader", "loader", "SELECT 1 FROM PIPELINE.trainings"),
        ("drift", "drift", "DELETE FROM RAW_DATA.real_estate"),
        ("trainer", "trainer", "SELECT 1 FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "SELECT prediction FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "DELETE FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "SELECT 1 FROM RAW_DATA.real_estate"),
        ("retention", "retention", "SELECT prediction FROM RAW_DATA.new_real_estate"),
        ("retention", "retention", "DELETE FROM RAW_DATA.real_estate"),
        ("monitor", "reader", "INSERT INTO PIPELINE.marks VALUES ('x', 'y', 0, 0)"),
        ("monitor", "reader", "SELECT 1 FROM mysql.user"),
        ("monitor", "reader", "CREATE TABLE PIPELINE.x (a INT)"),
    ],
)
def test_nobody_may_do_more_than_the_work_asks_for(stack: Stack, part: str, user: str, query: str) -> None:
    """MySQL refuses it, to the user and with the password of the part."""
    word = secret(stack, part)
    assert sql(stack, "SELECT 1", user, word) == [(1,)]
    with pytest.raises(OperationalError, match="denied"):
        sql(stack, query, user, word)


def test_a_part_has_its_own_secret_and_no_others(stack: Stack) -> None:
    """Neither in its files, nor in what docker tells of it, nor in its log."""
    words = {part: secret(stack, part) for part in ("loader", "drift", "trainer", "inference", "retention", "monitor")}
    words["root"] = stack.mysql_password
    assert len(set(words.values())) == len(words)
    for part in LONG_RUNNING:
        seen = stack.compose("logs", part) + docker("inspect", stack.container(part))
        assert [owner for owner, word in words.items() if word in seen] == []
    for part in SERVICES:
        files = stack.inside(part, "sh", "-c", "cat /run/secrets/* 2>/dev/null || true")
        assert [owner for owner, word in words.items() if word in files] == ([part] if part in words else [])


def test_our_own_containers_may_do_little(stack: Stack) -> None:
    """No root, no capability, no new privilege, nothing to write but their data and /tmp."""
    for part in ("mlflow", *SERVICES):
        told = stack.inspect(part)["HostConfig"]
        assert (told["ReadonlyRootfs"], told["CapDrop"], told["SecurityOpt"]) == (
            True,
            ["ALL"],
            ["no-new-privileges:true"],
        )
        assert stack.inside(part, "id", "-u").strip() == "10001"
        assert "Read-only" in stack.inside(part, "sh", "-c", "touch /app/x 2>&1 || true")
    for part in ("kafka", "mysql"):
        assert stack.inside(part, "id", "-u").strip() != "0"


def test_the_configuration_warns_of_nothing() -> None:
    """Without .env, and with nothing set."""
    command = ["docker", "compose", "--profile", "*", "config", "--quiet"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_only_what_people_need_is_published_and_only_here() -> None:
    """By the files as they are, without the test's own."""
    published = re.findall(
        r'"\$\{BIND:-127\.0\.0\.1\}:\$\{(\w+)_PORT', "".join(f.read_text() for f in (ROOT / "compose").glob("*.yaml"))
    )
    assert sorted(published) == sorted(["KAFKA", "MLFLOW", "SOURCE", "INFERENCE", "MONITOR", "KAFKA_UI", "JUPYTER"])


def test_the_sql_is_the_same_on_mysql(stack: Stack) -> None:
    """The suites that run on MariaDB in the other tiers, on this MySQL, with its passwords by caching_sha2_password."""
    assert sql(stack, "SELECT plugin FROM mysql.user WHERE user = 'root'") == [("caching_sha2_password",)] * 2
    backing = {
        "kafka_bootstrap": stack.kafka_bootstrap,
        "mlflow_url": stack.mlflow_url,
        "mysql_port": stack.mysql_port,
        "mysql_user": stack.mysql_user,
        "mysql_password": stack.mysql_password,
    }
    suites = ["contract/test_transactions.py", "integration/test_prepare.py", "integration/test_loader.py"]
    suites += ["integration/test_drift.py", "integration/test_inference.py", "integration/test_retention.py"]
    files = [f"tests/{suite}" for suite in suites]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--backing", json.dumps(backing), *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout[-3000:])
    assert done.returncode == 0
    assert re.search(r"\d{2,} passed", done.stdout)
    assert "skipped" not in done.stdout


def test_down_and_up_go_on_where_it_stopped(stack: Stack) -> None:
    """The same rows, the same champion, no training twice; then the next batch."""
    pause(stack)
    before, champion = counts(stack), served(stack)
    stack.down()
    stack.up()
    eventually(lambda: served(stack) == champion, 120, "the champion is served again")
    assert counts(stack) == before
    say(stack, "resume")
    eventually(lambda: counts(stack)["PIPELINE.batches"] > before["PIPELINE.batches"], 120, "a batch more")


def test_back_up_destroy_and_restore(stack: Stack, tmp_path: Path) -> None:
    """The same counts, the same offsets, the same price by the same version; and each step refuses what it must."""
    pause(stack)
    before, price = counts(stack), post(f"{stack.url('inference')}/predict", DATASET.example)[1]
    archives = str(tmp_path / "archives")
    assert stack.script("compose/backup.sh", archives).stderr == "the stack is up: docker compose down first\n"
    stack.down()
    done = stack.script("compose/backup.sh", archives)
    assert done.returncode == 0, done.stderr
    assert "is there already" in stack.script("compose/backup.sh", archives).stderr
    assert "docker compose down --volumes" in stack.script("compose/restore.sh", archives).stderr
    stack.down(volumes=True)
    done = stack.script("compose/restore.sh", archives)
    assert done.returncode == 0, done.stderr
    stack.up()
    eventually(lambda: served(stack) == price["model"]["version"], 120, "the champion is served again")
    assert post(f"{stack.url('inference')}/predict", DATASET.example)[1]["predictions"] == price["predictions"]
    before["RAW_DATA.new_real_estate"] += 2
    eventually(lambda: counts(stack) == before, 20, "all is as it was, and the two requests are there")


def test_begin_anew(stack: Stack) -> None:
    """`down --volumes`, `up`: other passwords, the first batch, the first version."""
    word = stack.mysql_password
    stack.down(volumes=True)
    stack.up()
    assert stack.mysql_password != word
    eventually(lambda: served(stack), PROMOTED_SECONDS, "a model is served")
    assert sql(stack, "SELECT MIN(version), MIN(seq) FROM PIPELINE.promotions") == [(1, 1)]
