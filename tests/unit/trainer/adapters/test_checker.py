"""The checks of a version, with the real child process."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.dataset_changes import CHANGES
from support.models import train
from support.trainer import DATASET
from support.twins.shared import MemoryRegistry
from veleta.dataset import parse_dataset
from veleta.model_digest import model_digest
from veleta.ports import DIGEST, NATIVE, Version
from veleta_trainer.adapters.checker import ChildProcessChecker

ADDRESS = "models:/native"


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def version(registry: MemoryRegistry, model: Path, digest: str = "") -> Version:
    """A version with this model file."""
    registry.files[ADDRESS] = model
    tags = {NATIVE: ADDRESS, DIGEST: digest} if digest else {NATIVE: ADDRESS}
    return registry.register("run", "model", tags)


async def results(registry: MemoryRegistry, checked: Version) -> Mapping[str, tuple[bool, str]]:
    """Whether each check passed, and what it found, by name."""
    checks = await ChildProcessChecker(DATASET, registry).check(checked)
    return {check.name: (check.passed, check.figures) for check in checks}


@pytest.mark.failure("F399")
async def test_a_sound_version_passes_all_checks(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Each says what it found."""
    model = tmp_path / "model.cbm"
    train(DATASET, model)
    found = await results(registry, version(registry, model, model_digest(model.read_bytes())))
    assert list(found) == ["file", "model", "features", "example"]
    assert all(passed for passed, _ in found.values())
    assert found["file"][1] == "its SHA-256 is that of its training"
    assert found["model"][1] == "it loads, with 10 trees"


@pytest.mark.failure("F399")
async def test_a_version_of_other_columns_fails(registry: MemoryRegistry, tmp_path: Path) -> None:
    """The check names what differs, and no price is predicted."""
    model = tmp_path / "model.cbm"
    train(parse_dataset(CHANGES["prefix"].text(DATASET.text)), model)
    found = await results(registry, version(registry, model))
    assert found["file"] == (True, "it has no SHA-256 to compare with")
    assert found["features"][0] is False
    assert "had prefix = 2, now 3" in found["features"][1]
    assert "example" not in found


@pytest.mark.failure("F399")
async def test_a_version_with_wrong_prices_fails(registry: MemoryRegistry, tmp_path: Path) -> None:
    """By the smoke check of inference."""
    model = tmp_path / "model.cbm"
    train(DATASET, model, scale=1e6)
    found = await results(registry, version(registry, model))
    assert found["example"][0] is False
    assert "out of bounds" in found["example"][1]


@pytest.mark.failure("F399")
async def test_a_damaged_file_fails(registry: MemoryRegistry, tmp_path: Path) -> None:
    """One that does not load, one that differs from that of the training, and none."""
    model = tmp_path / "model.cbm"
    model.write_bytes(b"no model")
    assert "does not load" in (await results(registry, version(registry, model)))["model"][1]
    assert list(await results(registry, Version(2, "run", {NATIVE: ADDRESS, DIGEST: "0" * 64}))) == ["file"]
    assert (await results(registry, Version(3, "run")))["file"] == (False, "the version has no native model")


@pytest.mark.failure("F399")
@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo a warning >&2; echo the last line >&2; exit 1", "the process that loads it ended with 1: the last line"),
        ("kill -11 $$", "the process that loads it ended with -11: "),
        ("exec sleep 60", "it is not checked after 0.5 s"),
    ],
)
async def test_a_file_that_ends_the_process_fails(
    registry: MemoryRegistry, tmp_path: Path, script: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer itself does not load it."""
    model, child = tmp_path / "model.cbm", tmp_path / "child"
    model.write_bytes(b"")
    child.write_text(f"#!/bin/sh\n{script}\n")
    child.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(child))
    monkeypatch.setattr("veleta_trainer.adapters.checker.CHECK_VERSION_SECONDS", 0.5 if "sleep" in script else 30.0)
    assert (await results(registry, version(registry, model)))["model"] == (False, found)
