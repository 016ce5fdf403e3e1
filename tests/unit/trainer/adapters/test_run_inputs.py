"""The data of a run in MLflow."""

import json

from mlflow.utils.validation import MAX_DATASET_SOURCE_SIZE, _validate_dataset_inputs

from support.trainer import recipe
from veleta.batches import MAX_BATCHES
from veleta.events.catalogue import MAX_INTEGER, BatchClosed
from veleta_trainer.adapters.run_inputs import inputs

METRICS = {"train_rows": 80.0, "holdout_rows": 30.0}


def batch(number: int, digest: str = "") -> BatchClosed:
    """A manifest, by default with a digest of its own."""
    digest = digest or str(number)
    return BatchClosed(
        dataset="d", epoch=1, number=number, rows=9, chunks=1, digest=digest, dataset_digest="d", ranges=[]
    )


def test_a_run_has_the_data_of_its_training_and_its_holdout() -> None:
    """With the numbers of rows, and the batches by name."""
    found = inputs(recipe(dataset="d", batches=[batch(0), batch(1)], more_holdout=[batch(7)]), METRICS)
    shown = {
        each.tags[0].value: (json.loads(each.dataset.profile or "")["num_rows"], json.loads(each.dataset.source))
        for each in found
    }
    assert shown == {
        "training": (80, {"topic": "d.rows", "batches": ["1/0", "1/1"]}),
        "holdout": (30, {"topic": "d.rows", "batches": ["1/0", "1/1", "1/7"]}),
    }
    assert {each.dataset.name for each in found} == {"d"}


def test_the_digest_is_that_of_the_rows() -> None:
    """Other rows have another one, in whichever batch. Training and holdout are never the same data."""

    def digests(*batches: BatchClosed) -> list[str]:
        return [each.dataset.digest for each in inputs(recipe(batches=list(batches)), METRICS)]

    assert digests(batch(0), batch(1)) == digests(batch(0), batch(1))
    for other in ([batch(0)], [batch(0), batch(1, "changed")], [batch(1), batch(0)]):
        assert set(digests(*other)).isdisjoint(digests(batch(0), batch(1)))
    assert len(set(digests(batch(0)))) == 2


def test_the_largest_recipe_fits_into_mlflow() -> None:
    """As many batches as a recipe may have, with the longest numbers."""
    batches = [
        batch(MAX_INTEGER - number).model_copy(update={"epoch": MAX_INTEGER}) for number in range(2 * MAX_BATCHES)
    ]
    found = inputs(recipe(batches=batches[:MAX_BATCHES], more_holdout=batches[MAX_BATCHES:]), METRICS)
    _validate_dataset_inputs(found)
    assert max(len(each.dataset.source) for each in found) < MAX_DATASET_SOURCE_SIZE
