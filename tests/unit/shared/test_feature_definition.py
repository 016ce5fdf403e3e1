"""A model is asked only for features that the dataset file still computes as for its training."""

import json
from pathlib import Path

import pytest
from catboost import CatBoostRegressor

from support.dataset_changes import CHANGES
from support.models import train
from veleta.dataset import load_dataset, parse_dataset
from veleta.errors import Reject
from veleta.feature_definition import METADATA, FeatureDefinition
from veleta.predictor import FEATURES, OtherFeatures, check_features

DATASET = load_dataset("real_estate")
DEFINITION = FeatureDefinition.of_dataset(DATASET)


class Model:
    """A model of the dataset's features, with or without their definition in its file."""

    feature_names_ = tuple(each.name for each in DEFINITION.features)

    def __init__(self, *, defined: bool) -> None:
        self._metadata = {FEATURES: "1"}
        if defined:
            DEFINITION.save(self._metadata)

    def get_metadata(self) -> dict[str, str]:
        return self._metadata

    def predict(self, data: object) -> list[float]:
        raise NotImplementedError


@pytest.mark.failure("F265")
@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("defined", [True, False], ids=["new model", "old model"])
def test_a_model_is_refused_if_it_would_get_other_features(kind: str, *, defined: bool) -> None:
    """Each difference is named. An old model has no definition, but the dataset file of its training is known."""
    model, change = Model(defined=defined), CHANGES[kind]
    trained_with = None if defined else DATASET.text
    if not change.model_refuses:
        check_features(change.dataset(), model, trained_with)
        return
    with pytest.raises(OtherFeatures) as caught:
        check_features(change.dataset(), model, trained_with)
    assert str(caught.value) == f"the model learnt from other features: {change.model_refuses}"


def test_an_old_model_of_an_unknown_dataset_file_is_compared_by_names() -> None:
    """As before: nothing else is known of it."""
    check_features(CHANGES["prefix"].dataset(), Model(defined=False))
    with pytest.raises(Reject, match="status is no feature now"):
        check_features(CHANGES["feature left out"].dataset(), Model(defined=False))


def test_a_model_whose_definition_cannot_be_read_is_refused() -> None:
    """It may be of a later version of the project."""
    model = Model(defined=True)
    model.get_metadata()[METADATA] = '{"features": 7}'
    with pytest.raises(Reject, match=r"^the definition of the model's features cannot be read: "):
        check_features(DATASET, model)


def test_features_of_another_version_of_the_code_are_refused() -> None:
    """They were computed in another way from the same columns."""
    model = Model(defined=True)
    FeatureDefinition.of_dataset(DATASET, feature_version=0).save(model.get_metadata())
    with pytest.raises(OtherFeatures, match=r": version 0 of the features, now 1$"):
        check_features(DATASET, model)


def test_all_differences_are_named_in_one_line() -> None:
    """The author of the file sees all that must be undone."""
    changed = parse_dataset(CHANGES["unit"].text(CHANGES["digits"].text(CHANGES["prefix"].text(DATASET.text))))
    with pytest.raises(OtherFeatures) as caught:
        check_features(changed, Model(defined=True))
    zip_code, size = "zip_code had digits = 5, now 6 and prefix = 3, now 2", CHANGES["unit"].model_refuses
    places = "[places] had digits = 5, now 6"
    assert str(caught.value) == f"the model learnt from other features: {zip_code}; {size}; {places}"


def test_the_digest_changes_with_what_is_computed_only() -> None:
    """Not with titles, bounds, the identity or the columns of drift."""
    changed = {kind for kind in CHANGES if _digest(kind) != DEFINITION.digest}
    assert changed == {kind for kind, change in CHANGES.items() if change.model_refuses} | {"column added"}


def test_the_model_file_contains_the_definition(tmp_path: Path) -> None:
    """CatBoost saves and loads its metadata with the model."""
    train(DATASET, tmp_path / "model.cbm")
    loaded = CatBoostRegressor().load_model(str(tmp_path / "model.cbm"))
    assert FeatureDefinition.of_model(loaded.get_metadata()) == DEFINITION
    features = json.loads(loaded.get_metadata()["feature_definition"])["features"]
    assert {"name": "zip_code", "kind": "identifier", "unit": "", "digits": 5, "prefix": 3} in features


def _digest(kind: str) -> str:
    return FeatureDefinition.of_dataset(CHANGES[kind].dataset()).digest
