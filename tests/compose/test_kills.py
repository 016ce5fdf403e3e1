"""kill -9 of each container in turn while clients post requests. The audit of the storm then counts everything."""

import sys
import time
from collections.abc import Iterator

import pytest

from support.http import data_api
from support.stack import LONG_RUNNING, Stack
from support.storm.api import RecordingApi
from support.storm.audit import audit_checks, table
from support.storm.client import Client
from support.storm.state_reader import StateReader
from support.testbed import free_port, http_status, wait_until
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")
ENDLESS, SEED = 10**6, 1
KILLED = tuple(part for part in LONG_RUNNING if part != "source")
FIRST_MODEL_SECONDS, SETTLE_SECONDS = 240, 600


@pytest.fixture
def api() -> RecordingApi:
    return RecordingApi(ENDLESS, SEED)


@pytest.fixture
def stack(images: None, api: RecordingApi) -> Iterator[Stack]:
    """The stack with an external data API on this machine, which records what it served."""
    port = free_port()
    with data_api(api.data, api.restart, port, host="0.0.0.0"):  # noqa: S104 - the containers reach it
        url = f"http://host.docker.internal:{port}"
        variables = {"TREES": "20", "POLL_EVERY": "10", "ON_NEW_EPOCH": "keep"}
        made = Stack("veleta-kills", ["compose/api.yaml"], API_URL=url, **variables)
        made.down(volumes=True)
        try:
            made.up()
            yield made
        finally:
            made.down(volumes=True)


def test_kills_of_containers_lose_and_duplicate_nothing(stack: Stack, api: RecordingApi) -> None:
    """Every batch, row, verdict, training, version, decision and answered request exists once and is correct."""
    kills: dict[str, list[float]] = {part: [] for part in KILLED}
    reader = StateReader(stack, DATASET)
    client = Client(stack.url("inference"), DATASET.example, SEED)
    api.open.set()
    wait_until(lambda: http_status(f"{stack.url('inference')}/model") == 200, FIRST_MODEL_SECONDS, "a model is served")
    with client.posting():
        for part in KILLED:
            kills[part].append(time.monotonic())
            stack.kill(part)
            time.sleep(2)
            stack.recover()
        api.end()  # after it the poller is not ready: no epoch opens
        for _ in range(2):
            wait_until(lambda: api.exhausted and not reader.unsettled(), SETTLE_SECONDS, "everything is processed")
            time.sleep(5)
    checks = audit_checks(DATASET, api.served, reader.read(), client.responses, kills)
    sys.stdout.write(f"{table(checks)}\n")
    assert [check.what for check in checks if not check.ok] == []
    assert sum(response.status == 200 for response in client.responses) > 100
