"""`python -m veleta_inference.explainer DATASET`: computes SHAP values in a child process.

It has a low priority, so that explanations do not slow predictions down. It exits at the end of its stdin.
"""

import os
import sys

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.dataset import load_dataset
from veleta.features import features
from veleta.shap_values import shap_values

NICENESS = 10


def main() -> None:
    """Answer each line `{"model": path, "rows": [...]}` with a line `{"features": names, "values": [[...], ...]}`."""
    os.nice(NICENESS)
    dataset = load_dataset(sys.argv[1])
    path, model = "", CatBoostRegressor()
    for line in sys.stdin.buffer:
        request = orjson.loads(line)
        if request["model"] != path:
            model = CatBoostRegressor().load_model(request["model"])
            path = request["model"]
        columns = [dataset.by_name[name] for name in model.feature_names_]
        data = [features(columns, dataset.convert(row)[0]) for row in request["rows"]]
        values, _ = shap_values(model, Pool(data, cat_features=model.get_cat_feature_indices()), threads=1)
        response = {"features": model.feature_names_, "values": values.tolist()}
        sys.stdout.buffer.write(orjson.dumps(response) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
