"""Three replicas of inference behind the balancer, under load: replaced, promoted to, killed and removed."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pymysql
import pytest

from support.http import ANSWERED, get, post
from support.load import Answer, load
from support.stack import Stack, docker
from support.testbed import http_status, wait_until
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
REPLICAS, CONNECTIONS, PROMOTIONS = 3, 8, 20
FIRST_MODELS_SECONDS, KEYED_SECONDS = 400, 15
PROMOTION_SECONDS = 5.0
"""In which all replicas serve a version, also on a busy machine."""
SEND = """
import sys
from datetime import datetime, timezone
from veleta.adapters.kafka import KafkaLog
from veleta.commands import send_command
from veleta.events.catalogue import Pause, Promote
from veleta.settings import KafkaSettings
kind, *version = sys.argv[1:]
command = {"pause": Pause, "promote": Promote}[kind](
    dataset="real_estate", actor="test", **({"version": int(version[0])} if version else {})
)
answer = send_command(KafkaLog(KafkaSettings(), "test"), command, "monitor", lambda: datetime.now(timezone.utc))
print(type(answer).__name__)
"""
"""Sends a command, as the monitor does."""
READ_METRICS = "import urllib.request as r; print(r.urlopen('http://localhost:8000/metrics').read().decode())"


@pytest.fixture(scope="module")
def stack(images: None) -> Iterator[Stack]:
    """All replicas are ready. Two versions were promoted, and no batch is fetched any more."""
    made = Stack("veleta-replicas", ["compose/scale.yaml"], TREES="20", POLL_EVERY="5")
    made.down(volumes=True)
    try:
        made.up()
        wait_until(lambda: len(versions(made)) > 1, FIRST_MODELS_SECONDS, "two versions were promoted")
        send(made, "pause")
        wait_until(lambda: ready(made) == REPLICAS, 120, "all replicas are ready")
        yield made
    finally:
        made.down(volumes=True)


def sql(stack: Stack, query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    with pymysql.connect(
        host="127.0.0.1", port=stack.mysql_port, user="root", password=stack.mysql_password
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return list(cursor.fetchall())


def versions(stack: Stack) -> list[int]:
    """The versions that were promoted."""
    return [int(str(version)) for (version,) in sql(stack, "SELECT DISTINCT version FROM PIPELINE.promotions")]


def send(stack: Stack, *command: str) -> None:
    """Send a command, which must be accepted."""
    assert stack.inside("monitor", "python", "-c", SEND, *command).strip() == "CommandAccepted"


def replicas(stack: Stack) -> list[str]:
    """The containers of the replicas that run."""
    return stack.compose("ps", "--quiet", "inference").split()


def in_replica(replica: str, *command: str) -> str:
    """The output of a Python program in a replica."""
    return docker("exec", replica, "python", *command)


def ready(stack: Stack) -> int:
    """How many replicas are ready."""
    probe = "python -m veleta.probe http://localhost:8000/readyz >/dev/null 2>&1 && echo ready || true"
    return sum(docker("exec", replica, "sh", "-c", probe) == "ready\n" for replica in replicas(stack))


def scale(stack: Stack, count: int) -> None:
    """Remove replicas, or start some."""
    stack.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", f"inference={count}", "inference")


def assert_stored_once(stack: Stack, answers: Sequence[Answer]) -> None:
    """MySQL has every answered request once."""
    answered = {answer.request_id for answer in answers if answer.status == 200}
    assert len(answered) > 100

    def stored() -> Counter[object]:
        return Counter(name for (name,) in sql(stack, "SELECT request_id FROM RAW_DATA.new_real_estate"))

    wait_until(lambda: answered <= stored().keys(), 120, "every answered request is in MySQL")
    assert {count for name, count in stored().items() if name in answered} == {1}


def test_the_published_port_is_that_of_the_balancer(stack: Stack) -> None:
    """All replicas get requests. Each has metrics of its own, so the port has none."""
    url = stack.url("inference")
    for _ in range(10 * REPLICAS):
        assert get(f"{url}/model")[0] == 200
    assert http_status(f"{url}/metrics") == 404
    served = [in_replica(replica, "-c", READ_METRICS) for replica in replicas(stack)]
    assert len(served) == REPLICAS
    assert all('path="/model",status="200"' in metrics for metrics in served)
    assert all("veleta_model_version" in metrics for metrics in served)


@pytest.mark.failure("F512")
@pytest.mark.failure("F513")
def test_replacements_and_promotions_fail_no_request(stack: Stack, tmp_path: Path) -> None:
    """Every replica is replaced, 20 versions are promoted, and one replica is removed for good, all under load."""
    pair = versions(stack)[:2]
    before, promoted = set(replicas(stack)), list[tuple[float, int]]()
    with load(stack.url("inference"), [DATASET.example], CONNECTIONS, tmp_path / "load") as answers:
        done = stack.script("compose/rolling.sh")
        assert done.returncode == 0, done.stderr
        assert len(replicas(stack)) == REPLICAS
        assert not before & set(replicas(stack))
        current = int(get(f"{stack.url('inference')}/model")[1]["version"])
        for number in range(PROMOTIONS):
            version = pair[(number + pair.index(current) + 1) % 2] if current in pair else pair[number % 2]
            send(stack, "promote", str(version))
            promoted.append((time.time(), version))
            time.sleep(PROMOTION_SECONDS)
        scale(stack, REPLICAS - 1)
        time.sleep(5)
    results = list(answers)
    assert Counter(answer.status for answer in results).keys() == {200}
    assert_stored_once(stack, results)
    ends = [at for at, _ in promoted[1:]] + [float("inf")]
    lags = []
    for (at, version), end in zip(promoted, ends, strict=True):
        others = [answer.ended - at for answer in results if at < answer.sent < end - 3 and answer.version != version]
        lags.append(max(others, default=0.0))
    sys.stdout.write(f"{len(results)} requests; seconds to the last answer of another version: {max(lags):.2f}\n")
    assert max(lags) < PROMOTION_SECONDS / 2
    scale(stack, REPLICAS)
    wait_until(lambda: ready(stack) == REPLICAS, 120, "all replicas are ready")


@pytest.mark.failure("F510")
def test_a_kill_fails_no_request_with_a_key(stack: Stack) -> None:
    """The balancer sends one that the killed replica had received to another: a key is answered once."""
    end = time.monotonic() + KEYED_SECONDS

    def request(_client: int) -> list[int]:
        statuses = []
        while time.monotonic() < end:
            key = {"Idempotency-Key": uuid4().hex}
            statuses.append(post(f"{stack.url('inference')}/predict", DATASET.example, key)[0])
        return statuses

    with ThreadPoolExecutor(CONNECTIONS) as clients:
        running = [clients.submit(request, number) for number in range(CONNECTIONS)]
        time.sleep(KEYED_SECONDS / 3)
        killed = replicas(stack)[0]
        docker("kill", killed)
    assert {status for each in running for status in each.result()} == {200}
    docker("rm", killed)
    scale(stack, REPLICAS)
    wait_until(lambda: ready(stack) == REPLICAS, 120, "all replicas are ready")


@pytest.mark.failure("F510")
@pytest.mark.failure("F511")
@pytest.mark.failure("F514")
def test_a_replica_that_is_killed_and_removed_loses_nothing(stack: Stack, tmp_path: Path) -> None:
    """While MySQL is down, so its journal has requests. Without MySQL no replica is ready, and all answer.

    Only requests that the killed one had received may fail: at most one of each client.
    """
    with load(stack.url("inference"), [DATASET.example], CONNECTIONS, tmp_path / "load") as answers:
        time.sleep(3)
        stack.kill("mysql")
        wait_until(lambda: ready(stack) == 0, 60, "no replica is ready")
        time.sleep(3)
        killed = replicas(stack)[0]
        assert int(in_replica(killed, "-c", READ_METRICS).split(ANSWERED)[1].split()[0].split(".")[0]) > 10
        docker("kill", killed)
        docker("rm", killed)
        time.sleep(5)
        stack.compose("up", "--detach", "--no-deps", "mysql")
        wait_until(lambda: ready(stack) == REPLICAS - 1, 120, "the others are ready")
        time.sleep(3)
    results = list(answers)
    failed = [answer for answer in results if answer.status != 200]
    sys.stdout.write(f"{len(results)} requests, failed: {[(each.status, round(each.seconds, 2)) for each in failed]}\n")
    assert len(failed) <= CONNECTIONS
    assert_stored_once(stack, results)
    scale(stack, REPLICAS)
