"""The data of a run in MLflow: what the model learnt from, and what it was measured on. The rows stay in Kafka."""

import json
from collections.abc import Mapping
from hashlib import sha256

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from veleta.topics import topic
from veleta_trainer.domain.recipe import Recipe

DIGEST_CHARACTERS = 8
"""Of a digest, as MLflow recommends."""


def inputs(recipe: Recipe, metrics: Mapping[str, float]) -> list[DatasetInput]:
    """The inputs `training` and `holdout`, with their numbers of rows. The source names the batches.

    The recipe of the run has their manifests, with the SHA-256 of each and its place in the topic.
    """
    contexts = {"training": recipe.batches, "holdout": [*recipe.batches, *recipe.more_holdout]}
    found = []
    for context, batches in contexts.items():
        digest = sha256("\n".join([context, *(batch.digest for batch in batches)]).encode()).hexdigest()
        source = {
            "topic": topic(recipe.dataset, "rows"),
            "batches": [f"{batch.epoch}/{batch.number}" for batch in batches],
        }
        rows = int(metrics["train_rows" if context == "training" else "holdout_rows"])
        dataset = Dataset(
            name=recipe.dataset,
            digest=digest[:DIGEST_CHARACTERS],
            source_type="kafka",
            source=json.dumps(source),
            profile=json.dumps({"num_rows": rows}),
        )
        found.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)]))
    return found
