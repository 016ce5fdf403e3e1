"""The registered model: raw rows in, prices out, for plain `mlflow models serve` and `mlflow.pyfunc.load_model`."""

from pathlib import Path

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from veleta.dataset import Column, Dataset, parse_dataset
from veleta.predictor import Predictor

BOOSTER, DATASET = "booster", "dataset"
"""The model's artifacts: the CatBoost model, and the dataset file of its training."""


class RawRowModel(PythonModel):
    """Predicts from rows as the data API serves them, without the target."""

    def load_context(self, context: PythonModelContext) -> None:
        """MLflow calls this once, before the first prediction."""
        self._dataset = parse_dataset(Path(context.artifacts[DATASET]).read_text(encoding="utf-8"))
        booster = CatBoostRegressor().load_model(context.artifacts[BOOSTER])
        self._predictor = Predictor(self._dataset, booster)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, object] | None = None,  # noqa: ARG002 - as above
    ) -> np.ndarray:
        """The price of each row: a one-dimensional array, in the target's unit."""
        rows = [self._dataset.convert(row)[0] for row in model_input.to_dict("records")]  # type: ignore[arg-type]  # names are text
        return np.array(self._predictor.prices(rows))


def signature(dataset: Dataset) -> ModelSignature:
    """The model's signature: raw columns in, a price out. Columns that requests may leave out are not required."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(_type(c), c.name, required=c.required) for c in dataset.inputs]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double)]))


def example_frame(dataset: Dataset) -> pd.DataFrame:
    """The dataset's example row, without the target."""
    return pd.DataFrame([{c.name: dataset.example[c.name] for c in dataset.inputs if c.name in dataset.example}])


def _type(column: Column) -> DataType:
    if column.numeric:
        return DataType.double
    return DataType.boolean if column.kind == "boolean" else DataType.string
