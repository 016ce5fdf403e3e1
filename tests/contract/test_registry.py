"""One suite for the registry port: MLflow and its twin in memory keep the same promises."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from support.models import train
from support.world import World
from veleta.adapters.memory import MemoryRegistry
from veleta.adapters.mlflow import MlflowRegistry
from veleta.dataset import load_dataset
from veleta.ports import NATIVE, Registry

MakeRun = Callable[[], tuple[str, str]]
"""Makes a run that holds a native model: its id, and where the model is kept."""


@pytest.fixture(params=["memory", "mlflow"])
def registry_and_runs(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Registry, MakeRun]:
    """An empty registry, and a way to make runs for it."""
    path = tmp_path / "model.cbm"
    train(load_dataset("real_estate"), path)
    if request.param == "memory":
        runs = iter(range(100))
        return MemoryRegistry(), lambda: (f"run{next(runs)}", str(path))
    world: World = request.getfixturevalue("world")
    name = f"{world.dataset.name}_{tmp_path.name}"
    return MlflowRegistry(world.mlflow_uri, name), _mlflow_runs(world.mlflow_uri, name, path)


@pytest.fixture
def registry(registry_and_runs: tuple[Registry, MakeRun]) -> Registry:
    return registry_and_runs[0]


@pytest.fixture
def make_run(registry_and_runs: tuple[Registry, MakeRun]) -> MakeRun:
    return registry_and_runs[1]


def _mlflow_runs(uri: str, name: str, path: Path) -> MakeRun:
    client = MlflowClient(uri)
    experiment = client.create_experiment(name)

    def make() -> tuple[str, str]:
        run_id = str(client.create_run(experiment).info.run_id)
        client.log_artifact(run_id, str(path), "native")
        return run_id, f"runs:/{run_id}/native"

    return make


def test_nothing_is_there_at_first(registry: Registry) -> None:
    """An unknown alias and an unknown version are no errors: there is none."""
    assert registry.alias("champion") is None
    assert registry.version(1) is None


def test_versions_count_from_one(registry: Registry, make_run: MakeRun) -> None:
    """And carry the tags they were made with."""
    for number in (1, 2):
        run_id, source = make_run()
        made = registry.register(run_id, source, {NATIVE: source})
        assert (made.number, made.run_id, made.tags[NATIVE]) == (number, run_id, source)
        assert registry.version(number) == made


@pytest.mark.failure("F14", "F42")
def test_a_run_is_registered_once(registry: Registry, make_run: MakeRun) -> None:
    """Whoever registers again after a crash finds the version of before."""
    run_id, source = make_run()
    made = registry.register(run_id, source, {NATIVE: source})
    assert registry.register(run_id, source, {NATIVE: source}) == made
    assert registry.version(2) is None


def test_an_alias_moves(registry: Registry, make_run: MakeRun) -> None:
    """It names one version at a time, and setting it twice is harmless."""
    for _ in range(2):
        run_id, source = make_run()
        registry.register(run_id, source, {NATIVE: source})
    for number in (1, 2, 2, 1):
        registry.set_alias("champion", number)
        found = registry.alias("champion")
        assert found is not None
        assert found.number == number
    assert registry.alias("challenger") is None


def test_an_alias_shows_the_tags_of_its_version(registry: Registry, make_run: MakeRun) -> None:
    """A promotion's number is such a tag: it is written before the alias moves, and may be written again."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {NATIVE: source})
    for seq in ("1", "2"):
        registry.tag(version.number, "seq", seq)
    registry.set_alias("champion", version.number)
    found = registry.alias("champion")
    assert found is not None
    assert found.tags == {NATIVE: source, "seq": "2"}


def test_the_native_model_comes_to_a_folder(registry: Registry, make_run: MakeRun, tmp_path: Path) -> None:
    """It is the file that was logged, byte for byte."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {NATIVE: source})
    folder = tmp_path / "here"
    folder.mkdir()
    path = registry.native(version, folder)
    assert path.is_relative_to(folder)
    assert path.read_bytes() == (tmp_path / "model.cbm").read_bytes()
