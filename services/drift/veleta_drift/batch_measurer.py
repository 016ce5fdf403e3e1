"""Measures the champion and the version that it replaced on a sample of a batch, for the policies that need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from veleta.dataset import Dataset
from veleta.errors import Retry
from veleta.events.catalogue import (
    BatchClosed,
    DriftTest,
    Growth,
    Histogram,
    LevelUpdated,
    PairErrors,
    RetrainJudged,
    RiskState,
    RollbackProposed,
    VersionErrors,
)
from veleta.features import in_holdout
from veleta.market_levels import MarketLevels
from veleta.reference import Reference
from veleta_drift.batch_sampler import SampledBatch
from veleta_drift.domain import sequential
from veleta_drift.domain.errors_arm import MIN_ROWS
from veleta_drift.domain.evidence import NO_CHAMPION, Evidence, Judgement, judge
from veleta_drift.domain.histograms import histograms
from veleta_drift.domain.inputs_arm import Presence, input_tests
from veleta_drift.domain.level_updates import levels_of
from veleta_drift.domain.retrain_verdict import Predictions, added, compared
from veleta_drift.domain.row_sample import inputs_of, slices_of
from veleta_drift.domain.samples import Errors, Inputs
from veleta_drift.ports import Model, Models


@dataclass(frozen=True)
class Versions:
    """The versions that a batch is measured with, or why there is no champion."""

    champion: Model | None = None
    previous: Model | None = None
    reason: str = ""


@dataclass(frozen=True)
class Measured:
    """What was measured on a batch. `on_new_rows` has the predictions of both versions for rows that neither learnt.

    `pair` has the errors of both since the promotion, and `judged` whether that training helped, if that is known.
    """

    judgement: Judgement
    tests: Sequence[DriftTest] = ()
    risk: RiskState | None = None
    champion: int | None = None
    on_new_rows: Sequence[Predictions] = field(default_factory=list)
    histograms: Sequence[Histogram] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    pair: PairErrors | None = None
    judged: RetrainJudged | None = None

    @property
    def errors(self) -> list[VersionErrors]:
        """The errors of the versions, the champion first."""
        return [
            VersionErrors(version=each.version, rows=len(each.truth), mae=each.mae, bias=each.bias)
            for each in self.on_new_rows
            if len(each.truth)
        ]


@dataclass(frozen=True)
class Known:
    """What the tables have of the champion: its risk, its errors beside those of the version that it replaced, the rows
    since its training, and the updates of its level by batches up to the one that is measured.
    """

    risk: RiskState | None = None
    pair: PairErrors | None = None
    growth: Growth | None = None
    updates: Sequence[LevelUpdated] = ()

    def update_of(self, manifest: BatchClosed) -> LevelUpdated | None:
        """What this batch did to the level."""
        last = self.updates[-1] if self.updates else None
        return last if last and (last.epoch, last.number) == (manifest.epoch, manifest.number) else None


class BatchMeasurer:
    """Measures batches of one dataset. It keeps the sample of the last batch, with which the next one is compared."""

    def __init__(self, dataset: Dataset, models: Models) -> None:
        self._dataset = dataset
        self._models = models
        self._last: tuple[str, Inputs] | None = None

    def versions(self) -> Versions:
        """The versions of now. While a promotion moves the aliases, both can name the champion: then only it is used.

        Raises:
            Retry: the registry is unavailable. With the policy `seed`, which needs no model, there is none then.
        """
        try:
            champion, previous = self._models.champion(), self._models.previous()
        except Retry as unavailable:
            if self._dataset.drift.policy != "seed":
                raise
            return Versions(reason=str(unavailable))
        same = champion is not None and previous is not None and champion.number == previous.number
        return Versions(champion, None if same else previous)

    def kept(self, batch: str) -> Inputs | None:
        """The sample of this batch, if it was measured last."""
        return self._last[1] if self._last and self._last[0] == batch else None

    def inputs(self, sample: SampledBatch) -> Inputs:
        """What the next batch is compared with."""
        return inputs_of(self._dataset, sample.rows)

    def measure(
        self,
        manifest: BatchClosed,
        versions: Versions,
        sample: SampledBatch,
        before: Inputs | None,
        presence: tuple[Presence, Presence] | None,
        known: Known,
    ) -> Measured:
        """Measure a batch. `before` has the sample of the batch before it."""
        rule, inputs = self._dataset.drift, self.inputs(sample)
        self._last = manifest.batch, inputs
        tests = input_tests(before, inputs, presence, rule, rule.false_alarms / 2) if before is not None else []
        tests = [each.model_copy(update={"reference": "previous"}) for each in tests]
        model, found = versions.champion, versions.champion.reference if versions.champion else None
        if model is None or found is None:
            missing = Judgement("not enough data", versions.reason) if versions.reason else NO_CHAMPION
            number, shown = model.number if model else None, histograms(inputs, before, "previous")
            return Measured(missing, tests, champion=number, histograms=shown)
        errors = self._errors(model, sample, manifest, known)
        learnt = evidence_of(found, manifest.number, model.market)
        judgement = judge(self._dataset, learnt, Evidence(inputs, errors), presence, found.importance or None)
        if update := known.update_of(manifest):
            judgement = replace(judgement, reason=_with_level(update, judgement))
        compared_errors = learnt.errors.signed if model.market and learnt.errors else np.array(found.signed)
        risk = known.risk or sequential.first_state(model.number, sequential.losses(compared_errors), rule)
        risk = sequential.next_state(risk, sequential.losses(errors.signed), rule)
        measured = self._on_new_rows(model, errors, versions.previous, sample)
        pair = self._pair(known.pair, manifest, measured)
        judged = self._judged(manifest, pair) if pair else None
        shown, tests = histograms(inputs, learnt.inputs, "champion"), [*judgement.tests, *tests]
        return Measured(judgement, tests, risk, model.number, measured, shown, found.importance, pair, judged)

    def _pair(
        self, known: PairErrors | None, manifest: BatchClosed, measured: Sequence[Predictions]
    ) -> PairErrors | None:
        """The errors of both versions, with those on this batch. None without a version that the champion replaced."""
        if len(measured) != 2:  # noqa: PLR2004 - champion, previous
            return None
        champion, previous = measured
        pair = known or PairErrors(version=champion.version, previous=previous.version)
        return added(pair, manifest.number, manifest.rows, champion, previous, self._dataset.batches_by_target)

    def _judged(self, manifest: BatchClosed, pair: PairErrors) -> RetrainJudged | None:
        """Whether the training of the champion helped. None as long as that is not known."""
        if not (found := compared(pair)):
            return None
        return RetrainJudged(
            dataset=manifest.dataset,
            epoch=manifest.epoch,
            number=manifest.number,
            version=pair.version,
            previous=pair.previous,
            rows=pair.rows,
            mae=pair.error / pair.weight,
            previous_mae=pair.previous_error / pair.weight,
            change=found.change,
            p_value=found.p_value,
            verdict=found.verdict,
            batches=pair.batches,
        )

    def _errors(self, model: Model, sample: SampledBatch, manifest: BatchClosed, known: Known) -> Errors:
        """The errors on a sample. In a market they are without the level of each row's own period."""
        logarithms, sizes = sample.predicted_by(model)
        signed = np.log(self._truth(sample)) - logarithms
        if model.market:
            signed -= levels_of(model.market, known.updates, sample.rows, (manifest.epoch, manifest.number))
        return Errors(signed, sizes, slices_of(self._dataset, sample.rows), model.unknown(sample.rows))

    def _on_new_rows(
        self, champion: Model, errors: Errors, previous: Model | None, sample: SampledBatch
    ) -> list[Predictions]:
        """What the champion, whose `errors` on the rows are known, and the version before it predict for new ones.

        In a market each is without its mean error: the level is no merit of a training.
        """
        chosen = [position for position, row in enumerate(sample.rows) if in_holdout(self._dataset, row)]
        truth = self._truth(sample)[chosen]
        found = [Predictions(champion.number, truth / np.exp(errors.signed[chosen]), truth)]
        if previous:
            new = [sample.rows[position] for position in chosen]
            found.append(Predictions(previous.number, np.exp(previous.predict(new)[0]), truth))
        return [each.without_bias() for each in found] if champion.market else found

    def _truth(self, sample: SampledBatch) -> np.ndarray:
        return np.array([row[self._dataset.target] for row in sample.rows], float)


def evidence_of(reference: Reference, number: int, market: MarketLevels | None = None) -> Evidence:
    """What a version learnt from, and its errors on its holdout: of the batches with this number, or of all.

    A rule may choose the rows of a batch by their target. Then the version's errors differ from number to number, and
    only batches with the same number are comparable. Without MIN_ROWS rows of it all rows are taken.

    In a market all rows are comparable, and the errors are those on later periods: see `LaterErrors`.
    """
    if market:
        whole, later = _evidence(reference, None, None), reference.later
        if later is None or len(later.signed) < MIN_ROWS:
            return whole
        slices = {name: np.array(values, object) for name, values in later.slices.items()}
        errors = Errors(np.array(later.signed), np.array(later.sizes), slices, reference.unknown)
        return replace(whole, errors=errors)
    learnt, held = (np.array(found) == number for found in (reference.train_numbers, reference.holdout_numbers))
    if min(learnt.sum(), held.sum()) >= MIN_ROWS:
        return _evidence(reference, learnt, held)
    few = f"compared with all rows of its training, which has fewer than {MIN_ROWS} of batch {number}"
    return replace(_evidence(reference, None, None), note=few)


def _evidence(reference: Reference, learnt: np.ndarray | None, held: np.ndarray | None) -> Evidence:
    """The chosen rows of what a version learnt and of its holdout. None: all."""

    def rows(values: np.ndarray, chosen: np.ndarray | None) -> np.ndarray:
        return values if chosen is None or not len(values) else values[chosen]

    numbers = {name: rows(np.array(values, np.float32), learnt) for name, values in reference.numbers.items()}
    texts = {name: rows(np.array(values, object), learnt) for name, values in reference.texts.items()}
    slices = {name: rows(np.array(values, object), held) for name, values in reference.slices.items()}
    signed, sizes = rows(np.array(reference.signed), held), rows(np.array(reference.sizes), held)
    return Evidence(Inputs(numbers, texts), Errors(signed, sizes, slices, reference.unknown))


def _with_level(update: LevelUpdated, judgement: Judgement) -> str:
    """`level +1.8 %, no training: the champion's errors ...`."""
    so = {"drift": ", the shape changed", "no drift": ", no training", "not enough data": ""}[judgement.verdict]
    return f"{update.reason}{so}: {judgement.reason}"


def proposed_rollback(judged: RetrainJudged) -> RollbackProposed:
    """The proposal to return to the version that a champion replaced."""
    figures = f"MAE {judged.mae:,.0f} against {judged.previous_mae:,.0f} of version {judged.previous}"
    batches = f"{judged.batches} batches up to {judged.batch}" if judged.batches > 1 else f"batch {judged.batch}"
    reason = f"{figures} on {judged.rows:,} rows of {batches} that neither has learnt ({judged.change:+.1%})"
    return RollbackProposed(
        dataset=judged.dataset,
        epoch=judged.epoch,
        number=judged.number,
        version=judged.version,
        previous=judged.previous,
        reason=reason,
    )
