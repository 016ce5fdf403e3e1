"""A dataset file that changes after a run has begun: each kind of change works, or the job refuses it in one line."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.dataset_changes import CHANGES
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from veleta.dataset import Dataset, load_dataset, parse_dataset
from veleta.errors import Stop
from veleta.events.catalogue import DatasetDeclared
from veleta.events.envelope import Event, encode
from veleta.tables import SCHEMAS, batches, dataset_tables, datasets, drift_reports
from veleta.topics import topic
from veleta_prepare.tables import create_databases, create_tables

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def declare(testbed: Testbed) -> None:
    """Publish the dataset file, as the poller does."""
    dataset = testbed.dataset
    payload = DatasetDeclared(dataset=dataset.name, digest=dataset.digest, toml=dataset.text)
    testbed.log.publish([encode(topic(dataset.name, "batches"), Event("declared", "poller", NOW, payload))])


def wipe(testbed: Testbed) -> None:
    """Delete the databases."""
    for name in SCHEMAS:
        with testbed.admin.begin() as connection:
            connection.exec_driver_sql(f"DROP DATABASE `{testbed.prefix}{name}`")


def create(testbed: Testbed, dataset: Dataset) -> None:
    """What the job does with the tables."""
    create_databases(testbed.mysql("admin"))
    with testbed.admin.begin() as connection:
        create_tables(connection, dataset, testbed.log)


def tables(dataset: Dataset) -> list[tuple[str, str, str]]:
    """The columns of the tables of a dataset, with their types."""
    all_tables = vars(dataset_tables(dataset)).values()
    return [(table.fullname, column.name, str(column.type)) for table in all_tables for column in table.columns]


REAL_ESTATE = load_dataset("real_estate")
CHANGES_OF_TABLES = {
    kind: change for kind, change in CHANGES.items() if tables(change.dataset()) != tables(REAL_ESTATE)
}
"""The job has nothing to do after the others."""


def _stay(_testbed: Testbed) -> None:
    """The tables of before are there."""


@pytest.mark.failure("F38", "F267")
@pytest.mark.parametrize("before", [_stay, wipe], ids=["running", "after a wipe"])
def test_each_change_works_or_is_refused_in_one_line(fresh_testbed: Testbed, before: Callable[[Testbed], None]) -> None:
    """After a wipe the tables are gone, but the topics still have rows of the former columns."""
    declare(fresh_testbed)
    for kind, change in CHANGES_OF_TABLES.items():
        before(fresh_testbed)
        changed = parse_dataset(change.text(fresh_testbed.dataset.text))
        expected: AbstractContextManager[object] = nullcontext()
        if change.job_refuses:
            expected = pytest.raises(Stop, match=rf"{change.job_refuses}\. Columns can only be added\. Declare it as")
        with expected as caught:
            create(fresh_testbed, changed)
        assert "\n" not in str(getattr(caught, "value", "")), kind
    columns = {column.name for column in dataset_tables(changed).raw.columns}
    table = f"{fresh_testbed.prefix}RAW_DATA.{fresh_testbed.dataset.name}"
    with fresh_testbed.admin.begin() as connection:
        assert set(connection.exec_driver_sql(f"SELECT * FROM {table}").keys()) == columns


@pytest.mark.failure("F267")
def test_a_dataset_of_another_name_is_refused(fresh_testbed: Testbed) -> None:
    """It would mix its batches with those of the other one, because both have the same batch table."""
    name = fresh_testbed.dataset.name
    row = {"digest": "d", "name": name, "file": "", "declared_at": NOW.replace(tzinfo=None)}
    with fresh_testbed.admin.begin() as connection:
        connection.execute(sa.insert(datasets).values(row))
    with pytest.raises(Stop, match=rf'name = "another", and this deployment has the data of {name}\.'):
        create(fresh_testbed, fresh_testbed.dataset.model_copy(update={"name": "another"}))


@pytest.mark.failure("F268")
def test_loader_and_drift_restore_their_tables_with_a_changed_dataset_file(fresh_testbed: Testbed) -> None:
    """After a wipe with a new column, other bounds and a column that drift no longer compares."""
    testbed = fresh_testbed
    declare(testbed)
    for number in range(3):
        publish_batch(testbed.log, testbed.dataset, 1, number, list(api_rows(number, 100, number)))
    with testbed.service("drift", "drift"):
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 3, 60, "every batch has a verdict")
    before = testbed.sql(sa.select(drift_reports))
    wipe(testbed)
    text = testbed.dataset.text
    for kind in ("column added", "drift ignore, more", "bounds", "prefix"):
        text = CHANGES[kind].text(text)
    testbed.dataset_path.write_text(text)
    assert testbed.prepare().returncode == 0
    with testbed.service("drift", "drift") as drift, testbed.service("loader", "loader") as loader:
        drift.wait_until_ready()
        loader.wait_until_ready()
        assert testbed.sql(sa.select(drift_reports)) == before
        publish_batch(testbed.log, load_dataset(str(testbed.dataset_path)), 1, 3, list(api_rows(3, 100, 9)))
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 4, 60, "the next batch has a verdict")
        loaded = sa.select(batches.c.number).where(batches.c.state == "loaded")
        wait_until(lambda: len(testbed.sql(loaded)) == 4, 60, "every batch is loaded")
    assert not testbed.events("deadletter")
