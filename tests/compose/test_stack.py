"""The default stack: from an empty start to a promoted model, its rights, and its operation."""

import contextlib
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

from support.http import get, post
from support.repository import ROOT
from support.stack import LONG_RUNNING, SERVICES, Stack, docker
from support.testbed import http_status, kafka_login, wait_until
from veleta.adapters.kafka import KafkaLog
from veleta.dataset import load_dataset
from veleta.errors import Retry
from veleta.events.envelope import Message
from veleta.users import MLFLOW_WRITERS

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
    """The served version; 0 before the first."""
    url = f"{stack.url('inference')}/model"
    return int(get(url)[1]["version"]) if http_status(url) == 200 else 0


def sql(stack: Stack, query: str, user: str = "root", password: str = "") -> list[tuple[object, ...]]:
    """The rows of a query, over caching_sha2_password without TLS."""
    password = password or stack.mysql_password
    with pymysql.connect(host="127.0.0.1", port=stack.mysql_port, user=user, password=password) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return list(cursor.fetchall())


def counts(stack: Stack) -> dict[str, int]:
    """The number of rows of each table and of records of each topic."""
    tables = {table: int(str(sql(stack, f"SELECT COUNT(*) FROM {table}")[0][0])) for table in COUNTED}
    log = KafkaLog(stack.kafka, "test")
    bounds = {name: log.bounds(f"{DATASET.name}.{name}") for name in TOPICS}
    return tables | {name: sum(end - first for first, end in parts.values()) for name, parts in bounds.items()}


def secret(stack: Stack, part: str) -> str:
    """The password of a part, from its container."""
    return stack.inside(part, "cat", "/run/secrets/mysql_password")


def pause(stack: Stack) -> None:
    """Fetch no more batches, and wait until the fetched ones are processed."""
    send(stack, "pause")

    def settled() -> bool:
        (batches,), (verdicts,), (open_,) = (
            sql(stack, f"SELECT COUNT(*) FROM PIPELINE.{source}")[0]
            for source in (
                "batches WHERE state = 'loaded'",
                "drift_reports",
                "trainings WHERE state NOT IN ('finished', 'merged', 'skipped', 'failed')",
            )
        )
        return batches == verdicts and open_ == 0

    for _ in range(3):
        wait_until(settled, 180, "all fetched batches are processed")
        time.sleep(2)


def send(stack: Stack, command: str) -> None:
    """Send a command to the poller, as the monitor does."""
    code = (
        "from datetime import datetime, timezone; from veleta.adapters.kafka import KafkaLog; "
        "from veleta.commands import send_command; from veleta.events.catalogue import Pause, Resume; "
        "from veleta.settings import KafkaSettings; "
        f"kind = {{'pause': Pause, 'resume': Resume}}['{command}']; "
        "print(send_command(KafkaLog(KafkaSettings(), 'test'), kind(dataset='real_estate', actor='test'), 'monitor', "
        "lambda: datetime.now(timezone.utc)).__class__.__name__)"
    )
    assert stack.inside("monitor", "python", "-c", code).strip() == "CommandAccepted"


def test_a_model_is_promoted_and_its_price_is_stored(stack: Stack) -> None:
    """The loop runs, POST /predict answers, and MySQL has the answer."""
    wait_until(lambda: served(stack), PROMOTED_SECONDS, "a model is served")
    status, answer = post(f"{stack.url('inference')}/predict", DATASET.example)
    assert status == 200
    where = f"request_id = '{answer['request_id']}'"
    rows = wait_until(
        lambda: sql(stack, f"SELECT prediction, model_version FROM RAW_DATA.new_real_estate WHERE {where}")
    )
    assert rows == [(answer["predictions"][0]["price"], answer["model"]["version"])]


def test_a_request_is_purged(stack: Stack) -> None:
    """By the documented command."""
    assert post(f"{stack.url('inference')}/predict", DATASET.example, {"X-Request-ID": "to purge"})[0] == 200
    stored = "SELECT request_id FROM RAW_DATA.new_real_estate WHERE client_request_id = 'to purge'"
    wait_until(lambda: sql(stack, stored), what="the request is stored")
    output = stack.inside("retention", "python", "-m", "veleta_retention.purge", "to purge")
    assert output == "rows deleted: 1 of RAW_DATA.new_real_estate, 0 of RAW_DATA.refused_real_estate\n"
    assert sql(stack, stored) == []


def test_a_drift_report_is_written(stack: Stack) -> None:
    """By the documented command."""
    wait_until(lambda: sql(stack, "SELECT verdict FROM PIPELINE.drift_reports WHERE epoch = 1 AND number = 0"))
    page = stack.inside("monitor", "python", "-m", "veleta_monitor.report", "1/0")
    assert "<title>Drift report: batch 1/0, USA real estate</title>" in page


def test_all_containers_are_healthy(stack: Stack) -> None:
    """Each check requests the function of its container."""
    assert {part: stack.inspect(part)["State"]["Health"]["Status"] for part in LONG_RUNNING} == dict.fromkeys(
        LONG_RUNNING, "healthy"
    )


def test_kafkas_own_tools_read_the_topics(stack: Stack) -> None:
    """From inside its container, at localhost:9092."""
    names = stack.inside("kafka", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", "localhost:9092", "--list")
    assert {"real_estate.batches", "real_estate.rows", "real_estate.models"} <= set(names.split())
    output = stack.inside(
        "kafka", "/opt/kafka/bin/kafka-console-consumer.sh", "--bootstrap-server", "localhost:9092",
        "--topic", "real_estate.batches", "--from-beginning", "--max-messages", "1",
    )  # fmt: skip
    (event,) = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert event["dataset"] == DATASET.name


@pytest.mark.failure("F385")
@pytest.mark.parametrize("part", ["loader", "drift", "trainer", "inference", "retention", "monitor"])
def test_a_part_writes_no_topic_of_another(stack: Stack, part: str) -> None:
    """Kafka refuses it to the user of the part, with the password from its container."""
    password = stack.inside(part, "cat", "/run/secrets/kafka_password")
    log = KafkaLog(kafka_login(stack.kafka_admin.bootstrap, part, password), "test")
    assert log.bounds("real_estate.batches" if part != "inference" else "real_estate.models")
    with pytest.raises(Retry, match="AuthorizationFailed"):
        log.publish([Message("real_estate.rows", "k", (), b"")])
    log.close()


@pytest.mark.failure("F386")
def test_the_published_port_of_kafka_only_reads(stack: Stack) -> None:
    """A client has no login there."""
    log = KafkaLog(stack.kafka, "test")
    assert log.bounds("real_estate.batches")
    with pytest.raises(Retry, match="AuthorizationFailed"):
        log.publish([Message("real_estate.commands", "k", (), b"")])
    log.close()


def test_mlflow_and_the_monitor_answer_on_this_machine(stack: Stack) -> None:
    """And source, whose port is published too."""
    for part, path in (("mlflow", "/health"), ("monitor", "/_stcore/health"), ("source", "/readyz")):
        assert http_status(f"{stack.url(part)}{path}") == 200
    with urlopen(stack.url("monitor")) as page:
        assert "<title>" in page.read().decode()


def test_jupyterlab_opens_the_notebooks_with_the_token(stack: Stack) -> None:
    """It is healthy, requires the token, does not log it, and both notebooks run in its container."""
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
    """The containers are not recreated or restarted."""
    before = {part: (stack.container(part), stack.inspect(part)["State"]["StartedAt"]) for part in LONG_RUNNING}
    stack.up()
    after = {part: (stack.container(part), stack.inspect(part)["State"]["StartedAt"]) for part in LONG_RUNNING}
    assert before == after


@pytest.mark.parametrize(
    ("part", "user", "query"),
    [
        ("loader", "loader", "SELECT 1 FROM PIPELINE.trainings"),
        ("drift", "drift", "DELETE FROM RAW_DATA.real_estate"),
        ("drift", "drift", "UPDATE PIPELINE.marks_loader SET next_offset = 0"),
        ("trainer", "trainer", "SELECT 1 FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "SELECT prediction FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "DELETE FROM RAW_DATA.new_real_estate"),
        ("inference", "inference", "SELECT 1 FROM RAW_DATA.real_estate"),
        ("retention", "retention", "SELECT prediction FROM RAW_DATA.new_real_estate"),
        ("retention", "retention", "UPDATE RAW_DATA.real_estate SET price = 1"),
        ("monitor", "reader", "INSERT INTO PIPELINE.marks VALUES ('x', 'y', 0, 0)"),
        ("monitor", "reader", "SELECT city FROM RAW_DATA.new_real_estate"),
        ("monitor", "reader", "SELECT 1 FROM mysql.user"),
        ("monitor", "reader", "CREATE TABLE PIPELINE.x (a INT)"),
    ],
)
def test_a_user_has_only_the_rights_it_needs(stack: Stack, part: str, user: str, query: str) -> None:
    """MySQL denies it to the user with the password of the part, and any login from outside its network."""
    password = secret(stack, part)
    networks = stack.inspect("mysql")["NetworkSettings"]["Networks"]
    (address,) = (network["IPAddress"] for name, network in networks.items() if name.endswith("_mysql"))
    client = ("mysql", "mysql", f"--host={address}", f"--user={user}", f"--password={password}", "--execute")
    assert stack.inside(*client, "SELECT 7").split() == ["7", "7"]
    with pytest.raises(AssertionError, match="denied"):
        stack.inside(*client, query)
    with pytest.raises(OperationalError, match=r"denied|not allowed"):
        sql(stack, "SELECT 7", user, password)


def test_a_part_has_only_its_own_secret(stack: Stack) -> None:
    """No other secret is in its files, in the output of docker inspect, or in its log."""
    secrets = {
        part: secret(stack, part) for part in ("loader", "drift", "trainer", "inference", "retention", "monitor")
    }
    secrets["root"], secrets["admin"] = stack.mysql_password, stack.kafka_admin.password.get_secret_value()
    kafka = {part: stack.inside(part, "cat", "/run/secrets/kafka_password") for part in SERVICES if part != "source"}
    assert len({*secrets.values(), *kafka.values()}) == len(secrets) + len(kafka)
    for part in LONG_RUNNING:
        seen = stack.compose("logs", part) + docker("inspect", stack.container(part))
        assert [owner for owner, password in secrets.items() if password in seen] == []
    for part in SERVICES:
        files = stack.inside(part, "sh", "-c", "cat /run/secrets/* 2>/dev/null || true")
        assert [owner for owner, password in secrets.items() if password in files] == (
            [part] if part in secrets else []
        )
        assert [owner for owner, password in kafka.items() if password in files] == ([part] if part in kafka else [])
        assert [owner for owner, token in stack.mlflow_tokens.items() if token in files] == (
            [part] if part in MLFLOW_WRITERS else []
        )


def test_our_own_containers_have_few_rights(stack: Stack) -> None:
    """No root, no capability, no new privilege; only their data and /tmp are writable. Processes are limited."""
    for part in LONG_RUNNING:
        config = stack.inspect(part)["HostConfig"]
        assert (config["ReadonlyRootfs"], config["CapDrop"], config["SecurityOpt"], config["PidsLimit"]) == (
            True,
            ["ALL"],
            ["no-new-privileges:true"],
            512,
        )
        assert "Read-only" in stack.inside(part, "sh", "-c", "touch /usr/x 2>&1 || true")
        user = stack.inside(part, "id", "-u").strip()
        assert user != "0" if part in ("kafka", "mysql") else user == "10001"


@pytest.mark.failure("F411")
@pytest.mark.parametrize(
    ("part", "host", "port", "reached"),
    [
        ("poller", "source", 8090, True),
        ("loader", "source", 8090, False),
        ("inference", "source", 8090, False),
        ("loader", "mlflow", 5000, False),
        ("source", "mlflow", 5000, False),
        ("trainer", "mlflow", 5000, True),
        ("poller", "mysql", 3306, False),
        ("source", "kafka", 19092, False),
        ("loader", "kafka", 19092, True),
    ],
)
def test_a_container_reaches_only_what_it_needs(stack: Stack, part: str, host: str, port: int, reached: bool) -> None:
    """Also among those with published ports, which share a network."""
    code = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
    tried = stack.inside(part, "sh", "-c", f'python -c "{code}" 2>/dev/null && echo reached || echo refused')
    assert tried.strip() == ("reached" if reached else "refused")


def test_the_configuration_has_no_warning() -> None:
    """Without .env and without variables."""
    command = ["docker", "compose", "--profile", "*", "config", "--quiet"]
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_only_these_ports_are_published_and_only_on_this_machine() -> None:
    """In the files of compose/, without the overlay of the tests."""
    text = "".join(file.read_text() for file in (ROOT / "compose").glob("*.yaml"))
    published = re.findall(r'"\$\{(\w+)_BIND:-127\.0\.0\.1\}:\$\{\1_PORT', text)
    parts = ["KAFKA", "MLFLOW", "SOURCE", "INFERENCE", "MONITOR", "KAFKA_UI", "JUPYTER"]
    assert sorted(published) == sorted([*parts, "INFERENCE"])  # compose/scale.yaml: that of the balancer instead


def test_the_sql_is_the_same_on_mysql(stack: Stack) -> None:
    """The tests that otherwise run on MariaDB pass on this MySQL with caching_sha2_password."""
    assert sql(stack, "SELECT plugin FROM mysql.user WHERE user = 'root'") == [("caching_sha2_password",)] * 2
    backing = {
        "kafka_bootstrap": stack.kafka.bootstrap,
        "kafka_admin_bootstrap": stack.kafka_admin.bootstrap,
        "kafka_password": stack.kafka_admin.password.get_secret_value(),
        "mlflow_url": stack.mlflow_url,
        "mlflow_tokens": stack.mlflow_tokens,
        "mysql_port": stack.mysql_port,
        "mysql_user": stack.mysql_user,
        "mysql_password": stack.mysql_password,
    }
    contracts = ("transactions", "loader_repositories", "drift_repositories", "trainer_repositories")
    files = [f"tests/contract/test_{name}.py" for name in contracts]
    files += [f"tests/integration/test_{name}.py" for name in ("prepare", "loader", "drift", "inference", "retention")]
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


def test_up_after_down_continues(stack: Stack) -> None:
    """The same rows and the same champion, no repeated training; then the next batch."""
    pause(stack)
    before, champion = counts(stack), served(stack)
    stack.down()
    stack.up()
    wait_until(lambda: served(stack) == champion, 120, "the champion is served again")
    assert counts(stack) == before
    send(stack, "resume")
    wait_until(lambda: counts(stack)["PIPELINE.batches"] > before["PIPELINE.batches"], 120, "one more batch")


def test_back_up_destroy_and_restore(stack: Stack, tmp_path: Path) -> None:
    """The same counts, offsets and price after the restore. Each step refuses an unsafe call."""
    pause(stack)
    before, price = counts(stack), post(f"{stack.url('inference')}/predict", DATASET.example)[1]
    archives = str(tmp_path / "archives")
    assert stack.script("compose/backup.sh", archives).stderr == "the stack is up: docker compose down first\n"
    stack.down()
    done = stack.script("compose/backup.sh", archives)
    assert done.returncode == 0, done.stderr
    assert "exists: pass a new folder" in stack.script("compose/backup.sh", archives).stderr
    assert "docker compose down --volumes" in stack.script("compose/restore.sh", archives).stderr
    stack.down(volumes=True)
    done = stack.script("compose/restore.sh", archives)
    assert done.returncode == 0, done.stderr
    stack.up()
    wait_until(lambda: served(stack) == price["model"]["version"], 120, "the champion is served again")
    assert post(f"{stack.url('inference')}/predict", DATASET.example)[1]["predictions"] == price["predictions"]
    before["RAW_DATA.new_real_estate"] += 2
    with contextlib.suppress(AssertionError):
        wait_until(lambda: counts(stack) == before)
    assert counts(stack) == before  # pytest shows what differs


def test_up_after_down_with_volumes_starts_from_nothing(stack: Stack) -> None:
    """New passwords, the first batch, the first version."""
    password = stack.mysql_password
    stack.down(volumes=True)
    stack.up()
    assert stack.mysql_password != password
    wait_until(lambda: served(stack), PROMOTED_SECONDS, "a model is served")
    assert sql(stack, "SELECT MIN(version), MIN(seq) FROM PIPELINE.promotions") == [(1, 1)]
