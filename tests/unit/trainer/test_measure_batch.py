"""The measures of a batch, in the child's code with a real model."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.listings import api_rows
from support.markets import FIRST, MARKET, planted_rows
from support.models import train, train_with_intervals
from support.trainer import DATASET
from support.twins.shared import MemoryLog
from support.twins.trainer import MemoryBatches
from veleta.dataset import parse_dataset
from veleta.errors import Reject
from veleta.features import in_holdout
from veleta.market import Level
from veleta.market_levels import LevelHistory
from veleta.settings import KafkaSettings
from veleta_trainer import measure_batch
from veleta_trainer.adapters.child_protocol import BATCH, DATASET_FILE, LEVELS, MEASURES, MODEL

Rows = list[dict[str, float | str]]
ROWS = api_rows(4, 400, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model that learnt ROWS."""
    train_with_intervals(DATASET, tmp_path / MODEL, ROWS)
    (tmp_path / DATASET_FILE).write_text(DATASET.text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def measure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Measures the model on a batch with rows, at a level."""
    log = MemoryLog()
    monkeypatch.setattr(measure_batch, "KafkaLog", lambda *_arguments: log)

    def call(rows: Rows, level: float = 0.8) -> Any:
        manifest = publish_batch(log, DATASET, 1, 1, rows)
        (folder / BATCH).write_text(manifest.model_dump_json())
        (folder / LEVELS).write_text("{}")
        measure_batch.main(folder, level, KafkaSettings(), MemoryBatches())
        return json.loads((folder / MEASURES).read_text())

    return call


def held_out(rows: Rows) -> int:
    """How many rows are of the holdout."""
    return sum(in_holdout(DATASET, DATASET.convert(row)[0]) for row in rows)


def test_the_holdout_of_a_batch_is_measured(measure: Callable[..., Any]) -> None:
    """Prices far from the model's are outside their intervals. A higher level covers more."""
    rows = api_rows(4, 600, 2)
    like_learnt = measure(rows)
    assert like_learnt["rows"] == held_out(rows)
    assert like_learnt["coverage"] == pytest.approx(0.8, abs=0.15)
    assert measure(rows, 0.5)["coverage"] < like_learnt["coverage"] < measure(rows, 0.98)["coverage"]
    dearer = [{**row, DATASET.target: 1.5 * float(row[DATASET.target])} for row in rows]
    assert measure(dearer)["coverage"] < 0.4


def test_in_a_market_each_row_has_the_level_of_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prices that rose by a quarter are covered if the level is known, and hardly if it is not."""
    market, log = parse_dataset(MARKET), MemoryLog()
    learnt = [row for month in range(3) for row in planted_rows([0.0], 200, seed=month, first=FIRST + month)]
    train_with_intervals(market, tmp_path / MODEL, learnt)
    (tmp_path / DATASET_FILE).write_text(market.text, encoding="utf-8")
    manifest = publish_batch(log, market, 1, 1, planted_rows([0.25], 400, seed=9, first=FIRST + 4))
    (tmp_path / BATCH).write_text(manifest.model_dump_json())
    monkeypatch.setattr(measure_batch, "KafkaLog", lambda *_arguments: log)
    coverage = {}
    known = Level(0.25, 0.01)
    for levels in (LevelHistory(), LevelHistory(periods={date(2020, 4, 1): known}, now=known)):
        (tmp_path / LEVELS).write_text(levels.model_dump_json())
        measure_batch.main(tmp_path, 0.8, KafkaSettings(), MemoryBatches())
        coverage[levels.now is not None] = json.loads((tmp_path / MEASURES).read_text())["coverage"]
    assert coverage[True] > 0.65
    assert coverage[False] < coverage[True] - 0.2


def test_rows_that_are_not_clean_do_not_count(measure: Callable[..., Any]) -> None:
    """As in a training. A batch without a row of the holdout has the measures of none."""
    low, _ = DATASET.cleaning[DATASET.target]
    rows = api_rows(4, 100, 3)
    assert measure([{**row, DATASET.target: low - 1} for row in rows]) == {"rows": 0, "coverage": 0.0}
    learnt = [row for row in rows if not in_holdout(DATASET, DATASET.convert(row)[0])]
    assert measure(learnt)["rows"] == 0


def test_a_model_without_intervals_has_no_measures(measure: Callable[..., Any], folder: Path) -> None:
    """Such as one of an earlier release."""
    train(DATASET, folder / MODEL)
    assert measure(ROWS) is None


@pytest.mark.failure("F431")
def test_a_model_that_cannot_be_used_is_refused(measure: Callable[..., Any], folder: Path) -> None:
    """Because its file is damaged, or because the dataset file changed since its training."""
    (folder / DATASET_FILE).write_text(CHANGES["prefix"].text(DATASET.text), encoding="utf-8")
    with pytest.raises(Reject, match="learnt from other features"):
        measure(ROWS)
    (folder / MODEL).write_bytes(b"no model")
    with pytest.raises(Reject, match="the model's file is damaged"):
        measure(ROWS)
