"""The client of the registry, on a server that does not answer as it should."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event

import mlflow
import pytest
from mlflow.utils.credentials import get_default_host_creds
from pydantic import SecretStr

from support.broken_mlflow import broken_mlflow
from support.proxy import frozen_server
from support.testbed import free_port
from veleta.adapters import mlflow as adapter
from veleta.adapters.mlflow import MlflowRegistry, use_token
from veleta.errors import Reject, Retry
from veleta.ports import NATIVE, Registry, Version
from veleta.settings import MlflowSettings

CALLS: Mapping[str, Callable[[Registry, Path], object]] = {
    "register": lambda registry, _folder: registry.register("run", "models:/m-1", {}),
    "version": lambda registry, _folder: registry.version(1),
    "alias": lambda registry, _folder: registry.alias("champion"),
    "set_alias": lambda registry, _folder: registry.set_alias("champion", 1),
    "describe": lambda registry, _folder: registry.describe(Version(1, "run"), "why"),
    "record_champion": lambda registry, _folder: registry.record_champion(Version(1, "run")),
    "recorded_champion": lambda registry, _folder: registry.recorded_champion(),
    "set_tag": lambda registry, _folder: registry.set_tag(1, "seq", "1"),
    "best": lambda registry, _folder: registry.best("accuracy"),
    "set_stage": lambda registry, _folder: registry.set_stage(1, "Production"),
    "download_native": lambda registry, folder: registry.download_native(
        Version(1, "run", {NATIVE: "models:/m-1"}), folder
    ),
    "dataset_file": lambda registry, _folder: registry.dataset_file(Version(1, "run")),
    "reference": lambda registry, _folder: registry.reference(Version(1, "run")),
}
"""A call of each method."""
TEMPORARY = [408, 425, 429, 500, 502, 503, 504, 507]
HANGS_UP = 0


@pytest.fixture(params=[*TEMPORARY, HANGS_UP, "stopped"], ids=str)
def unavailable(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that cannot answer now."""
    if request.param == "stopped":
        yield f"http://127.0.0.1:{free_port()}"
        return
    with broken_mlflow(request.param) as url:
        yield url


def test_every_method_is_called() -> None:
    """A method that is added to the port is also added to these tests."""
    assert {*CALLS, "check"} == {name for name in vars(Registry) if not name.startswith("_")}


@pytest.mark.failure("F42", "F294")
@pytest.mark.parametrize("method", CALLS)
def test_a_registry_that_cannot_answer_now_is_called_again(method: str, unavailable: str, tmp_path: Path) -> None:
    """Its disk may be full, or it limits its clients: no status of this kind is a refusal."""
    with pytest.raises(Retry, match=r"^mlflow: "):
        CALLS[method](MlflowRegistry(unavailable, "model"), tmp_path)


@pytest.mark.failure("F223")
@pytest.mark.parametrize("method", [*CALLS, "check"])
def test_a_registry_that_does_not_answer_is_called_again(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts connections. The check gives up after CHECK_SECONDS, another call after MLflow's time-out, twice."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setattr(adapter, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(adapter, "DOWNLOAD_PAUSES", ())
    with frozen_server() as port:
        registry = MlflowRegistry(f"http://127.0.0.1:{port}", "model")
        with pytest.raises(Retry, match=r"^mlflow: "):
            registry.check() if method == "check" else CALLS[method](registry, tmp_path)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_the_check_accepts_no_refusal(status: int) -> None:
    """A server that refuses the address of the clients, for example, refuses all their calls."""
    with broken_mlflow(status) as url, pytest.raises(Retry, match=r"^mlflow: "):
        MlflowRegistry(url, "model").check()


@pytest.mark.failure("F294")
@pytest.mark.parametrize(
    "code", ["REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "TEMPORARILY_UNAVAILABLE", "CANCELLED"]
)
@pytest.mark.parametrize("method", CALLS)
def test_an_error_code_that_means_later_is_no_refusal(method: str, code: str, tmp_path: Path) -> None:
    """Whatever HTTP status comes with it."""
    with broken_mlflow(400, json.dumps({"error_code": code, "message": "later"})) as url, pytest.raises(Retry):
        CALLS[method](MlflowRegistry(url, "model"), tmp_path)


@pytest.mark.parametrize("method", ["register", "set_alias", "set_tag"])
def test_a_refusal_is_no_outage(method: str, tmp_path: Path) -> None:
    """The same call would be refused again."""
    refusal = json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"})
    with broken_mlflow(403, refusal) as url, pytest.raises(Exception, match="PERMISSION_DENIED") as raised:
        CALLS[method](MlflowRegistry(url, "model"), tmp_path)
    assert not isinstance(raised.value, Retry)


@pytest.mark.failure("F356")
@pytest.mark.parametrize("method", ["register", "set_alias", "set_tag"])
def test_a_wrong_token_is_no_refusal(method: str, tmp_path: Path) -> None:
    """It is a fault of the deployment: the step waits until the token is right."""
    refusal = json.dumps({"error_code": "UNAUTHENTICATED", "message": "writes need a token"})
    with broken_mlflow(401, refusal) as url, pytest.raises(Retry, match="writes need a token"):
        CALLS[method](MlflowRegistry(url, "model"), tmp_path)


def test_the_token_reaches_mlflows_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the settings, which in a container read it from a file. Without one, nothing changes."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "from the environment")
    for given, sent in ((None, "from the environment"), (SecretStr("from a file"), "from a file")):
        use_token(MlflowSettings(tracking_token=given))
        assert get_default_host_creds("http://127.0.0.1").token == sent  # type: ignore[no-untyped-call]  # no types


@pytest.mark.failure("F367")
@pytest.mark.parametrize(
    "address",
    [
        "", "/etc", "file:///etc", "http://127.0.0.1:9/model", "mlflow-artifacts://127.0.0.1:9/model", "s3://bucket/model",
        "models://profile@host/model", "runs:///etc", "runs:/run/../other", "models:/m-1\n", "dbfs:/model",
    ],
)  # fmt: skip
def test_only_addresses_in_the_registry_are_read(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is requested from another host, and no folder is copied."""
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: pytest.fail("it is downloaded"))
    with pytest.raises(Reject, match="is no address in the registry"):
        MlflowRegistry("http://127.0.0.1:9", "model").download_native(Version(1, "run", {NATIVE: address}), tmp_path)


@pytest.mark.failure("F368")
def test_a_download_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly the parts of a file arrive, while the registry answers: the version is refused."""
    monkeypatch.setattr(adapter, "DOWNLOAD_SECONDS", 0.1)
    registry, ended = MlflowRegistry("http://127.0.0.1:9", "model"), Event()
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: ended.wait(30))
    monkeypatch.setattr(registry, "alias", lambda _alias: None)
    with pytest.raises(Reject, match=r"models:/m-1: it is not complete after 0\.1 s"):
        CALLS["download_native"](registry, tmp_path)
    ended.set()


@pytest.mark.failure("F295")
def test_a_file_that_the_registry_no_longer_has_is_refused(tmp_path: Path) -> None:
    """The version is refused, and the registry is not unreachable."""
    missing = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"})
    with (
        broken_mlflow(404, missing) as url,
        pytest.raises(Reject, match=r"cannot be read: models:/m-1: .*no such model"),
    ):
        CALLS["download_native"](MlflowRegistry(url, "model"), tmp_path)


@pytest.mark.failure("F295")
def test_a_file_that_cannot_be_read_is_refused_while_the_registry_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last attempt: the registry may have restarted in between."""
    monkeypatch.setattr(adapter, "DOWNLOAD_PAUSES", (0.0, 0.0))
    registry = MlflowRegistry("http://127.0.0.1:1", "model")
    attempts = []

    def download(**_arguments: object) -> str:
        attempts.append(1)
        raise OSError("500 Server Error")

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", download)
    monkeypatch.setattr(registry, "alias", lambda _alias: None)
    with pytest.raises(Reject, match="cannot be read: models:/m-1: mlflow: 500 Server Error"):
        CALLS["download_native"](registry, tmp_path)
    assert len(attempts) == 3
