"""A replay of drift's tables as a process, on Kafka, MariaDB and MLflow."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.drift_models import WITHOUT_RULES
from support.listings import api_rows
from support.models import Models
from support.replay import replay
from support.testbed import Testbed, wait_until
from veleta.ports import CHAMPION, PREVIOUS, Version
from veleta.reference import REFERENCE_FILE, Reference
from veleta.tables import batch_errors, dataset_tables, drift_reports, drift_tests, pipeline, retrain_verdicts
from veleta.topics import declared_topics
from veleta_drift.adapters.scratch_tables import DATABASE
from veleta_drift.domain.row_sample import RowSample, inputs_of

BATCHES = 6
NUMBERS = "6 batches: 6 reports, 120 figures, 5 comparisons, 18 verdicts"


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """One with which each batch can judge a training."""
    return WITHOUT_RULES


@pytest.fixture(scope="module")
def deployment(testbed: Testbed) -> Testbed:
    """Six batches that drift handled, with a promotion and a kill between them, and under a policy of its own."""
    models = Models(testbed)
    first, second = models.register(), models.register(1.1)
    for version in (first, second):
        _log_reference(models, version, testbed)
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        _handle(testbed, 0, 2)
        models.registry.set_alias(CHAMPION, first.number)
        _handle(testbed, 2, 3)
        drift.kill()
        models.registry.set_alias(PREVIOUS, first.number)
        models.registry.set_alias(CHAMPION, second.number)
        drift.start()
        _handle(testbed, 3, BATCHES)
    return testbed


def test_a_replay_equals_the_live_tables(deployment: Testbed) -> None:
    """Every row of all tables. It publishes nothing, changes no table and leaves none behind."""
    champions = [row.champion for row in deployment.sql(sa.select(drift_reports).order_by(drift_reports.c.number))]
    assert champions == [None, None, 1, 2, 2, 2]
    assert len(deployment.sql(sa.select(batch_errors))) == 7
    assert len(deployment.sql(sa.select(retrain_verdicts))) == 1
    assert {row.reference for row in deployment.sql(sa.select(drift_tests))} == {"champion", "previous"}
    before = _ends(deployment), _tables(deployment)
    done = replay(deployment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(NUMBERS)
    assert done.stdout.endswith("equal\n")
    assert (_ends(deployment), _tables(deployment)) == before
    assert _scratch(deployment) == []


def test_a_row_that_differs_is_named(deployment: Testbed) -> None:
    """With both values. The exit code is 1."""
    with _other_error(deployment, 2, 1.5):
        done = replay(deployment)
    assert done.returncode == 1
    assert "batch_errors 1/2/1: mae is 1.5, and " in done.stdout
    assert done.stdout.endswith(": 1 differences\n")


def test_another_policy_is_compared_and_changes_nothing(deployment: Testbed) -> None:
    """A line for each batch, and the number of trainings that each policy requests."""
    before = _ends(deployment), _tables(deployment)
    live = deployment.dataset.drift.policy
    other = "seed" if live != "seed" else "evidence"
    done = replay(deployment, policy=other)
    assert done.returncode == 0, done.stderr
    head, *lines, last = done.stdout.splitlines()
    assert head.split("  ")[0] == "batch"
    assert [line.split()[0] for line in lines] == [f"1/{number}" for number in range(BATCHES)]
    verdicts = [row.verdict for row in deployment.sql(sa.select(drift_reports))]
    assert last.startswith(f"6 batches: {verdicts.count('drift')} are drift by {live}, ")
    assert (_ends(deployment), _tables(deployment)) == before


@pytest.mark.failure("F462")
def test_a_replay_that_was_killed_does_not_disturb_the_next_one(deployment: Testbed) -> None:
    """Its tables are replaced. While it runs, a second one is refused, and does not touch its tables."""
    name = f"{deployment.prefix}{DATABASE}"
    assert replay(deployment, keep="1").returncode == 0
    assert "drift_reports" in _scratch(deployment)
    with deployment.admin.connect() as running:
        assert running.scalar(sa.select(sa.func.get_lock(name, 0))) == 1
        done = replay(deployment)
        assert (done.returncode, done.stderr) == (1, "replay: another replay of this deployment is running\n")
        assert "drift_reports" in _scratch(deployment)
        running.execute(sa.select(sa.func.release_lock(name)))
    assert replay(deployment).returncode == 0
    assert _scratch(deployment) == []


def test_a_wrong_policy_is_refused(deployment: Testbed) -> None:
    """In one line, before anything is read."""
    done = replay(deployment, policy="other")
    assert done.returncode == 1
    assert done.stderr.startswith("replay: POLICY=other: use evidence, seed or sequential")


@pytest.mark.failure("F461")
def test_a_version_that_was_deleted_is_named(deployment: Testbed) -> None:
    """Its batches are left out, and the others are equal. This test is the last one of this file."""
    Models(deployment).delete(1)
    done = replay(deployment)
    assert done.returncode == 0, done.stderr
    left_out, counts = done.stdout.splitlines()
    assert left_out == "not replayable: 4 batches (1/2, 1/3, 1/4, 1/5): version 1 was deleted"
    assert counts.startswith("2 batches: 2 reports")
    assert counts.endswith("equal")


def _handle(testbed: Testbed, first: int, end: int) -> None:
    """Publish batches, and wait until the events of their reports are published."""
    for number in range(first, end):
        publish_batch(testbed.log, testbed.dataset, 1, number, list(api_rows(number % 2, 400, number)))
    published = [f"{testbed.dataset.name}/1/{number}/assessed" for number in range(end)]
    wait_until(lambda: {*published} <= {event.id for event in testbed.events("drift")}, 60, "all verdicts")


def _log_reference(models: Models, version: Version, testbed: Testbed) -> None:
    """Log what the training of a version leaves."""
    rows, dataset = list(api_rows(0, 400, 99)), testbed.dataset
    sample = RowSample(dataset, len(rows))
    sample.add(rows)
    inputs = inputs_of(dataset, sample.clean())
    signed = np.random.default_rng(version.number).normal(0, 0.2, 400).tolist()
    place = Path(REFERENCE_FILE)
    path = testbed.folder / place.name
    Reference(
        numbers={name: values.tolist() for name, values in inputs.numbers.items()},
        texts={name: values.tolist() for name, values in inputs.texts.items()},
        signed=signed,
        unknown=0.0,
        train_rows=400,
        holdout_rows=400,
    ).write(path)
    models.log_artifact(version, path, str(place.parent))


def _ends(testbed: Testbed) -> dict[str, Any]:
    return {each.name: testbed.log.bounds(each.name) for each in declared_topics(testbed.dataset.name)}


def _tables(testbed: Testbed) -> dict[str, Sequence[Any]]:
    tables = [*pipeline.sorted_tables, dataset_tables(testbed.dataset).comparison]
    return {table.name: testbed.sql(sa.select(table).order_by(*table.primary_key)) for table in tables}


def _scratch(testbed: Testbed) -> list[str]:
    """The tables of a replay."""
    query = sa.text("SELECT table_name FROM information_schema.tables WHERE table_schema = :name")
    return [row[0] for row in testbed.sql(query.bindparams(name=f"{testbed.prefix}{DATABASE}"))]


@contextlib.contextmanager
def _other_error(testbed: Testbed, number: int, mae: float) -> Iterator[None]:
    """Another error in the live row of a batch while the block runs."""
    (row,) = testbed.sql(sa.select(batch_errors).where(batch_errors.c.number == number))
    _set_error(testbed, number, mae)
    yield
    _set_error(testbed, number, row.mae)


def _set_error(testbed: Testbed, number: int, mae: float) -> None:
    with testbed.admin.begin() as connection:
        connection.execute(sa.update(batch_errors).where(batch_errors.c.number == number).values(mae=mae))
