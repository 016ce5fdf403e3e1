"""A saved view of the runs in MLflow's pages, with the columns that tell trainings apart first.

MLflow (3.15 and later) stores saved views as tags of the experiment, and lists them under `Views`. Its pages show
the columns of `selectedColumns` in the order of `columnOrder`. A view cannot be made the default one.
"""

import json

VIEW_TAG = "mlflow.sharedViewState.veleta"
"""The tag of the experiment with the view. Its end is the parameter `viewStateShareKey` of the page."""
NAME = "Trainings"
COLUMNS = [
    "attributes.`Description`",
    "metrics.`mae`",
    "metrics.`champion_mae`",
    "metrics.`linear_mae`",
    "metrics.`median_ape`",
    "metrics.`r2`",
    "metrics.`coverage`",
    "metrics.`holdout_rows`",
    "params.`batches`",
    "params.`champion`",
    "attributes.`Models`",
    "attributes.`Dataset`",
]
CREATED_AT = 0
"""Always the same time, so that the tag is written once."""
VIEW = json.dumps(
    {
        "name": NAME,
        "createdAt": CREATED_AT,
        "state": json.dumps({"selectedColumns": COLUMNS, "columnOrder": COLUMNS}),
    }
)
