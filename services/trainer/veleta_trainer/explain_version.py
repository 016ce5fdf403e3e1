"""The child process that explains a version: `python -m veleta_trainer.explain_version FOLDER`.

FOLDER has model.cbm, dataset.toml, and sample.parquet, rows of the holdout. The output is explain/.
"""

import os
import sys
from pathlib import Path

import pandas as pd
from catboost import CatBoostRegressor

from veleta.dataset import parse_dataset
from veleta.features import Features
from veleta_trainer.adapters.child_protocol import DATASET_FILE, EXPLAIN, MODEL, SAMPLE
from veleta_trainer.adapters.explain import explain

NICENESS = 10
"""A training that runs meanwhile is not slowed down: nobody waits for the pictures."""


def main(folder: Path) -> None:
    """Write the pictures and the table."""
    dataset = parse_dataset((folder / DATASET_FILE).read_text(encoding="utf-8"))
    booster = CatBoostRegressor().load_model(str(folder / MODEL))
    example = Features(dataset).of(dataset.convert(dataset.example)[0])
    explain(booster, dataset, pd.read_parquet(folder / SAMPLE), example, folder / EXPLAIN)


if __name__ == "__main__":
    os.nice(NICENESS)
    main(Path(sys.argv[1]))
