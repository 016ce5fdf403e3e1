"""MySQL loses all data while the services run: they restore the tables from the topics."""

from datetime import datetime
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.listings import api_rows
from support.models import post_example, served_model
from support.world import World, eventually
from veleta.tables import SCHEMAS, batches, dataset_tables, pipeline, promotions, trainings
from veleta_trainer.adapters.repositories import MysqlTrainings
from veleta_trainer.domain.training import TrainingRequest, TrainingRow, waiting_row

NOW = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as SQL holds it
LEFT_OUT = {"leases", "outbox"}
TIMES_OF_LOADING = {"loaded_at"}


@pytest.mark.failure("F09", "F101")
def test_wiped_tables_are_filled_again_and_the_loop_goes_on(world: World) -> None:
    """The tables equal the old ones, except load times. Nothing is trained twice; the next promotion is served."""
    settings: dict[str, Any] = {"work": world.folder / "work", "trees": 10, "lease_seconds": 1}
    with (
        world.service("loader", "loader", on_new_epoch="keep") as loader,
        world.service("drift", "drift") as drift,
        world.service("trainer", "trainer", **settings) as trainer,
        world.service("inference", "inference", reconcile_seconds=1) as inference,
    ):
        for number, place in enumerate((0, 5)):
            publish_batch(world.log, world.dataset, 1, number, list(api_rows(place, 300, number)))
            eventually(partial(_settled, world, number), 90, f"batch {number} is settled")
        inference.ready()
        before, told = _tables(world), _counts(world)
        decided = len(before["promotions"])
        _wipe(world)
        assert world.prepare().returncode == 0
        drift.until(lambda: _tables(world) == before, 90, "the tables are as they were")
        for process in (loader, drift, trainer, inference):
            process.ready()
        assert post_example(inference.url, world.dataset) == 200
        publish_batch(world.log, world.dataset, 1, 2, list(api_rows(1, 300, 9)))
        eventually(lambda: _settled(world, 2), 90, "the batch after it is settled")
        seqs = [row.seq for row in world.sql(sa.select(promotions.c.seq).order_by(promotions.c.seq))]
        assert seqs == list(range(1, decided + 2))
        champion = _champion(world)
        eventually(lambda: served_model(inference.url)["version"] == champion, 30, "the champion is served")
    assert _counts(world) == {
        "drift": told["drift"] + 1,
        "training": told["training"] + _events_of_last_training(world),
    }


def _events_of_last_training(world: World) -> int:
    """Only the last training has new events; no other event was published again."""
    last = f"{world.dataset.name}/1/2/retrain"
    return sum(1 for event in world.events("training") if event.id.startswith(last))


def _settled(world: World, number: int) -> bool:
    lines = world.sql(sa.select(trainings))
    loaded = world.sql(sa.select(batches).where(batches.c.number == number, batches.c.state == "loaded"))
    here = [row for row in lines if row.request_id == f"{world.dataset.name}/1/{number}/retrain"]
    return bool(loaded) and bool(here) and all(row.ended_at for row in lines)


def _tables(world: World) -> dict[str, list[Any]]:
    """All tables except requests, transient rows and load times."""
    tables = dataset_tables(world.dataset)
    kept = [t for t in pipeline.sorted_tables if t.name not in LEFT_OUT]
    found = {}
    for table in (*kept, tables.raw, tables.clean, tables.comparison):
        columns = [c for c in table.columns if c.name not in TIMES_OF_LOADING]
        lines = world.sql(sa.select(*columns).order_by(*table.primary_key.columns))
        found[table.name if table is not tables.clean else "clean"] = [tuple(line) for line in lines]
    return found


def _counts(world: World) -> dict[str, int]:
    return {"drift": len(world.events("drift")), "training": len(world.events("training"))}


def _wipe(world: World) -> None:
    with world.admin.begin() as connection:
        for name in SCHEMAS:
            connection.exec_driver_sql(f"DROP DATABASE `{world.prefix}{name}`")


def _champion(world: World) -> int:
    query = sa.select(promotions.c.version).where(promotions.c.decision == "promoted").order_by(promotions.c.seq)
    return int(world.sql(query)[-1].version)


def test_a_request_that_arrives_during_a_restore_ends_as_the_topics_show(world: World) -> None:
    """Restoring reads the states, the consumer inserts a request, and restoring writes."""
    request = TrainingRequest("r", 1, 0, "test", first=True, batches=[], cause=None, trace="")
    skipped: TrainingRow = {**waiting_row(request, NOW), "state": "skipped", "ended_at": NOW}
    with world.admin.begin() as restoring, world.admin.begin() as consumer:
        repository = MysqlTrainings(restoring)
        states = repository._states
        read = states()
        MysqlTrainings(consumer).add(request, NOW)
        consumer.commit()
        with pytest.MonkeyPatch.context() as patch:
            stale = [read]
            patch.setattr(repository, "_states", lambda: stale.pop() if stale else states())
            repository.restore([skipped])
    assert [row.state for row in world.sql(sa.select(trainings).where(trainings.c.request_id == "r"))] == ["skipped"]
