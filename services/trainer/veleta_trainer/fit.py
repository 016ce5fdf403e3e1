"""The child process that learns: `python -m veleta_trainer.fit FOLDER BOOTSTRAP THREADS`.

FOLDER holds recipe.json and, when there is a champion, champion.cbm. It gets model.cbm, metrics.json and explain/.
Progress goes to stdout, a JSON object a line: phase, done, of and, while trees are fitted, error.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from catboost import CatBoostRegressor, Pool

from veleta.adapters.kafka import KafkaLog
from veleta.batches import BatchReader
from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, Retry
from veleta.features import categorical, feature_columns, features
from veleta.predictor import FEATURES, knows_these_features
from veleta_trainer.adapters.explain import explain
from veleta_trainer.adapters.folder import AWAY, CHAMPION, EXPLAIN, METRICS, MODEL, NOTHING_TO_LEARN, RECIPE
from veleta_trainer.domain.learning import Columns, Learning
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.domain.scores import scores

LEAST_ROWS = 20
"""Fewer rows to learn from make no model."""
STEPS_SAID = 20
"""Points of the learning curve."""


def carry_out(folder: Path, bootstrap: str, threads: int) -> None:
    """Read the recipe's rows, learn, measure and explain. Raises Retry or Reject."""
    recipe = Recipe.model_validate_json((folder / RECIPE).read_text())
    dataset = parse_dataset(recipe.dataset_file)
    learning = _read(recipe, dataset, BatchReader(KafkaLog(bootstrap, "trainer-fit")))
    booster = _fit(recipe, dataset, learning.train, threads)
    booster.get_metadata()[FEATURES] = str(recipe.feature_version)
    booster.save_model(str(folder / MODEL))
    metrics = _measure(booster, dataset, learning)
    champion = _champion(folder / CHAMPION)
    if champion:
        metrics["champion_mae"] = scores(learning.holdout.prices(), _prices(champion, dataset, learning))["mae"]
    say("explaining", 0, 1)
    example = features(feature_columns(dataset), dataset.convert(dataset.example)[0])
    explain(booster, dataset, learning.holdout.frame(), example, folder / EXPLAIN)
    (folder / METRICS).write_text(json.dumps(metrics))


def _champion(path: Path) -> CatBoostRegressor | None:
    """The champion, unless there is none or it learnt from features that this code does not make."""
    if not path.exists():
        return None
    champion = CatBoostRegressor().load_model(str(path))
    return champion if knows_these_features(champion) else None


def say(phase: str, done: int, of: int, error: float | None = None) -> None:
    """Tell the parent how far this is."""
    sys.stdout.write(json.dumps({"phase": phase, "done": done, "of": of, "error": error}) + "\n")
    sys.stdout.flush()


def _read(recipe: Recipe, dataset: Dataset, reader: BatchReader) -> Learning:
    learning = Learning(dataset)
    total = len(recipe.batches) + len(recipe.more_holdout)
    for done, manifest in enumerate([*recipe.batches, *recipe.more_holdout]):
        say("reading", done, total)
        for rows in reader.chunks(manifest):
            learning.add(rows, learn=done < len(recipe.batches))
    if len(learning.train) < LEAST_ROWS or not len(learning.holdout):
        raise Reject(f"{len(learning.train)} clean rows to learn from and {len(learning.holdout)} held out are too few")
    return learning


def _fit(recipe: Recipe, dataset: Dataset, train: Columns, threads: int) -> CatBoostRegressor:
    booster = CatBoostRegressor(**recipe.params, thread_count=threads, allow_writing_files=False, verbose=False)
    pool = Pool(train.frame(), label=np.log(train.prices()), cat_features=categorical(dataset))
    booster.fit(pool, callbacks=[_Progress(int(recipe.params["iterations"]))])
    return booster


def _measure(booster: CatBoostRegressor, dataset: Dataset, learning: Learning) -> dict[str, float]:
    found = scores(learning.holdout.prices(), _prices(booster, dataset, learning))
    return {**found, "train_rows": float(len(learning.train)), "holdout_rows": float(len(learning.holdout))}


def _prices(booster: CatBoostRegressor, dataset: Dataset, learning: Learning) -> np.ndarray:
    """A model's prices for the holdout, from the columns that it learnt from: a champion may know fewer of them."""
    texts = {feature_columns(dataset)[i].name for i in categorical(dataset)}
    names = list(booster.feature_names_)
    rows = Pool(learning.holdout.frame()[names], cat_features=[name for name in names if name in texts])
    prices: np.ndarray = np.exp(booster.predict(rows))
    return prices


class _Progress:
    """CatBoost's callback after each tree."""

    def __init__(self, trees: int) -> None:
        self._trees = trees
        self._every = max(1, trees // STEPS_SAID)

    def after_iteration(self, info: Any) -> bool:
        if info.iteration % self._every == 0:
            say("fitting", info.iteration, self._trees, info.metrics["learn"]["RMSE"][-1])
        return True


if __name__ == "__main__":
    try:
        carry_out(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except Retry as error:
        sys.stderr.write(str(error))
        sys.exit(AWAY)
    except Reject as error:
        sys.stderr.write(str(error))
        sys.exit(NOTHING_TO_LEARN)
