"""MLflow's server as it is started, with its own client and its pages in a browser."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from playwright.sync_api import Browser, expect

from support.http import idle_connections
from support.mlflow_server import TOKENS, MlflowServer, mlflow_server, server_environment
from support.testbed import http_status

MODEL = "houses"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server with one registered version."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch, mlflow_server(folder) as started:
        patch.setenv("MLFLOW_TRACKING_TOKEN", TOKENS["trainer"])
        client = MlflowClient(started.url)
        run = client.create_run(client.create_experiment(MODEL), run_name="the first run")
        client.log_text(run.info.run_id, "text", "model/file.txt")
        client.set_terminated(run.info.run_id)
        client.create_registered_model(MODEL)
        client.create_model_version(MODEL, f"runs:/{run.info.run_id}/model", run.info.run_id)
        client.set_registered_model_alias(MODEL, "champion", "1")
        yield started


@pytest.fixture
def client(server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client without a token."""
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return MlflowClient(server.url)


@pytest.mark.failure("F350")
def test_nobody_can_configure_an_agent(server: MlflowServer) -> None:
    """From this machine, where MLflow itself would accept it. Nothing is written to its HOME."""
    body = json.dumps({"providers": {"claude_code": {"selected": True, "permissions": {"full_access": True}}}})
    request = Request(f"{server.url}/ajax-api/3.0/mlflow/assistant/config", body.encode(), method="PUT")
    request.add_header("Content-Type", "application/json")
    with pytest.raises(OSError, match="404"):
        urlopen(request, timeout=10)
    assert not (server.home / ".mlflow").exists()


@pytest.mark.failure("F352")
def test_a_client_without_the_token_only_reads(client: MlflowClient, tmp_path: Path) -> None:
    """Runs, versions, aliases and files."""
    version = client.get_model_version_by_alias(MODEL, "champion")
    assert client.search_model_versions(f"name = '{MODEL}'")[0].version == version.version
    assert Path(client.download_artifacts(str(version.run_id), "model/file.txt", str(tmp_path))).read_text() == "text"
    for write in (
        lambda: client.set_registered_model_alias(MODEL, "champion", "1"),
        lambda: client.delete_model_version(MODEL, "1"),
        lambda: client.create_experiment("another"),
    ):
        with pytest.raises(MlflowException, match="writes need the token") as refused:
            write()
        assert refused.value.get_http_status_code() == 401  # type: ignore[no-untyped-call]  # MLflow has no types
    with pytest.raises(OSError, match="401"):
        client.log_text(str(version.run_id), "other", "model/file.txt")


@pytest.mark.failure("F352")
def test_a_person_with_the_token_can_move_the_alias(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/how-to/other-tools.md shows it."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKENS["trainer"])
    client.set_registered_model_alias(MODEL, "candidate", "1")
    assert client.get_model_version_by_alias(MODEL, "candidate").version == "1"
    client.delete_registered_model_alias(MODEL, "candidate")


@pytest.mark.failure("F350")
def test_another_host_name_is_refused(server: MlflowServer) -> None:
    """A page of another site cannot reach it by a name that leads to this machine."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 403
    connection.close()


def test_the_pages_work_in_a_browser(server: MlflowServer, browser: Browser) -> None:
    """The experiments, a run, and the version of a model, without a token."""
    page = browser.new_page()
    for address, text in (
        ("experiments", MODEL),
        ("experiments/1/runs", "the first run"),
        ("models", MODEL),
        (f"models/{MODEL}", "champion"),
        (f"models/{MODEL}/versions/1", "the first run"),
    ):
        page.goto(f"{server.url}/#/{address}")
        expect(page.get_by_text(text).first).to_be_visible(timeout=30_000)
    page.close()


@pytest.mark.failure("F352")
@pytest.mark.parametrize("token", ["", "short"])
def test_a_server_without_a_real_token_does_not_start(tmp_path: Path, token: str) -> None:
    """There is no default, and an empty one would let everybody write."""
    command = [sys.executable, "-m", "veleta_mlflow", "127.0.0.1", "1", "data", "127.0.0.1"]
    environment = server_environment(tmp_path, {**TOKENS, "trainer": token})
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("mlflow: MLFLOW_TRAINER_TOKEN is wrong: use ")


def test_health_is_open(server: MlflowServer) -> None:
    """The container's engine and `make status` ask without a token."""
    assert http_status(f"{server.url}/health") == 200


@pytest.mark.failure("F371")
def test_idle_connections_do_not_keep_others_out(server: MlflowServer) -> None:
    """More than half of the files that the process may open: the first ones are closed."""
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (200, limits[1]))
    with idle_connections(server.url, 150) as connections:
        assert http_status(f"{server.url}/health") == 200
        assert connections[0].recv(1) == b""
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)


def test_a_stopped_server_leaves_a_complete_database(tmp_path: Path) -> None:
    """All is in mlflow.db: a copy of it is a copy of everything."""
    with mlflow_server(tmp_path) as started:
        assert http_status(f"{started.url}/api/2.0/mlflow/experiments/search?max_results=1") == 200
        assert (tmp_path / "data/mlflow.db-wal").exists()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mlflow.db"]
