"""Drift with the policy `evidence` beside the trainer, on real Kafka, MariaDB and MLflow."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.drift_models import WITHOUT_RULES
from support.listings import api_rows
from support.testbed import Testbed, wait_until
from support.trainings import ended
from veleta.adapters.mlflow import MlflowRegistry
from veleta.events.catalogue import DriftAssessed, RetrainJudged
from veleta.ports import CHAMPION
from veleta.tables import (
    batch_errors,
    checkpoints,
    dataset_tables,
    drift_metrics,
    drift_reports,
    drift_tests,
    drift_verdicts,
    histograms,
    promotions,
    retrain_verdicts,
)

SLOW = 120
ROWS = 1_500


@pytest.fixture(scope="module")
def dataset_text() -> str:
    """With the policy `evidence`, and no training for more data. Bands would hold rows of the old prices only."""
    text = WITHOUT_RULES.replace('policy = "seed"', 'policy = "evidence"').replace(
        "[training]", "[training]\ngrowth = 100"
    )
    return text.replace("bands = [200_000, 400_000, 800_000]\n", "")


def rows(seed: int, factor: float = 1.0) -> list[dict[str, Any]]:
    """Rows of one market, or three times as many whose prices are multiplied by a factor."""
    count = ROWS if factor == 1.0 else 3 * ROWS
    return [row | {"price": float(row["price"]) * factor} for row in api_rows(4, count, seed)]


def reports(testbed: Testbed) -> list[DriftAssessed]:
    return [event.payload for event in testbed.events("drift") if isinstance(event.payload, DriftAssessed)]


def judgements(testbed: Testbed) -> list[RetrainJudged]:
    return [event.payload for event in testbed.events("drift") if isinstance(event.payload, RetrainJudged)]


def test_a_training_follows_the_market_and_is_judged(testbed: Testbed, tmp_path: Path) -> None:
    """The same market requests none. Prices 50 % higher do, and the next batch shows that the training helped."""

    def publish(number: int, seed: int, factor: float = 1.0) -> DriftAssessed:
        publish_batch(testbed.log, testbed.dataset, 1, number, rows(seed, factor))
        wait_until(lambda: len(reports(testbed)) == number + 1, SLOW, f"batch {number} has a verdict")
        return reports(testbed)[-1]

    with (
        testbed.service("drift", "drift") as drift,
        testbed.service("trainer", "trainer", work=tmp_path, trees=60) as trainer,
    ):
        drift.wait_until_ready()
        trainer.wait_until_ready()
        assert publish(0, 1).verdict == "not enough data"
        wait_until(lambda: ended(testbed, "1/0"), SLOW, "the first training ends")
        same = publish(1, 2)
        changed = publish(2, 3, 1.5)
        wait_until(lambda: ended(testbed, "1/2"), SLOW, "the second training ends")
        after = publish(3, 4, 1.5)
    assert (same.verdict, same.champion) == ("no drift", 1), same.reason
    assert (changed.verdict, changed.policy) == ("drift", "evidence")
    assert "% above what is expected (limit 2 %)" in changed.reason
    champion = MlflowRegistry(testbed.mlflow_uri, testbed.dataset.name).alias(CHAMPION)
    assert champion
    (decision,) = testbed.sql(sa.select(promotions).where(promotions.c.version == 2))
    assert decision.decision == "promoted", decision.reason
    assert champion.number == after.champion == 2
    (judged,) = judgements(testbed)
    assert (judged.number, judged.version, judged.previous, judged.verdict) == (3, 2, 1, "helped")


def test_the_tables_have_each_part_of_a_report(testbed: Testbed) -> None:
    """As the events have them, for each policy, test, version and judgement."""
    events = {each.number: each for each in reports(testbed)}
    verdicts = {
        (row.number, row.policy): (row.verdict, row.parameters) for row in testbed.sql(sa.select(drift_verdicts))
    }
    assert verdicts == {
        (number, each.policy): (each.verdict, each.parameters)
        for number, report in events.items()
        for each in report.verdicts
    }
    assert len(verdicts) == 3 * len(events)
    tests = testbed.sql(sa.select(drift_tests).where(drift_tests.c.number == 2).order_by(drift_tests.c.position))
    assert [(row.reference, row.subject, row.test, row.p_value, bool(row.fires)) for row in tests] == [
        (each.reference, each.subject, each.test, each.p_value, each.fires) for each in events[2].tests
    ]
    assert {row.reference for row in tests} == {"champion", "previous"}
    errors = {(row.number, row.version): row.mae for row in testbed.sql(sa.select(batch_errors))}
    assert errors == {(n, each.version): each.mae for n, report in events.items() for each in report.errors}
    assert {version for _, version in errors} == {1, 2}
    (stored,) = testbed.sql(sa.select(retrain_verdicts))
    (judged,) = judgements(testbed)
    assert (stored.verdict, stored.version, stored.mae) == (judged.verdict, judged.version, judged.mae)
    assert {row.champion for row in testbed.sql(sa.select(drift_reports))} == {None, 1, 2}


@pytest.mark.failure("F101")
def test_wiped_tables_are_restored_from_the_topic(testbed: Testbed) -> None:
    """Every part of a report is in its event."""
    tables = (drift_verdicts, drift_tests, batch_errors, retrain_verdicts)
    before = [testbed.sql(sa.select(table)) for table in tables]
    wiped = (*tables, drift_reports, drift_metrics, histograms, checkpoints, dataset_tables(testbed.dataset).comparison)
    with testbed.admin.begin() as connection:
        for table in wiped:
            connection.execute(sa.delete(table))
    with testbed.service("drift", "drift") as drift:
        drift.wait_until_ready()
        wait_until(lambda: len(testbed.sql(sa.select(drift_reports))) == 4, SLOW, "the reports are restored")
        wait_until(lambda: testbed.sql(sa.select(retrain_verdicts)), SLOW, "the judgement is restored")
    assert [testbed.sql(sa.select(table)) for table in tables] == before
