"""The parts of a drift report as facts, sentences and tables."""

import math
from collections.abc import Sequence

from veleta.dataset import Dataset
from veleta.drift_sentences import BIAS, DISTRIBUTION, WHOLE, column_title, sentence, statistic_sentence
from veleta.events.catalogue import DriftTest, Statistic, VersionErrors
from veleta_monitor.domain.drift_report import DriftReport, PolicyResult
from veleta_monitor.domain.formatting import (
    NO_VALUE,
    format_number,
    format_probability,
    format_share,
    format_utc,
    shorten,
)
from veleta_monitor.domain.policies import VERDICT_TONES, policy_title
from veleta_monitor.domain.retrains import proposal
from veleta_monitor.domain.table import Cell, Column, Table

MAX_TESTS, MAX_STATISTICS, MAX_COLUMNS = 200, 400, 100
"""Rows of each table that a report shows: the others decide nothing, because those that fire are first."""
MAX_REASON, MAX_SENTENCE, MAX_NAME = 2_000, 200, 60
"""Characters of texts: with the limits of rows they keep a report below 2 MB."""
COMPARED_WITH = {"champion": "the champion's training", "previous": "the batch before"}


def facts(report: DriftReport) -> list[tuple[str, str]]:
    """What is known of the batch, by its name."""
    batch = report.batch
    left_out = f" ({format_number(batch.left_out)} left out)" if batch.left_out else ""
    loaded = f"{format_number(batch.received)} received, {format_number(batch.cleaned)} clean{left_out}"
    compared = [
        f"batch {batch.epoch}/{report.previous}" if report.previous is not None else "",
        f"the training of version {report.champion}, the champion" if report.champion else "",
    ]
    found = {
        "Rows": loaded if batch.received is not None else "not loaded yet",
        "Arrived": format_utc(report.closed_at) if report.closed_at else "",
        "Assessed": format_utc(report.assessed_at) if report.assessed_at else "",
        "Compared with": " and ".join(filter(None, compared)) or "nothing",
        "Findings": shorten(batch.finding, MAX_REASON),
    }
    return [(name, text) for name, text in found.items() if text]


def policy_table(report: DriftReport) -> Table:
    """The verdicts of all policies. The one that decides is first."""
    columns = Column("Policy"), Column("Verdict"), Column("Reason", wide=True)
    ordered = sorted(report.policies, key=lambda each: each.policy != report.batch.policy)
    return Table(
        columns,
        [
            [
                Cell(policy_title(each.policy), note="decides" if each.policy == report.batch.policy else ""),
                Cell(each.verdict, tone=VERDICT_TONES.get(each.verdict, ""), note=_unweighted(each)),
                Cell(shorten(each.reason, MAX_REASON)),
            ]
            for each in ordered
        ],
    )


def _unweighted(policy: PolicyResult) -> str:
    return f"with equal weights: {policy.unweighted}" if policy.unweighted else ""


def error_table(report: DriftReport, dataset: Dataset) -> Table:
    """The errors of the champion and of the version that it replaced, on rows that neither has learnt."""
    unit = dataset.by_name[dataset.target].unit
    columns = (
        Column("Version", numeric=True), Column("Role"), Column("Rows", numeric=True),
        Column(f"MAE ({unit})" if unit else "MAE", numeric=True), Column("Bias", wide=True),
    )  # fmt: skip
    ordered = sorted(report.errors, key=lambda each: each.version != report.champion)
    return Table(columns, [_error_row(each, report.champion, dataset) for each in ordered])


def _error_row(errors: VersionErrors, champion: int | None, dataset: Dataset) -> list[Cell]:
    share = math.expm1(errors.bias)
    direction = "above" if share > 0 else "below"
    target = column_title(dataset, dataset.target)
    return [
        Cell(str(errors.version)),
        Cell("the champion" if errors.version == champion else "the version before it"),
        Cell(format_number(errors.rows)),
        Cell(format_number(errors.mae)),
        Cell(f"{target} is {format_share(abs(share))} {direction} its prediction"),
    ]


def retrain_sentences(report: DriftReport) -> list[str]:
    """Whether trainings helped: the one of the champion, and the one that this batch requested."""
    judged, training, effect = report.judged, report.training, report.training_effect
    sentences = []
    if judged and judged.verdict == "harmed":
        sentences.append(f"{proposal(judged)} A rollback was proposed, and nothing was changed.")
    elif judged:
        replaced = f"version {judged.version}, which replaced version {judged.previous}"
        sentences.append(f"The training of {replaced}: {judged.summary}.")
    if training:
        version = f" of version {training.version}" if training.version else ""
        reason = f" ({shorten(training.reason, MAX_SENTENCE)})" if training.reason else ""
        sentences.append(f"The training{version} that this batch requested: {training.outcome}{reason}.")
    if effect:
        sentences.append(f"It was compared with version {effect.previous}, which it replaced: {effect.summary}.")
    return sentences


def test_table(report: DriftReport, dataset: Dataset) -> Table:
    """The tests, those that fire first, each with its effect and its limit."""
    columns = (
        Column("Test", wide=True), Column("Result"), Column("Compared with"), Column("Effect", numeric=True),
        Column("Limit", numeric=True), Column("p, adjusted", numeric=True), Column("Fires up to", numeric=True),
    )  # fmt: skip
    return Table(columns, [_test_row(each, dataset) for each in report.ordered_tests[:MAX_TESTS]])


def _test_row(test: DriftTest, dataset: Dataset) -> list[Cell]:
    subject = "All rows" if test.subject == WHOLE else column_title(dataset, test.subject)
    note = sentence(dataset, test) if test.fires else test.note
    return [
        Cell(f"{shorten(subject, MAX_NAME)}: {test.test}", note=shorten(note, MAX_SENTENCE)),
        Cell("fires", tone="warn") if test.fires else Cell("quiet"),
        Cell("the champion's holdout" if test.arm == "errors" else COMPARED_WITH[test.reference]),
        Cell(effect_text(test, test.effect)),
        Cell(effect_text(test, test.limit)),
        Cell(format_probability(test.p_value)),
        Cell(format_probability(test.level)),
    ]


def effect_text(test: DriftTest, value: float) -> str:
    """An effect or its limit: in standard deviations for the distribution of a number, in percent otherwise."""
    if test.test == DISTRIBUTION:
        return f"{value:.3g} sd"
    return f"{'+' if test.test == BIAS and value > 0 else ''}{format_share(value)}"


def statistic_table(report: DriftReport, dataset: Dataset) -> Table:
    """The statistics of the 15 % rule in words, those above the limit first."""
    columns = Column("Statistic", wide=True), Column("Result")
    return Table(
        columns,
        [
            [Cell(shorten(statistic_sentence(dataset, each, report.threshold), MAX_SENTENCE)), _statistic_result(each)]
            for each in report.ordered_statistics[:MAX_STATISTICS]
        ],
    )


def _statistic_result(statistic: Statistic) -> Cell:
    if statistic.exceeds:
        return Cell("above the limit", tone="warn")
    return Cell("within" if statistic.change is not None else NO_VALUE)


def importance_table(report: DriftReport, dataset: Dataset) -> Table:
    """Each column's share of the champion's SHAP values, beside its drift."""
    columns = Column("Column"), Column("Share of the predictions", numeric=True), Column("Drift", wide=True)
    ordered = sorted(report.importance.items(), key=lambda item: (-item[1], item[0]))
    return Table(
        columns,
        [
            [
                Cell(shorten(column_title(dataset, name), MAX_NAME)),
                Cell(format_share(share)),
                _drift_cell(report.tests_of(name)),
            ]
            for name, share in ordered[:MAX_COLUMNS]
        ],
    )


def _drift_cell(tests: Sequence[DriftTest]) -> Cell:
    """The tests of a column that fire; or that none does."""
    if not tests:
        return Cell("not tested")
    if firing := [f"{each.test} {effect_text(each, each.effect)}" for each in tests if each.fires]:
        return Cell(shorten(", ".join(firing), MAX_SENTENCE), tone="warn")
    return Cell("as in the champion's training")
