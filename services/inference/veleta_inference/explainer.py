"""`python -m veleta_inference.explainer DATASET`: SHAP values, a question a line, until stdin ends.

It is a process of its own, and a polite one, so that no price waits for an explanation.
"""

import os
import sys
from collections.abc import Sequence

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset, Values, load_dataset
from veleta.features import features

POLITE = 10


def main() -> None:
    """Answer each line `{"model": path, "rows": [...]}` with `{"features": names, "shares": [[...], ...]}`."""
    os.nice(POLITE)
    dataset = load_dataset(sys.argv[1])
    known, model = "", CatBoostRegressor()
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        if asked["model"] != known:
            model = CatBoostRegressor().load_model(asked["model"])
            known = asked["model"]
        rows = [dataset.convert(row)[0] for row in asked["rows"]]
        sys.stdout.buffer.write(
            orjson.dumps({"features": model.feature_names_, "shares": shares(dataset, model, rows)})
        )
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()


def shares(dataset: Dataset, model: CatBoostRegressor, rows: Sequence[Values]) -> list[list[float]]:
    """The SHAP values of each row, a column for each of the model's features: of the logarithm of the price."""
    columns = [dataset.by_name[name] for name in model.feature_names_]
    asked = [features(columns, row) for row in rows]
    texts = [i for i, column in enumerate(columns) if column.kind in ("category", "identifier")]
    found = model.get_feature_importance(Pool(asked, cat_features=texts), type="ShapValues", thread_count=1)
    return [[float(value) for value in line[:-1]] for line in found]


if __name__ == "__main__":
    main()
