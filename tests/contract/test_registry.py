"""One suite for the registry: MLflow and the registry in memory."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from mlflow import MlflowClient

from support.models import train
from support.testbed import Testbed
from support.trainer import REFERENCE
from support.twins.shared import MemoryRegistry
from veleta.adapters.mlflow import MlflowRegistry
from veleta.dataset import load_dataset
from veleta.errors import Reject
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, NATIVE, Registry, Version
from veleta.reference import REFERENCE_FILE

MakeRun = Callable[[], tuple[str, str]]
"""Creates a run that contains a native model: its id, and the address of the model."""


@dataclass
class Subject:
    """An empty registry, and what tests do beside it."""

    registry: Registry
    make_run: MakeRun
    delete: Callable[[int], None]
    """Deletes a version as a person does."""
    log_recipe: Callable[[str, dict[str, str]], None]
    """Adds a recipe to a run."""
    log_reference: Callable[[str, bytes], None]
    """Adds the file of a reference to a run."""
    description: Callable[[int], str]
    """Reads the description of a version."""
    delete_run: Callable[[str], None]
    """Deletes a run as a person does."""
    log_accuracy: Callable[[str, float], object]
    """Adds the metric `accuracy` to a run."""
    stage: Callable[[int], str]
    """The stage of a version."""


@pytest.fixture(params=["memory", "mlflow"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    path = tmp_path / "model.cbm"
    train(load_dataset("real_estate"), path)
    if request.param == "memory":
        memory, ids = MemoryRegistry(), count()
        memory.files["models:/native"] = path

        def log_recipe(run_id: str, recipe: dict[str, str]) -> None:
            memory.dataset_files.update({run_id: recipe["dataset_file"]} if "dataset_file" in recipe else {})

        def log_reference(run_id: str, content: bytes) -> None:
            if content == REFERENCE.model_dump_json().encode():
                memory.references[run_id] = REFERENCE

        return Subject(
            memory,
            lambda: (f"run{next(ids)}", "models:/native"),
            memory.delete,
            log_recipe,
            log_reference,
            lambda number: memory.descriptions[number],
            lambda _run_id: None,
            lambda run_id, accuracy: memory.metrics.update({run_id: {"accuracy": accuracy}}),
            lambda number: memory.stages.get(number, "None"),
        )
    testbed: Testbed = request.getfixturevalue("testbed")
    name = f"{testbed.dataset.name}_{tmp_path.name}"
    client = MlflowClient(testbed.mlflow_uri)
    return Subject(
        MlflowRegistry(testbed.mlflow_uri, name),
        _mlflow_runs(client, name, path),
        lambda number: client.delete_model_version(name, str(number)),
        lambda run_id, recipe: client.log_dict(run_id, recipe, "recipe.json"),
        lambda run_id, content: client.log_text(run_id, content.decode(), REFERENCE_FILE),
        lambda number: str(client.get_model_version(name, str(number)).description),
        client.delete_run,
        lambda run_id, accuracy: client.log_metric(run_id, "accuracy", accuracy),
        lambda number: str(client.get_model_version(name, str(number)).current_stage),
    )


@pytest.fixture
def registry(subject: Subject) -> Registry:
    return subject.registry


@pytest.fixture
def make_run(subject: Subject) -> MakeRun:
    return subject.make_run


def _mlflow_runs(client: MlflowClient, name: str, path: Path) -> MakeRun:
    experiment = client.create_experiment(name)

    def make() -> tuple[str, str]:
        run_id = str(client.create_run(experiment).info.run_id)
        client.log_artifact(run_id, str(path), "native")
        return run_id, f"runs:/{run_id}/native"

    return make


def test_a_new_registry_is_empty(registry: Registry) -> None:
    """An unknown alias and an unknown version are None, not errors."""
    assert registry.alias("champion") is None
    assert registry.version(1) is None


def test_versions_count_from_one(registry: Registry, make_run: MakeRun) -> None:
    """They have the tags that they were registered with."""
    for number in (1, 2):
        run_id, source = make_run()
        version = registry.register(run_id, source, {NATIVE: source})
        assert (version.number, version.run_id, version.tags[NATIVE]) == (number, run_id, source)
        assert registry.version(number) == version


@pytest.mark.failure("F115")
def test_a_run_is_registered_once(registry: Registry, make_run: MakeRun) -> None:
    """Registered again after a crash, it is the same version."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {NATIVE: source})
    assert registry.register(run_id, source, {NATIVE: source}) == version
    assert registry.version(2) is None


def test_an_alias_moves(registry: Registry, make_run: MakeRun) -> None:
    """It is on one version at a time, and setting it twice is harmless."""
    for _ in range(2):
        run_id, source = make_run()
        registry.register(run_id, source, {NATIVE: source})
    for number in (1, 2, 2, 1):
        registry.set_alias("champion", number)
        version = registry.alias("champion")
        assert version is not None
        assert version.number == number
    assert registry.alias("challenger") is None


def test_an_alias_shows_the_tags_of_its_version(registry: Registry, make_run: MakeRun) -> None:
    """The number of a promotion is such a tag. It is set before the alias moves, and may be set again."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {NATIVE: source})
    for seq in ("1", "2"):
        registry.set_tag(version.number, "seq", seq)
    registry.set_alias("champion", version.number)
    champion = registry.alias("champion")
    assert champion is not None
    assert champion.tags == {NATIVE: source, "seq": "2"}


def test_a_description_is_replaced(subject: Subject) -> None:
    """Also that of a version whose run was deleted: the version stays."""
    run_id, source = subject.make_run()
    version = subject.registry.register(run_id, source, {NATIVE: source})
    for text in ("drift: bed", "drift: bed. Decision 1: promoted", "drift: bed. Decision 1: promoted"):
        subject.registry.describe(version, text)
        assert subject.description(version.number) == text
    subject.delete_run(run_id)
    subject.registry.describe(version, "the last one")
    assert subject.description(version.number) == "the last one"


def test_the_best_version_has_the_highest_metric(subject: Subject) -> None:
    """Of two equal ones the older. Runs without a version and versions without the metric do not count."""
    registry = subject.registry
    assert registry.best("accuracy") is None
    for accuracy in (0.5, 0.8, 0.8, 0.9, None):
        run_id, source = subject.make_run()
        registry.register(run_id, source, {NATIVE: source})
        if accuracy:
            subject.log_accuracy(run_id, accuracy)
    subject.log_accuracy(subject.make_run()[0], 0.95)
    assert registry.best("accuracy") == (4, 0.9)
    subject.delete(4)
    assert registry.best("accuracy") == (2, 0.8)


def test_one_version_is_in_production(subject: Subject) -> None:
    """The one before it is archived. Setting the stage again is harmless."""
    for _ in range(2):
        run_id, source = subject.make_run()
        subject.registry.register(run_id, source, {NATIVE: source})
    for number in (1, 2, 2):
        subject.registry.set_stage(number, "Production")
    assert [subject.stage(number) for number in (1, 2)] == ["Archived", "Production"]


@pytest.mark.failure("F395")
def test_the_champion_is_recorded(registry: Registry, make_run: MakeRun) -> None:
    """With its run and its tags. The last record counts."""
    assert registry.recorded_champion() is None
    for _ in range(2):
        run_id, source = make_run()
        version = registry.register(run_id, source, {NATIVE: source})
        registry.record_champion(version)
        assert registry.recorded_champion() == version


@pytest.mark.failure("F145")
def test_a_deleted_version_has_no_alias(subject: Subject) -> None:
    """The alias is deleted with it. Other aliases stay, and the number is not used again."""
    registry = subject.registry
    for _ in range(2):
        run_id, source = subject.make_run()
        registry.register(run_id, source, {NATIVE: source})
    registry.set_alias("champion", 2)
    registry.set_alias("previous", 1)
    registry.record_champion(Version(2, run_id))
    subject.delete(2)
    assert registry.version(2) is None
    assert registry.alias("champion") is None
    assert registry.alias("previous") == registry.version(1)
    assert registry.recorded_champion() == Version(2, run_id)
    run_id, source = subject.make_run()
    assert registry.register(run_id, source, {NATIVE: source}).number == 3


def test_the_native_model_is_downloaded_to_a_folder(registry: Registry, make_run: MakeRun, tmp_path: Path) -> None:
    """It is the file that was logged, byte for byte."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {NATIVE: source})
    folder = tmp_path / "download"
    folder.mkdir()
    path = registry.download_native(version, folder)
    assert path.is_relative_to(folder)
    assert path.read_bytes() == (tmp_path / "model.cbm").read_bytes()


@pytest.mark.failure("F365")
def test_another_file_than_the_trained_one_is_rejected(registry: Registry, make_run: MakeRun, tmp_path: Path) -> None:
    """The tag has the SHA-256 of the file that was trained. A version of an earlier release has no such tag."""
    run_id, source = make_run()
    trained, other = (tmp_path / "model.cbm").read_bytes(), b"other bytes"
    for content in (trained, other):
        version = registry.register(run_id, source, {NATIVE: source})
        version = replace(version, tags={**version.tags, DIGEST: model_digest(content)})
        folder = tmp_path / model_digest(content)
        folder.mkdir()
        if content == trained:
            assert registry.download_native(version, folder).read_bytes() == trained
        else:
            with pytest.raises(Reject, match="the model's file is not the one that was trained"):
                registry.download_native(version, folder)


def test_a_version_without_a_native_model_is_rejected(registry: Registry, make_run: MakeRun, tmp_path: Path) -> None:
    """A version that was registered by hand may lack the tag."""
    run_id, source = make_run()
    version = registry.register(run_id, source, {})
    with pytest.raises(Reject, match="no native model"):
        registry.download_native(version, tmp_path)


@pytest.mark.failure("F266")
def test_the_dataset_file_of_a_version_is_that_of_its_recipe(subject: Subject) -> None:
    """A version that a person registered has no recipe, or no run."""
    versions = []
    for recipe in (None, {}, {"dataset_file": 'title = "Häuser"'}):
        run_id, source = subject.make_run()
        if recipe is not None:
            subject.log_recipe(run_id, recipe)
        versions.append(subject.registry.register(run_id, source, {NATIVE: source}))
    versions.append(Version(9, "00000000000000000000000000000000"))
    assert [subject.registry.dataset_file(version) for version in versions] == [None, None, 'title = "Häuser"', None]


def test_the_reference_of_a_version_is_that_of_its_run(subject: Subject) -> None:
    """A version of an earlier release has none, nor has one without a run. A damaged one is none."""
    content, versions = REFERENCE.model_dump_json().encode(), []
    for logged in (None, content[:-10], content):
        run_id, source = subject.make_run()
        if logged is not None:
            subject.log_reference(run_id, logged)
        versions.append(subject.registry.register(run_id, source, {NATIVE: source}))
    versions.append(Version(9, "00000000000000000000000000000000"))
    assert [subject.registry.reference(version) for version in versions] == [None, None, REFERENCE, None]
