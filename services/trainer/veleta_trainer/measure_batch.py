"""The child process that measures a version on a batch.

`python -m veleta_trainer.measure_batch FOLDER LEVEL CACHE BYTES`

FOLDER has model.cbm, the dataset file dataset.toml, the manifest of the batch, batch.json, and the levels of the market
before it, levels.json. The output is measures.json: the coverage of the model's intervals at LEVEL, or null if it has
none.
CACHE is the folder of cleaned batches, which has at most BYTES: the batch is in it for the next training.
Its login to Kafka is the trainer's, from the environment. It has a low priority: a fit goes first.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from catboost import CatBoostError, CatBoostRegressor

from veleta.adapters.kafka import KafkaLog
from veleta.batches import BatchReader
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, Retry, one_line
from veleta.events.catalogue import BatchClosed
from veleta.intervals import Calibration, error_model_file
from veleta.market_levels import LevelHistory
from veleta.predictor import check_features
from veleta.settings import KafkaSettings
from veleta_trainer.adapters import child_protocol
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.clean_batch_reader import CleanBatchReader
from veleta_trainer.domain.interval_level import BatchMeasures
from veleta_trainer.domain.interval_model import HoldoutPredictions
from veleta_trainer.domain.labelled_rows import LabelledRows
from veleta_trainer.domain.market_model import levels_of
from veleta_trainer.domain.training_data import TrainingData
from veleta_trainer.ports import BatchCache

NICENESS = 10


def main(folder: Path, level: float, kafka: KafkaSettings, cache: BatchCache) -> None:
    """Measure, and write the result. Raises Retry or Reject."""
    dataset = parse_dataset((folder / child_protocol.DATASET_FILE).read_text(encoding="utf-8"))
    manifest = BatchClosed.model_validate_json((folder / child_protocol.BATCH).read_text())
    try:
        booster = CatBoostRegressor().load_model(str(folder / child_protocol.MODEL))
    except CatBoostError as error:
        raise Reject("the model's file is damaged", one_line(error)) from error
    check_features(dataset, booster)
    measures = None
    if calibration := Calibration.of_model(booster.get_metadata()):
        data = TrainingData(dataset)
        # Only the holdout: in a new epoch, the model has learnt the other properties.
        reader = CleanBatchReader(dataset, BatchReader(KafkaLog(kafka, "trainer-measure")), cache)
        data.append(reader.read(manifest), manifest.number, holdout_only=True)
        history = LevelHistory.model_validate_json((folder / child_protocol.LEVELS).read_bytes())
        measures = asdict(measured(dataset, booster, calibration, data.holdout.labelled(), level, history))
    (folder / child_protocol.MEASURES).write_text(json.dumps(measures))


def measured(
    dataset: Dataset,
    booster: CatBoostRegressor,
    calibration: Calibration,
    holdout: LabelledRows,
    level: float,
    history: LevelHistory,
) -> BatchMeasures:
    """The measures of a model on rows, with the levels of its market, also since its training.

    Rows without an interval do not count.
    """
    if len(holdout) == 0:
        return BatchMeasures(0, 0.0)
    error_model = CatBoostRegressor().load_model(blob=error_model_file(booster.get_metadata()))
    market = levels_of(booster, history)
    house = holdout.at(holdout.levels(market))
    predictions = HoldoutPredictions.of_models(dataset, (booster, error_model), house)
    low, high = predictions.intervals(calibration, level, market.variance(market.state) if market else 0.0)
    rows = int(np.isfinite(low).sum())
    inside = int(((low <= house.prices) & (house.prices <= high)).sum())
    return BatchMeasures(rows, inside / rows if rows else 0.0)


if __name__ == "__main__":
    os.nice(NICENESS)
    try:
        main(Path(sys.argv[1]), float(sys.argv[2]), KafkaSettings(), BatchFiles.of_arguments(sys.argv[3:]))
    except (Retry, Reject) as error:
        sys.stderr.write(str(error))
        sys.exit(child_protocol.UNAVAILABLE if isinstance(error, Retry) else child_protocol.NOT_TRAINABLE)
