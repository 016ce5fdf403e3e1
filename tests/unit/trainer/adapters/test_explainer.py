"""The explanation of a run, with the real child process."""

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from support.models import synthetic, train
from support.testbed import wait_until
from support.trainer import DATASET, recipe
from support.twins.shared import MemoryRegistry
from support.twins.trainer import MemoryRuns
from veleta.errors import Reject
from veleta.features import Features
from veleta_trainer.adapters import explainer as adapter
from veleta_trainer.adapters.child_protocol import SAMPLE
from veleta_trainer.adapters.explainer import ChildProcessExplainer
from veleta_trainer.domain.clean_rows import CleanRows, ColumnBuilder
from veleta_trainer.ports import FittedModel, LoggedRun


class StoredRuns(MemoryRuns):
    """Runs whose samples are in a folder, and which remember what was logged."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.pictures: set[str] = set()

    def get(self, run_id: str) -> LoggedRun:
        return replace(super().get(run_id), native_digest="")

    def download_sample(self, run_id: str, folder: Path) -> None:
        (folder / SAMPLE).write_bytes((self.folder / SAMPLE).read_bytes())

    def log_explanation(self, run_id: str, folder: Path) -> None:
        super().log_explanation(run_id, folder)
        self.pictures = {path.name for path in folder.iterdir()}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredRuns:
    """One run with a sample. Temporary files are in the folder `temporary`."""
    rows = ColumnBuilder(DATASET)
    for values in synthetic(DATASET, 50):
        rows.append(values)
    CleanRows(DATASET, [rows.table()]).frame().to_parquet(tmp_path / SAMPLE)
    runs = StoredRuns(tmp_path)
    runs.log(recipe(), FittedModel(tmp_path, {}, recipe()))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return runs


@pytest.fixture
def explainer(runs: StoredRuns) -> ChildProcessExplainer:
    train(DATASET, runs.folder / "model.cbm")
    registry = MemoryRegistry()
    registry.files["models:/native"] = runs.folder / "model.cbm"
    return ChildProcessExplainer(registry, runs)


async def test_a_run_is_explained_from_its_model_and_its_sample(
    explainer: ChildProcessExplainer, runs: StoredRuns
) -> None:
    """The three pictures and the table are logged, and no file stays."""
    await explainer.explain("run-1")
    assert runs.pictures == {"summary.png", "bar.png", "waterfall.png", "importance.csv"}
    assert runs.to_explain() == []
    assert list((runs.folder / "temporary").iterdir()) == []


def test_the_sample_is_read_as_it_was_written(runs: StoredRuns) -> None:
    """Numbers and categories keep their types, which the model requires."""
    frame = pd.read_parquet(runs.folder / SAMPLE)
    assert list(frame.columns) == Features(DATASET).names
    categorical = [Features(DATASET).names[position] for position in Features(DATASET).categorical]
    assert {name for name in frame.columns if frame[name].dtype == "category"} == set(categorical)


@pytest.mark.failure("F437")
@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo a warning >&2; echo the last line >&2; exit 1", "the process ended with 1: the last line"),
        ("kill -9 $$", "the process ended with -9: "),
        ("exec sleep 60", "it takes longer than 0.5 s"),
    ],
)
async def test_a_model_that_cannot_be_explained_is_rejected(
    explainer: ChildProcessExplainer, runs: StoredRuns, script: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the reason, and nothing is logged."""
    _child(runs.folder, script, monkeypatch)
    monkeypatch.setattr(adapter, "EXPLAIN_SECONDS", 0.5 if "sleep" in script else 30.0)
    with pytest.raises(Reject) as raised:
        await explainer.explain("run-1")
    assert str(raised.value) == f"the model cannot be explained: {found}"
    assert runs.to_explain() == ["run-1"]


@pytest.mark.failure("F441")
async def test_a_cancellation_ends_the_process(
    explainer: ChildProcessExplainer, runs: StoredRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second, and its folder is deleted."""
    _child(runs.folder, f"touch {runs.folder}/started; exec sleep 60", monkeypatch)
    explaining = asyncio.create_task(explainer.explain("run-1"))
    await asyncio.to_thread(wait_until, (runs.folder / "started").exists)
    explaining.cancel()
    done, _ = await asyncio.wait({explaining}, timeout=1)
    assert done
    assert list((runs.folder / "temporary").iterdir()) == []


def _child(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    child = folder / "child"
    child.write_text(f"#!/bin/sh\n{script}\n")
    child.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(child))
