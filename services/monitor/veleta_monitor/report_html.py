"""A drift report as one HTML page that needs nothing from elsewhere, below 2 MB. All text is escaped."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from veleta.dataset import Dataset
from veleta.drift_sentences import column_title
from veleta.events.catalogue import Histogram
from veleta_monitor.domain.drift_report import DriftReport
from veleta_monitor.domain.formatting import format_number, format_share, shorten
from veleta_monitor.domain.policies import VERDICT_TONES, policy_title
from veleta_monitor.domain.report_tables import (
    COMPARED_WITH,
    MAX_COLUMNS,
    MAX_NAME,
    MAX_REASON,
    MAX_STATISTICS,
    MAX_TESTS,
    error_table,
    facts,
    importance_table,
    policy_table,
    retrain_sentences,
    statistic_table,
    test_table,
)
from veleta_monitor.domain.table import Table
from veleta_monitor.histogram_svg import histogram_svg
from veleta_monitor.markup import badge_html, notice_html, table_html

FOLDER = Path(__file__).parent
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load: nothing. Its own styles are part of it, and it has no script."""


def report_html(report: DriftReport, dataset: Dataset) -> str:
    """The page. A part without data is left out."""
    title = escape(f"Drift report: batch {report.batch.name}, {dataset.title}")
    style = "".join((FOLDER / name).read_text() for name in ("style.css", "report.css"))
    sections = "".join(_sections(report, dataset))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><h1>{title}</h1>{_verdict(report)}{_facts(report)}{sections}</body></html>\n"
    )


def _verdict(report: DriftReport) -> str:
    """The verdict that decides, with its reason."""
    batch = report.batch
    badge = badge_html(batch.verdict, VERDICT_TONES.get(batch.verdict, ""))
    reason = escape(shorten(f"{policy_title(batch.policy)}: {batch.reason}", MAX_REASON))
    return f'{badge}<p class="verdict">{reason}</p>'


def _facts(report: DriftReport) -> str:
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts(report))
    return f'<dl class="facts">{entries}</dl>'


def _sections(report: DriftReport, dataset: Dataset) -> Iterator[str]:
    yield _section("Policies", _table(policy_table(report)))
    yield _section("Errors of the champion", f"{_table(error_table(report, dataset))}{_retrains(report)}")
    yield _section("Tests", _table(test_table(report, dataset), len(report.tests) - MAX_TESTS))
    yield _section("15 % rule", _table(statistic_table(report, dataset), len(report.statistics) - MAX_STATISTICS))
    yield _section("Importance of the columns", f"{_table(importance_table(report, dataset))}{_saved(report)}")
    yield _section("Histograms", _charts(report, dataset))


def _saved(report: DriftReport) -> str:
    if not any(each.unweighted for each in report.policies):
        return ""
    return f'<p class="note">The weights of columns saved {format_number(report.saved)} trainings up to this batch.</p>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _table(table: Table, left_out: int = 0) -> str:
    """A table, and how many rows it leaves out. Empty without rows."""
    if not table.rows:
        return ""
    more = f'<p class="note">{format_number(left_out)} more are not shown.</p>' if left_out > 0 else ""
    return f'<div class="scroll">{table_html(table)}</div>{more}'


def _retrains(report: DriftReport) -> str:
    harmed = report.judged is not None and report.judged.verdict == "harmed"
    texts = retrain_sentences(report)
    notices = "".join(notice_html(text, "bad") for text in texts[:harmed])
    return notices + "".join(f"<p>{escape(text)}</p>" for text in texts[harmed:])


def _charts(report: DriftReport, dataset: Dataset) -> str:
    if not report.histograms:
        return ""
    charts = "".join(_chart(each, report, dataset) for each in report.ordered_histograms[:MAX_COLUMNS])
    return f'{_legend(report.histograms)}<div class="charts">{charts}</div>'


def _legend(histograms: Sequence[Histogram]) -> str:
    compared = sorted({COMPARED_WITH[each.reference] for each in histograms if each.reference})
    reference = f'<i class="reference"></i>{escape(" or ".join(compared))}' if compared else ""
    bins = (
        "A number has ten bins with equally many rows of what it is compared with, and one on either side for others."
    )
    return f'<p class="legend"><i class="batch"></i>this batch{reference}</p><p class="note">{bins}</p>'


def _chart(histogram: Histogram, report: DriftReport, dataset: Dataset) -> str:
    column = dataset.by_name.get(histogram.column)
    unit = f" ({column.unit})" if column and column.unit else ""
    title = escape(shorten(column_title(dataset, histogram.column), MAX_NAME) + unit)
    share = report.importance.get(histogram.column)
    importance = f"<small>{format_share(share)} of the predictions</small>" if share is not None else ""
    return f'<article class="chart"><h3>{title}</h3>{importance}{histogram_svg(histogram, column)}</article>'
