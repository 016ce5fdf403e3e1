"""The folder of a fit: the files that the trainer prepares and reads, and the progress that it gets. See `fit`."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catboost import CatBoostError, CatBoostRegressor

from veleta.dataset import Dataset, parse_dataset
from veleta.errors import Reject, one_line
from veleta.features import Features, identity_columns
from veleta.market_levels import LevelHistory, MarketLevels
from veleta.predictor import check_features
from veleta_trainer.adapters import child_protocol
from veleta_trainer.domain.market_model import levels_of
from veleta_trainer.domain.recipe import Recipe


@dataclass(frozen=True)
class Champion:
    """The champion's model of prices, and the levels of its market."""

    booster: CatBoostRegressor
    market: MarketLevels | None


def read_recipe(folder: Path) -> tuple[Recipe, Dataset]:
    """The recipe with the present table of places, and its dataset.

    An upgrade may have brought another table since the training was planned.
    """
    recipe = Recipe.model_validate_json((folder / child_protocol.RECIPE).read_text())
    dataset = parse_dataset(recipe.dataset_file)
    return recipe.model_copy(update={"places_digest": Features(dataset).places_digest}), dataset


def champion_of(folder: Path, dataset: Dataset, history: LevelHistory) -> tuple[Champion | None, str]:
    """The champion with the levels since its training, or None and why it is not compared: empty if there is none."""
    try:
        booster = load_champion(folder, dataset)
        return (None, "") if booster is None else (Champion(booster, levels_of(booster, history)), "")
    except Reject as error:
        return None, one_line(error)


def load_champion(folder: Path, dataset: Dataset) -> CatBoostRegressor | None:
    """The champion. None if there is none.

    Raises:
        Reject: its file is damaged, or the dataset file changed so much since its training that a comparison is unfair.
    """
    path, file = folder / child_protocol.CHAMPION, folder / child_protocol.CHAMPION_DATASET
    if not path.exists():
        return None
    try:
        champion = CatBoostRegressor().load_model(str(path))
    except CatBoostError as error:
        raise Reject("the model's file is damaged", one_line(error)) from error
    trained_with = file.read_text(encoding="utf-8") if file.exists() else None
    check_features(dataset, champion, trained_with)
    before = parse_dataset(trained_with) if trained_with else dataset
    if identity_columns(before) != identity_columns(dataset):
        detail = f"identity was {_identity(before)}, now {_identity(dataset)}"
        raise Reject("the model may have learnt rows of this holdout", detail)
    return champion


def finish(folder: Path, recipe: Recipe, not_compared: str, metrics: Mapping[str, float]) -> None:
    """Write the recipe, and then the metrics: a file of metrics that exists shows that all others are complete.

    `not_compared` is why there are no figures of the champion, if that was found now.
    """
    if not_compared:
        recipe = recipe.model_copy(update={"not_compared": not_compared})
    (folder / child_protocol.RECIPE).write_text(recipe.model_dump_json())
    path = folder / child_protocol.METRICS
    temporary = path.with_suffix(".temporary")
    temporary.write_text(json.dumps(metrics))
    temporary.rename(path)


def report_progress(phase: str, done: int, of: int, error: float | None = None) -> None:
    """Report progress to the parent process."""
    sys.stdout.write(json.dumps({"phase": phase, "done": done, "of": of, "error": error}) + "\n")
    sys.stdout.flush()


def _identity(dataset: Dataset) -> str:
    """What identifies a property, in words."""
    named, all_names = ", ".join(dataset.identity), identity_columns(dataset)
    if all_names == dataset.identity:
        return named
    inputs = f"all inputs ({', '.join(all_names[len(dataset.identity) :])})"
    return f"{named} or {inputs}" if named else inputs
