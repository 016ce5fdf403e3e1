"""API_KEYS as it is given to make and to docker compose: what inference accepts, and how its own clients go on."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from support.memory_inference import DATASET, MemoryInference
from support.repository import ROOT
from veleta.api_keys import digest, new_key
from veleta.clock import utc_now
from veleta_inference.bootstrap import key_names
from veleta_inference.settings import InferenceSettings
from veleta_local.demo.run_observer import RunObserver
from veleta_local.run import Run
from veleta_local.variables import Variables
from veleta_monitor.adapters.services import HttpReader
from veleta_monitor.bootstrap import build
from veleta_monitor.settings import MonitorSettings
from veleta_prepare.passwords import FILES, generate_passwords

Client = TestClient[web.Request, web.Application]
KEY, ENTRIES = re.findall(r"^(?:key +|API_KEYS=)(.+)$", new_key("ada"), re.MULTILINE)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that was started with API_KEYS."""
    variables, faults = Variables.from_environment({"API_KEYS": ENTRIES}, tmp_path)
    assert faults == []
    made = Run(tmp_path / "run", variables)
    made.save()
    return made


@pytest.fixture
async def client(run: Run, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client of inference with the environment of that run, and with its key in no header."""
    for name, value in run.environment("inference").items():
        monkeypatch.setenv(name, value)
    inference = MemoryInference(key_names(InferenceSettings()))
    running = asyncio.create_task(inference.service.run())
    async with TestClient(TestServer(inference.application)) as started:
        yield started
    running.cancel()


async def status(client: Client, key: str) -> int:
    """The status of a request with this key."""
    response = await client.post("/predict", json=DATASET.example, headers={"X-API-Key": key})
    return response.status


@pytest.mark.failure("F380")
async def test_a_run_with_keys_answers_only_them(client: Client) -> None:
    """No key, another one, or an empty one: 401."""
    assert await status(client, KEY) == 200
    assert [await status(client, key) for key in ("", "guess", digest(KEY), ENTRIES)] == [401] * 4
    assert (await client.post("/predict", json=DATASET.example)).status == 401
    assert (await client.get("/model")).status == 401


async def test_the_monitor_and_the_demo_have_keys_of_their_own(
    client: Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So both go on when keys are required. Their keys differ, and nobody else has them."""
    for name, value in run.environment("monitor").items():
        monkeypatch.setenv(name, value)
    url = str(client.make_url("")).rstrip("/")
    key = MonitorSettings().api_key.get_secret_value()
    statuses = await asyncio.to_thread(HttpReader({"inference": url}, key).read)
    assert statuses.model
    monkeypatch.setattr(Run, "url", lambda _run, _part: url)
    observer = RunObserver(run, DATASET, lambda _message: None, utc_now, ())
    assert (await observer._predict())[0] == statuses.model.version
    keys = {KEY, key, run.api_key("demo")}
    assert len(keys) == 3
    others = [run.environment(part) for part in run.services if part not in ("inference", "monitor")]
    others += [run.environment_of_clients(), run.environment_of_notebooks(), run.environment_of_prepare()]
    assert not keys & {value for environment in others for value in environment.values()}


def test_compose_passes_the_keys() -> None:
    """Without the variable no key is required, as before."""
    services = yaml.safe_load((ROOT / "compose/services.yaml").read_text())["services"]
    assert services["inference"]["environment"]["INFERENCE_API_KEYS"] == "${API_KEYS:-none}"
    assert services["preflight"]["environment"]["API_KEYS"] == "${API_KEYS:-none}"
    assert services["monitor"]["environment"]["MONITOR_API_KEYS"] == "${API_KEYS:-none}"


@pytest.mark.failure("F476")
def test_the_monitor_knows_whether_keys_are_required(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As inference does: then its form needs a password."""
    for keys_required, started in ((True, run), (False, Run(tmp_path / "open"))):
        started.save()
        for name, value in started.environment("monitor").items():
            monkeypatch.setenv(name, value)
        assert build(MonitorSettings()).keys_required is keys_required


def test_in_containers_only_the_monitor_and_inference_have_the_monitors_key(tmp_path: Path) -> None:
    """It is generated with the passwords, also for a deployment that had none."""
    folder, own = tmp_path / "all", tmp_path / "own"
    for part in (*(f"all/{name}" for name in FILES), "own"):
        (tmp_path / part).mkdir(parents=True)
    generate_passwords(folder, own)
    key = (folder / "monitor/monitor_api_key").read_text()
    assert key == (folder / "inference/inference_monitor_key").read_text()
    holders = {path.parent.name for path in folder.rglob("*") if path.is_file() and path.read_text() == key}
    assert holders == {"monitor", "inference", "prepare"}
