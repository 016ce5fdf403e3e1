"""A training for rows that came during the training before, by drift and trainer as processes."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.drift_models import WITHOUT_RULES
from support.faulty import kills
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from support.trainings import ended, training_rows
from veleta.events.catalogue import RetrainRequested
from veleta.tables import drift_reports, trainings

ROWS = 400


@pytest.fixture(scope="module")
def dataset_text() -> str:
    return WITHOUT_RULES.replace('policy = "seed"', 'policy = "evidence"')


@pytest.mark.failure("F477")
def test_batches_that_close_during_a_training_request_the_next_one(testbed: Testbed, tmp_path: Path) -> None:
    """Without a further batch, and once, though drift is killed after it stored the request."""
    with testbed.service("drift", "drift", faults=kills(["drift.stored"])) as drift:
        drift.wait_until_ready()
        for number in range(3):
            publish_batch(testbed.log, testbed.dataset, 1, number, api_rows(4, ROWS, seed=number))
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 3, 60, "three reports")
        with testbed.service("trainer", "trainer", work=tmp_path, trees=60):
            drift.run_until(lambda: not drift.faults(), 120, "the kill")
            drift.run_until(lambda: ended(testbed, "1/2"), 120, "the second training ends")
    first, second = testbed.sql(sa.select(trainings).order_by(trainings.c.requested_at))
    assert first.request_id == f"{testbed.dataset.name}/1/0/retrain"
    assert (first.state, second.state) == ("finished", "finished")
    requests = {each.id: each.payload for each in testbed.events("retrain")}
    assert requests.keys() == training_rows(testbed).keys()
    request = requests[second.request_id]
    assert isinstance(request, RetrainRequested)
    assert request.reason == "more data: 800 rows since the training of version 1, which learnt 400 (+200 %)"
