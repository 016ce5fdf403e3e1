"""`python -m veleta_inference.explainer DATASET`: computes SHAP values in a child process.

It has a low priority, so that explanations do not slow predictions down. It exits at the end of its stdin.
"""

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from catboost import CatBoostRegressor, Pool

from veleta.dataset import Dataset, Row, load_dataset
from veleta.errors import Reject
from veleta.features import Features
from veleta.model_digest import check_digest
from veleta.shap_values import shap_values

NICENESS = 10


def main() -> None:
    """Answer each line `{"model": path, "digest": SHA-256 of the file, "rows": [...]}`.

    The answer is a line `{"columns": names, "values": [[...], ...]}`, or `{"fault": text}` if the file changed. The
    values of all features that belong to a column are added up.
    """
    os.nice(NICENESS)
    dataset = load_dataset(sys.argv[1])
    path, model = "", CatBoostRegressor()
    for line in sys.stdin.buffer:
        request = orjson.loads(line)
        try:
            if request["model"] != path:
                model, path = _load(Path(request["model"]), request["digest"]), request["model"]
            response = _explain(dataset, model, request["rows"])
        except Reject as error:
            response = {"fault": str(error)}
        sys.stdout.buffer.write(orjson.dumps(response) + b"\n")
        sys.stdout.buffer.flush()


def _load(path: Path, digest: str) -> CatBoostRegressor:
    content = path.read_bytes()
    check_digest(content, digest)
    return CatBoostRegressor().load_model(blob=content)


def _explain(dataset: Dataset, model: CatBoostRegressor, rows: Sequence[Row]) -> dict[str, Any]:
    features = Features(dataset, model.feature_names_)
    data = [features.of(dataset.convert(row)[0]) for row in rows]
    values, _ = shap_values(model, Pool(data, cat_features=features.categorical), threads=1)
    owners = [each.column for each in features.infos]
    columns = list(dict.fromkeys(owners))
    places = [[i for i, owner in enumerate(owners) if owner == column] for column in columns]
    return {"columns": columns, "values": [[math.fsum(row[i]) for i in places] for row in values]}


if __name__ == "__main__":
    main()
