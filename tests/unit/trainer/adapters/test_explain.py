"""The table that explains a model, as a spreadsheet reads it."""

import csv
import warnings
from importlib import import_module
from pathlib import Path

import pytest
from catboost import CatBoostRegressor

from support.models import synthetic, train
from veleta.dataset import load_dataset, parse_dataset
from veleta.features import Features

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # shap uses deprecated functions of matplotlib
    explain = import_module("veleta_trainer.adapters.explain").explain
    feature_frame = import_module("veleta.explanation").feature_frame


@pytest.mark.failure("F417")
@pytest.mark.failure("F442")
def test_a_title_is_no_formula(tmp_path: Path) -> None:
    """Nor is a unit. Somebody else's dataset file declares both."""
    text, formulas = load_dataset("real_estate").text, ["=1+1", "+1", "-1", "@SUM(A1)"]
    text = text.replace('unit = "USD"', 'unit = "$_$"')  # a formula of matplotlib, which would end the training
    for title, formula in zip(("Bedrooms", "Bathrooms", "Lot", "City"), formulas, strict=True):
        text = text.replace(f'title = "{title}"', f'title = "{formula}"')
    dataset = parse_dataset(text)
    rows = synthetic(dataset, 50)
    train(dataset, tmp_path / "model.cbm", rows=rows)
    booster = CatBoostRegressor().load_model(str(tmp_path / "model.cbm"))
    example = Features(dataset).of(rows[0])
    explain(booster, dataset, feature_frame(dataset, rows), example, tmp_path / "explained")
    with (tmp_path / "explained/importance.csv").open() as file:
        rows_of_table = list(csv.DictReader(file))
    titles = {row["title"] for row in rows_of_table}
    assert {row["unit"] for row in rows_of_table} == {"$_$"}
    assert titles >= {f"'{formula}" for formula in formulas} | {"ZIP code"}
    assert titles.isdisjoint(formulas)
