"""Calls to an MLflow server that accepts connections and does not answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.proxy import frozen_server
from veleta.adapters import mlflow as mlflow_module
from veleta.adapters.mlflow import MlflowRegistry
from veleta.errors import Retry
from veleta.ports import NATIVE, Version

VERSION = Version(1, "run", {NATIVE: "mlflow-artifacts:/1/run/artifacts/native"})
CALLS: dict[str, Callable[[MlflowRegistry], object]] = {
    "check": lambda registry: registry.check(),
    "alias": lambda registry: registry.alias("champion"),
    "version": lambda registry: registry.version(1),
    "register": lambda registry: registry.register("run", "models:/m-1", {}),
    "set_alias": lambda registry: registry.set_alias("champion", 1),
    "set_tag": lambda registry: registry.set_tag(1, "seq", "1"),
    "download": lambda registry: registry.download_native(VERSION, Path()),
}


@pytest.mark.failure("F223")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_registry_that_does_not_answer_is_a_retry(
    call: Callable[[MlflowRegistry], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every call: of the check after CHECK_SECONDS, of the others after MLflow's own time-out and one repeat."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setattr(mlflow_module, "CHECK_SECONDS", 0.2)
    with frozen_server() as port, pytest.raises(Retry) as caught:
        call(MlflowRegistry(f"http://127.0.0.1:{port}", "m"))
    assert caught.value.dependency == "mlflow"
