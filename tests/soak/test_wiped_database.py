"""MySQL loses all data while the services run: they restore the tables from the topics."""

from datetime import datetime
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.models import post_example, served_model
from support.testbed import Testbed, wait_until
from veleta.tables import SCHEMAS, batches, dataset_tables, pipeline, promotions, trainings
from veleta_trainer.adapters.repositories import MysqlTrainings
from veleta_trainer.domain.training import TrainingRequest, TrainingRow, waiting_row

NOW = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as SQL holds it
LEFT_OUT = {"leases", "outbox", "manifests", "limits", "interval_levels"}
"""Transient rows, the table that the trainer fills only when it plans, the defaults of a new deployment, and rows that
may follow their batch after it is settled."""
NOT_IN_TOPICS = {"loaded_at", "fits"}
"""When a batch was loaded, and how often a training was begun."""


@pytest.mark.failure("F09", "F101")
def test_wiped_tables_are_filled_again_and_the_loop_goes_on(testbed: Testbed) -> None:
    """The tables equal the old ones, except load times. Nothing is trained twice; the next promotion is served."""
    settings: dict[str, Any] = {"work": testbed.folder / "work", "trees": 10, "lease_seconds": 1}
    with (
        testbed.service("loader", "loader", on_new_epoch="keep") as loader,
        testbed.service("drift", "drift") as drift,
        testbed.service("trainer", "trainer", **settings) as trainer,
        testbed.service("inference", "inference", reconcile_seconds=1) as inference,
    ):
        for number, place in enumerate((0, 5)):
            publish_batch(testbed.log, testbed.dataset, 1, number, list(api_rows(place, 300, number)))
            wait_until(partial(_settled, testbed, number), 90, f"batch {number} is settled")
        inference.wait_until_ready()
        before, counts = _tables(testbed), _counts(testbed)
        decided = len(before["promotions"])
        _wipe(testbed)
        assert testbed.prepare().returncode == 0
        drift.run_until(lambda: _tables(testbed) == before, 90, "the tables are as they were")
        for process in (loader, drift, trainer, inference):
            process.wait_until_ready()
        assert post_example(inference.url, testbed.dataset) == 200
        publish_batch(testbed.log, testbed.dataset, 1, 2, list(api_rows(1, 300, 9)))
        wait_until(lambda: _settled(testbed, 2), 90, "the batch after it is settled")
        seqs = [row.seq for row in testbed.sql(sa.select(promotions.c.seq).order_by(promotions.c.seq))]
        assert seqs == list(range(1, decided + 2))
        champion = _champion(testbed)
        wait_until(lambda: served_model(inference.url)["version"] == champion, 30, "the champion is served")
    assert _counts(testbed) == {
        "drift": counts["drift"] + 1,
        "training": counts["training"] + _events_of_last_training(testbed),
    }


def _events_of_last_training(testbed: Testbed) -> int:
    """Only the last training has new events; no other event was published again."""
    last = f"{testbed.dataset.name}/1/2/retrain"
    return sum(1 for event in testbed.events("training") if event.id.startswith(last))


def _settled(testbed: Testbed, number: int) -> bool:
    lines = testbed.sql(sa.select(trainings))
    loaded = testbed.sql(sa.select(batches).where(batches.c.number == number, batches.c.state == "loaded"))
    here = [row for row in lines if row.request_id == f"{testbed.dataset.name}/1/{number}/retrain"]
    return bool(loaded) and bool(here) and all(row.ended_at for row in lines)


def _tables(testbed: Testbed) -> dict[str, list[Any]]:
    """All tables except requests and those in LEFT_OUT, without what no topic has."""
    tables = dataset_tables(testbed.dataset)
    compared = [t for t in pipeline.sorted_tables if t.name not in LEFT_OUT]
    found = {}
    for table in (*compared, tables.raw, tables.clean, tables.comparison):
        columns = [c for c in table.columns if c.name not in NOT_IN_TOPICS]
        lines = testbed.sql(sa.select(*columns).order_by(*table.primary_key.columns))
        found[table.name if table is not tables.clean else "clean"] = [tuple(line) for line in lines]
    return found


def _counts(testbed: Testbed) -> dict[str, int]:
    return {"drift": len(testbed.events("drift")), "training": len(testbed.events("training"))}


def _wipe(testbed: Testbed) -> None:
    with testbed.admin.begin() as connection:
        for name in SCHEMAS:
            connection.exec_driver_sql(f"DROP DATABASE `{testbed.prefix}{name}`")


def _champion(testbed: Testbed) -> int:
    query = sa.select(promotions.c.version).where(promotions.c.decision == "promoted").order_by(promotions.c.seq)
    return int(testbed.sql(query)[-1].version)


def test_a_request_that_arrives_during_a_restore_ends_as_the_topics_show(testbed: Testbed) -> None:
    """Restoring reads the states, the consumer inserts a request, and restoring writes."""
    request = TrainingRequest("r", 1, 0, "test", first=True, batches=[], cause=None, trace="")
    skipped: TrainingRow = {**waiting_row(request, NOW), "state": "skipped", "ended_at": NOW}
    with testbed.admin.begin() as restoring, testbed.admin.begin() as consumer:
        repository = MysqlTrainings(restoring)
        states = repository.states
        read = states(["r"])
        MysqlTrainings(consumer).add(request, NOW)
        consumer.commit()
        with pytest.MonkeyPatch.context() as patch:
            stale = [read]
            patch.setattr(repository, "states", lambda ids: stale.pop() if stale else states(ids))
            repository.restore([skipped])
    assert [row.state for row in testbed.sql(sa.select(trainings).where(trainings.c.request_id == "r"))] == ["skipped"]
