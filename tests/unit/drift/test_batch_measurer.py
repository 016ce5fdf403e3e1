"""How drift measures the champion and the version before it on a batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.batches import TIME, publish_batch
from support.drift_models import SPREAD, FakeModel, reference_of
from support.listings import api_rows
from support.markets import market_levels
from support.twins.drift import MemoryDriftUnitOfWork, MemoryModels
from support.twins.shared import OutboxLog, StrictTransactions
from veleta.dataset import Dataset, load_dataset
from veleta.errors import Retry
from veleta.events.catalogue import DriftAssessed, RetrainJudged, RetrainRequested, RollbackProposed
from veleta.events.envelope import Event, Record, decode
from veleta.reference import LaterErrors, Reference
from veleta.topics import topic
from veleta_drift.batch_measurer import evidence_of, proposed_rollback
from veleta_drift.domain.row_sample import MAX_ROWS, RowSample
from veleta_drift.handlers import RETRAIN_VERDICTS, RETRAINS, DriftHandler

REAL_ESTATE = load_dataset("real_estate")
RULES = REAL_ESTATE.model_copy(update={"drift": REAL_ESTATE.drift.model_copy(update={"policy": "evidence"})})
"""Its rules choose the rows of a batch by their price."""
EVIDENCE = RULES.model_copy(update={"source": []})


def rows_of(count: int, seed: int) -> list[dict[str, Any]]:
    return list(api_rows(0, count, seed))


class Drift:
    """A handler with fake models, whose events are those in its outbox."""

    def __init__(self, dataset: Dataset, models: MemoryModels) -> None:
        self.transactions = StrictTransactions(MemoryDriftUnitOfWork())
        self.log = OutboxLog("drift", lambda: self.transactions.committed.outbox)
        self.models, self.dataset = models, dataset
        self.handler = DriftHandler(dataset, self.log, self.transactions, models, lambda: TIME)

    async def assess(self, epoch: int, number: int, rows: list[dict[str, Any]]) -> DriftAssessed:
        manifest = publish_batch(self.log, self.dataset, epoch, number, rows)
        event = Event(f"{manifest.batch}/closed", "poller", TIME, manifest)
        prepared = await self.handler.prepare(event)
        await self.transactions.run(lambda uow: self.handler.apply(event, prepared, uow))
        return prepared.report

    def events(self, kind: type) -> list[Any]:
        """The payloads of this kind that were published."""
        stored = [m for _, m in self.transactions.committed.outbox.oldest()]
        decoded = [decode(Record(m.topic, 0, 0, m.key, m.headers, m.value)).payload for m in stored]
        return [payload for payload in decoded if isinstance(payload, kind)]


@pytest.fixture
def champion() -> FakeModel:
    return FakeModel(2, reference_of(EVIDENCE, rows_of(2_000, 1)))


def test_a_sample_has_every_kth_row_in_order_whatever_the_chunks() -> None:
    """At most MAX_ROWS, evenly spaced."""
    rows = [{"position": position} for position in range(2 * MAX_ROWS + 1)]
    for size in (1, 7, 500, len(rows)):
        sample = RowSample(REAL_ESTATE, len(rows))
        for start in range(0, len(rows), size):
            sample.add(rows[start : start + size])
        assert [row["position"] for row in sample._rows] == list(range(0, len(rows), 3))


async def test_all_policies_stand_side_by_side_and_the_declared_one_decides(champion: FakeModel) -> None:
    """The same batches have verdicts of all policies under each of them."""
    decided = {}
    for dataset in (REAL_ESTATE, EVIDENCE):
        drift = Drift(dataset, MemoryModels(champion))
        await drift.assess(1, 0, rows_of(2_000, 1))
        report = await drift.assess(1, 1, list(api_rows(5, 2_000, 2)))
        found = {each.policy: each for each in report.verdicts}
        assert set(found) == {"seed", "evidence", "sequential"}
        assert (report.verdict, report.reason) == (found[report.policy].verdict, found[report.policy].reason)
        assert report.champion == champion.number
        decided[report.policy] = {policy: each.verdict for policy, each in found.items()}
    assert decided["seed"] == decided["evidence"]
    assert decided["seed"]["seed"] == "drift"


@pytest.mark.parametrize(("bias", "verdict"), [(0.0, "no drift"), (0.05, "drift")])
async def test_a_training_is_due_if_the_champion_is_wrong(champion: FakeModel, bias: float, verdict: str) -> None:
    """Prices 5 % above their predictions request one. The same rows without that request none."""
    drift = Drift(EVIDENCE, MemoryModels(replace(champion, bias=bias)))
    await drift.assess(1, 0, rows_of(2_000, 1))
    report = await drift.assess(1, 1, rows_of(2_000, 3))
    assert report.verdict == verdict
    requests = [each.number for each in drift.events(RetrainRequested)]
    assert requests == ([0, 1] if verdict == "drift" else [0]), "the first one is that of the first batch"
    if bias:
        assert report.reason.startswith("Price is 5")
        assert "above what is expected (limit 2 %)" in report.reason


async def test_without_a_champion_evidence_has_not_enough_data(champion: FakeModel) -> None:
    """And without what its training left, as with a version of an earlier release."""
    for current in (None, replace(champion, reference=None)):
        drift = Drift(EVIDENCE, MemoryModels(current))
        report = await drift.assess(1, 0, rows_of(200, 1))
        assert {each.policy: each.verdict for each in report.verdicts} == dict.fromkeys(
            ("seed", "evidence", "sequential"), "not enough data"
        )


async def test_few_rows_are_not_enough(champion: FakeModel) -> None:
    """99 rows of any price request nothing."""
    drift = Drift(EVIDENCE, MemoryModels(replace(champion, bias=1.0)))
    await drift.assess(1, 0, rows_of(2_000, 1))
    report = await drift.assess(1, 1, rows_of(99, 3))
    assert report.verdict == "not enough data"
    assert "100 of each are needed" in report.reason


@pytest.mark.failure("F452")
async def test_the_registry_is_needed_only_by_a_policy_that_needs_a_model() -> None:
    """While it is down, `evidence` waits, and `seed` decides as the original project did."""

    class Down(MemoryModels):
        def champion(self) -> None:
            raise Retry("mlflow", "down")

    report = await Drift(REAL_ESTATE, Down()).assess(1, 0, rows_of(50, 1))
    assert {each.policy: each.reason for each in report.verdicts}["evidence"] == "mlflow: down"
    with pytest.raises(Retry):
        await Drift(EVIDENCE, Down()).assess(1, 0, rows_of(50, 1))


@pytest.mark.failure("F453")
async def test_the_same_rows_as_in_the_epoch_before_request_no_training(champion: FakeModel) -> None:
    """Whatever the policy says. Other rows in that place do."""
    first, second = rows_of(300, 1), list(api_rows(5, 300, 2))
    drift = Drift(REAL_ESTATE, MemoryModels(champion))
    for epoch in (1, 2):
        await drift.assess(epoch, 0, first)
        report = await drift.assess(epoch, 1, second)
    assert (report.verdict, report.reason) == ("no drift", "the same rows as batch 1 of epoch 1")
    assert {each.policy: each.verdict for each in report.verdicts}["seed"] == "drift"
    report = await drift.assess(2, 2, list(api_rows(0, 300, 9)))
    assert report.verdict == "drift"
    assert [(each.epoch, each.number) for each in drift.events(RetrainRequested)] == [(1, 0), (1, 1), (2, 0), (2, 2)]


@pytest.mark.parametrize(
    ("spread", "verdict"),
    [(SPREAD, "no difference"), (0.05, "helped"), (0.6, "harmed")],
    ids=["same", "better", "worse"],
)
@pytest.mark.failure("F454")
async def test_a_training_is_judged_by_the_next_batch(champion: FakeModel, spread: float, verdict: str) -> None:
    """Once, on rows that no version has learnt. A rollback is proposed if it harmed, and nothing is changed."""
    models = MemoryModels(replace(champion, spread=spread), replace(champion, number=1))
    drift = Drift(EVIDENCE, models)
    for number in range(3):
        report = await drift.assess(1, number, rows_of(2_000, number))
    (judged,) = drift.events(RetrainJudged)
    assert (judged.number, judged.version, judged.previous, judged.verdict) == (0, 2, 1, verdict)
    assert [each.version for each in report.errors] == [2, 1]
    assert 300 < judged.rows < 600, "a fifth of the properties"
    proposals = drift.events(RollbackProposed)
    assert [(each.version, each.previous) for each in proposals] == ([(2, 1)] if verdict == "harmed" else [])


@pytest.mark.failure("F466")
async def test_batches_that_are_chosen_by_the_target_judge_a_training_together(champion: FakeModel) -> None:
    """After one batch of each number, also if drift was restarted. A promotion meanwhile begins again."""
    drift = Drift(RULES, MemoryModels(replace(champion, spread=0.05), replace(champion, number=1)))
    for number in (4, 5):
        await drift.assess(1, number, rows_of(200, number))
    drift.models.current, drift.models.replaced = replace(champion, number=3, spread=0.05), champion
    for number in range(6):
        drift.handler = DriftHandler(RULES, drift.log, drift.transactions, drift.models, lambda: TIME)
        assert drift.events(RetrainJudged) == []
        report = await drift.assess(2, number, rows_of(200, number))
    (judged,) = drift.events(RetrainJudged)
    assert (judged.epoch, judged.number, judged.version, judged.batches, judged.verdict) == (2, 5, 3, 6, "helped")
    assert report.pair
    assert judged.rows == report.pair.rows
    assert report.pair.rows > 6 * report.errors[0].rows / 2
    proposal = proposed_rollback(judged)
    assert f"on {judged.rows:,} rows of 6 batches up to real_estate/2/5 that neither has learnt" in proposal.reason


async def test_the_risk_of_a_champion_continues_and_begins_again_with_the_next(champion: FakeModel) -> None:
    """Its sums are in the report before, also after a restart."""
    drift = Drift(EVIDENCE, MemoryModels(champion))
    await drift.assess(1, 0, rows_of(400, 1))
    drift.handler = DriftHandler(EVIDENCE, drift.log, drift.transactions, drift.models, lambda: TIME)
    second = await drift.assess(1, 1, rows_of(400, 2))
    assert second.risk
    assert (second.risk.version, second.risk.rows) == (2, 800)
    drift.models.current = replace(champion, number=3)
    third = await drift.assess(1, 2, rows_of(400, 3))
    assert third.risk
    assert (third.risk.version, third.risk.rows) == (3, 400)


@pytest.mark.failure("F459")
@pytest.mark.parametrize("change", ["a restart", "an attempt that was repeated", "the next epoch"])
async def test_a_batch_is_compared_with_the_rows_of_the_batch_before_it(champion: FakeModel, change: str) -> None:
    """Its tests are those of a worker that ran all the time: a sample that is not in memory is read again."""
    found = []
    for disturbed in (False, True):
        drift = Drift(EVIDENCE, MemoryModels(champion))
        await drift.assess(1, 0, rows_of(400, 1))
        if disturbed and change == "a restart":
            drift.handler = DriftHandler(EVIDENCE, drift.log, drift.transactions, drift.models, lambda: TIME)
        if disturbed and change == "an attempt that was repeated":
            manifest = publish_batch(drift.log, EVIDENCE, 1, 1, list(api_rows(5, 400, 2)))
            await drift.handler.prepare(Event(f"{manifest.batch}/closed", "poller", TIME, manifest))
        if disturbed and change == "the next epoch":
            await drift.assess(2, 0, rows_of(400, 3))
        found.append((await drift.assess(1, 1, list(api_rows(5, 400, 2)))).tests)
    tests = [each for each in found[0] if each.reference == "previous"]
    assert any(each.fires for each in tests)
    assert found[1] == found[0]


@pytest.mark.failure("F459")
async def test_without_the_rows_of_the_batch_before_there_are_no_tests_against_it(champion: FakeModel) -> None:
    """Retention deleted them, and the worker was restarted. The tests against the champion's reference are there."""
    drift = Drift(EVIDENCE, MemoryModels(champion))
    await drift.assess(1, 0, rows_of(400, 1))
    drift.handler = DriftHandler(EVIDENCE, drift.log, drift.transactions, drift.models, lambda: TIME)
    drift.log.delete_before(topic(EVIDENCE.name, "rows"), 0, len(drift.log.topics[topic(EVIDENCE.name, "rows")]))
    report = await drift.assess(1, 1, rows_of(400, 2))
    assert report.previous == 0
    assert {each.reference for each in report.tests} == {"champion"}


async def test_the_first_batch_of_an_epoch_has_no_batch_before_it(champion: FakeModel) -> None:
    """It is compared with the champion's reference only, as the statistics of the rule `seed` are."""
    drift = Drift(EVIDENCE, MemoryModels(champion))
    await drift.assess(1, 0, rows_of(400, 1))
    report = await drift.assess(2, 0, rows_of(400, 2))
    assert {each.reference for each in report.tests} == {"champion"}


@pytest.mark.failure("F460")
async def test_a_champion_is_not_compared_with_itself(champion: FakeModel) -> None:
    """While the aliases move, both can name one version. The batch is measured, and no training is judged."""
    drift = Drift(EVIDENCE, MemoryModels(champion, champion))
    report = await drift.assess(1, 0, rows_of(2_000, 1))
    assert [each.version for each in report.errors] == [champion.number]
    assert drift.events(RetrainJudged) == []
    drift.models.replaced = replace(champion, number=1)
    await drift.assess(1, 1, rows_of(2_000, 2))
    assert [each.number for each in drift.events(RetrainJudged)] == [1]


async def test_a_report_has_histograms_beside_what_the_champion_learnt(champion: FakeModel) -> None:
    """One for each feature that is a column, and its importance. Without a champion: beside the batch before."""
    learnt = champion.reference
    assert learnt
    known = replace(champion, reference=learnt.model_copy(update={"importance": {"bed": 0.4}}))
    report = await Drift(EVIDENCE, MemoryModels(known)).assess(1, 0, rows_of(400, 1))
    assert {each.column for each in report.histograms} == {*learnt.numbers, *learnt.texts}
    assert {each.reference for each in report.histograms} == {"champion"}
    assert report.importance == {"bed": 0.4}
    drift = Drift(EVIDENCE, MemoryModels())
    first, second = [await drift.assess(1, number, rows_of(400, number)) for number in (0, 1)]
    assert {each.reference for each in first.histograms} == {None}
    assert {each.reference for each in second.histograms} == {"previous"}
    assert first.importance == {}


async def test_the_metric_has_the_number_of_trainings_by_verdict(champion: FakeModel) -> None:
    """Those of the table, so that a restart or another worker loses none."""

    def counted() -> dict[str, float]:
        return {verdict: RETRAINS.labels(verdict)._value.get() for verdict in RETRAIN_VERDICTS}

    drift = Drift(EVIDENCE, MemoryModels(replace(champion, spread=0.05), replace(champion, number=1)))
    await drift.transactions.run(drift.handler.count_retrains)
    assert counted() == {"helped": 0, "no difference": 0, "harmed": 0}
    await drift.assess(1, 0, rows_of(2_000, 1))
    assert counted() == {"helped": 1, "no difference": 0, "harmed": 0}


BIASES = (-0.33, -0.15, -0.22, -0.35, 0.03, 0.23)
"""Mean errors of a champion on the six batches of an epoch, whose rules choose rows by their price."""
LEARNT, HELD = 300, 400
"""Rows of each batch in a reference."""


def reference_of_an_epoch() -> Reference:
    """What a training on six batches leaves, with the champion's bias on each of them."""
    rows = [row for number in range(len(BIASES)) for row in api_rows(number, LEARNT, 11)]
    noise = np.random.default_rng(3).normal(0, SPREAD, len(BIASES) * HELD)
    numbers = np.arange(len(BIASES))
    return reference_of(EVIDENCE, rows).model_copy(
        update={
            "signed": (np.repeat(BIASES, HELD) + noise).tolist(),
            "sizes": [SPREAD] * len(noise),
            "train_numbers": np.repeat(numbers, LEARNT).tolist(),
            "holdout_numbers": np.repeat(numbers, HELD).tolist(),
        }
    )


@pytest.mark.failure("F463")
@pytest.mark.parametrize("shifted", [None, 1, 3])
async def test_a_batch_is_compared_with_that_of_the_same_number(shifted: int | None) -> None:
    """A champion is wrong about each batch in its own way, also in a quiet market. Only a change of it is drift."""
    reference, found = reference_of_an_epoch(), []
    drift = Drift(EVIDENCE, MemoryModels())
    for number, bias in enumerate(BIASES):
        drift.models.current = FakeModel(1, reference, bias + 0.1 * (number == shifted))
        report = await drift.assess(2, number, list(api_rows(number, 400, 12)))
        assert "compared with all rows" not in report.reason
        found.append(report.verdict)
    assert found == ["drift" if number == shifted else "no drift" for number in range(len(BIASES))]


@pytest.mark.failure("F463")
async def test_drift_in_the_first_batch_of_an_epoch_is_a_reason_for_a_training() -> None:
    """A request without it is marked as `first`: the trainer skips it if there is a champion."""
    for bias, first in ((0.0, True), (0.1, False)):
        drift = Drift(EVIDENCE, MemoryModels(FakeModel(1, reference_of_an_epoch(), BIASES[0] + bias)))
        await drift.assess(2, 0, list(api_rows(0, 400, 12)))
        assert [each.first for each in drift.events(RetrainRequested)] == [first]


@pytest.mark.failure("F463")
async def test_a_batch_without_a_comparable_one_is_compared_with_all_rows() -> None:
    """The reason says so. So is any batch, if the training left no numbers."""
    whole = reference_of_an_epoch()
    bare = whole.model_copy(update={"train_numbers": [], "holdout_numbers": []})
    few = "compared with all rows of its training, which has fewer than 100 of batch"
    for reference, number in ((whole, 6), (bare, 3)):
        report = await Drift(EVIDENCE, MemoryModels(FakeModel(1, reference))).assess(2, number, rows_of(400, 12))
        assert report.reason.endswith(f"({few} {number})")


def test_one_hundred_rows_of_a_number_are_enough() -> None:
    """Of those that were learnt, and of the holdout."""
    whole = reference_of_an_epoch()
    for learnt, held, comparable in ((100, 100, True), (99, 100, False), (100, 99, False)):
        numbers = {
            "train_numbers": [4] * learnt + [5] * (len(whole.train_numbers) - learnt),
            "holdout_numbers": [4] * held + [5] * (len(whole.signed) - held),
        }
        found = evidence_of(whole.model_copy(update=numbers), 4)
        assert found.errors
        assert (found.note == "") == comparable
        assert len(found.inputs) == (learnt if comparable else len(whole.train_numbers))
        assert len(found.errors) == len(found.errors.sizes) == (held if comparable else len(whole.signed))


def test_in_a_market_the_errors_on_later_periods_are_compared(champion: FakeModel) -> None:
    """If the training left enough of them; otherwise those of the whole holdout. What was learnt is compared whole."""
    whole = champion.reference
    assert whole
    for rows, compared in ((100, 100), (99, len(whole.signed))):
        later = LaterErrors(signed=[0.1, -0.1] * (rows // 2) + [0.1] * (rows % 2), sizes=[0.2] * rows)
        found = evidence_of(whole.model_copy(update={"later": later}), 4, market_levels())
        assert found.errors
        assert len(found.errors) == len(found.errors.sizes) == compared
        assert len(found.inputs) == 2_000
        assert found.note == ""
