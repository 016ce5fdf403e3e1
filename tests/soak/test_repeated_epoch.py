"""Champion and challenger of two epochs, with a real trainer on real Kafka, MariaDB and MLflow."""

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from support.trainings import ended, request_training, training_rows
from veleta.adapters.mlflow import MlflowRegistry
from veleta.tables import promotions


@pytest.mark.failure("F105")
def test_a_new_epoch_with_the_same_rows_does_not_replace_the_champion(testbed: Testbed) -> None:
    """The challenger learns the batches that the new epoch does not have yet from the last one; the champion stays."""
    wide = {0: list(api_rows(0, 300, 71)), 1: list(api_rows(4, 300, 72)), 2: list(api_rows(5, 300, 73))}
    for number, rows in wide.items():
        publish_batch(testbed.log, testbed.dataset, 5, number, rows)
    for number in (0, 1):
        publish_batch(testbed.log, testbed.dataset, 6, number, wide[number])
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=20):
        request_training(testbed, 5, 2)
        wait_until(lambda: ended(testbed, "5/2"), 120, "the wide training ends")
        request_training(testbed, 6, 1)
        wait_until(lambda: ended(testbed, "6/1"), 120, "the narrow training ends")
    champion, narrow = (training_rows(testbed)[f"{testbed.dataset.name}/{batch}/retrain"] for batch in ("5/2", "6/1"))
    assert [(b["epoch"], b["number"]) for b in narrow.recipe["batches"]] == [(5, 2), (6, 0), (6, 1)]
    assert narrow.recipe["champion"] == champion.version
    assert narrow.metrics["holdout_rows"] == champion.metrics["holdout_rows"]
    decided = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))[-1]
    assert (decided.version, decided.decision) == (narrow.version, "rejected")
    alias = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name).alias("champion")
    assert alias is not None
    assert alias.number == champion.version
