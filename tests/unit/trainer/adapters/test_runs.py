"""The client of MLflow's runs, on a server that does not answer as it should."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from support.broken_mlflow import broken_mlflow
from support.models import train
from support.testbed import free_port
from support.trainer import DATASET, recipe
from veleta.errors import Retry
from veleta_trainer.adapters.child_protocol import EXPLAIN, MODEL
from veleta_trainer.adapters.runs import MlflowRuns
from veleta_trainer.ports import FittedModel, Runs

CALLS: Mapping[str, Callable[[Runs, FittedModel], object]] = {
    "log": lambda runs, fitted: runs.log(recipe(), fitted),
    "get": lambda runs, _fitted: runs.get("run"),
    "figures": lambda runs, _fitted: runs.figures("run"),
    "find": lambda runs, _fitted: runs.find(recipe()),
    "end_open": lambda runs, _fitted: runs.end_open(recipe()),
    "to_explain": lambda runs, _fitted: runs.to_explain(),
    "download_sample": lambda runs, fitted: runs.download_sample("run", fitted.folder),
    "log_explanation": lambda runs, fitted: runs.log_explanation("run", fitted.folder / EXPLAIN),
    "end_explanation": lambda runs, _fitted: runs.end_explanation("run", "killed"),
}
"""A call of each method."""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FittedModel:
    folder = tmp_path_factory.mktemp("fitted")
    train(DATASET, folder / MODEL)
    (folder / EXPLAIN).mkdir()
    return FittedModel(folder, {"mae": 1.0}, recipe())


@pytest.fixture(params=[0, 408, 425, 429, 500, 503, 507, "stopped"], ids=str)
def unavailable(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that cannot answer now. 0 closes the connection."""
    if request.param == "stopped":
        yield f"http://127.0.0.1:{free_port()}"
        return
    with broken_mlflow(request.param) as url:
        yield url


def test_every_method_is_called() -> None:
    """A method that is added to the port is also added to these tests, if it calls the server."""
    assert set(CALLS) == {name for name in vars(Runs) if not name.startswith("_")} - {"prepare_logging", "stop_logging"}


@pytest.mark.failure("F42", "F294")
@pytest.mark.parametrize("method", CALLS)
def test_a_server_that_cannot_answer_now_is_called_again(method: str, unavailable: str, fitted: FittedModel) -> None:
    """No status of this kind is a refusal."""
    with pytest.raises(Retry, match=r"^mlflow: "):
        CALLS[method](MlflowRuns(unavailable, "experiment"), fitted)


LATER_REQUESTS = {"find": "mlflow.artifacts.load_dict", "end_open": "mlflow.MlflowClient.set_terminated"}
"""By method: its last request."""


@pytest.mark.failure("F42")
@pytest.mark.parametrize("method", LATER_REQUESTS)
def test_a_server_that_goes_down_during_a_call_is_called_again(
    method: str, fitted: FittedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first requests of the method are answered, the last one is not."""
    client = "mlflow.MlflowClient"
    run = SimpleNamespace(info=SimpleNamespace(run_id="run"), data=SimpleNamespace(tags={}))
    monkeypatch.setattr(f"{client}.get_experiment_by_name", lambda *_: SimpleNamespace(experiment_id="1"))
    monkeypatch.setattr(f"{client}.search_runs", lambda *_: [run])
    monkeypatch.setattr(LATER_REQUESTS[method], _no_answer)
    with pytest.raises(Retry, match=r"^mlflow: "):
        CALLS[method](MlflowRuns("http://127.0.0.1:9", "experiment"), fitted)


def _no_answer(*_arguments: object) -> None:
    raise MlflowException("no answer", TEMPORARILY_UNAVAILABLE)


@pytest.mark.parametrize("method", CALLS)
def test_a_refusal_is_no_outage(method: str, fitted: FittedModel) -> None:
    """The same call would be refused again."""
    refusal = json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"})
    with broken_mlflow(403, refusal) as url, pytest.raises(Exception, match="PERMISSION_DENIED") as raised:
        CALLS[method](MlflowRuns(url, "experiment"), fitted)
    assert not isinstance(raised.value, Retry)
