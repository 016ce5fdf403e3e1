"""The child process that checks a version before a person promotes it: `python -m veleta_trainer.check_version FOLDER`.

A model file can end the process that loads it, and its library needs much memory. So the trainer does not load it.
FOLDER has model.cbm, the present dataset file dataset.toml, and that of the version's training, if there is one:
trained_with.toml. The output is checks.json: the checks in their order, up to the first that fails.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from catboost import CatBoostError, CatBoostRegressor

from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, one_line
from veleta.predictor import Predictor
from veleta_trainer.adapters.child_protocol import CHECKS, DATASET_FILE, MODEL, TRAINED_WITH
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.gates import EXAMPLE, example_gate


def main(folder: Path) -> None:
    """Check the model, and write the results."""
    checks = check_model(folder)
    (folder / CHECKS).write_text(json.dumps([asdict(check) for check in checks]))


def check_model(folder: Path) -> list[Check]:
    """Load the model, compare its features with the dataset file, and predict the dataset's example."""
    dataset = parse_dataset((folder / DATASET_FILE).read_text(encoding="utf-8"))
    trained_with = folder / TRAINED_WITH
    try:
        booster = CatBoostRegressor().load_model(str(folder / MODEL))
    except CatBoostError as error:
        return [Check("model", f"it does not load: {one_line(error)}", passed=False)]
    loaded = Check("model", f"it loads, with {booster.tree_count_:,} trees", passed=True)
    try:
        text = trained_with.read_text(encoding="utf-8") if trained_with.exists() else None
        predictor = Predictor(dataset, booster, text)
    except Reject as error:
        return [loaded, Check("features", str(error), passed=False)]
    named = f"its {len(booster.feature_names_)} features are those of the dataset file"
    return [loaded, Check("features", named, passed=True), _check_example(dataset, predictor)]


def _check_example(dataset: Dataset, predictor: Predictor) -> Check:
    """The same check as before a version is served, without recent requests."""
    example, _ = dataset.convert(dataset.example)
    try:
        (price,) = predictor.prices([example])
    except Reject as error:
        return Check(EXAMPLE, str(error), passed=False)
    return example_gate(dataset, price)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
