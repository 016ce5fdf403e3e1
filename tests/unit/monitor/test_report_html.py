"""The drift report as an HTML page."""

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from support.drift_reports import EARLIER, NUMBERS, REPORT
from veleta.dataset import load_dataset
from veleta.events.catalogue import DriftTest, Histogram, HistogramBin, Statistic
from veleta_monitor.domain.drift_report import DriftReport, PolicyResult
from veleta_monitor.histogram_svg import edge_text, histogram_svg
from veleta_monitor.report_html import report_html

DATASET = load_dataset("real_estate")
MAX_BYTES = 2_000_000


class Page(HTMLParser):
    """The text of a page, its headings, and the elements that load something or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts, self.headings, self.loaded = list[str](), list[str](), list[str]()
        self._open = list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        names = {name for name, _ in attributes}
        loads = names & {"src", "href", "data", "action", "xlink:href", "background"}
        runs = any(name.startswith("on") for name in names)
        if tag in ("script", "link", "iframe", "object", "embed", "img", "base") or loads or runs:
            self.loaded.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def test_a_report_shows_all_its_parts() -> None:
    """In sentences that a person uses, the decisive ones first."""
    page = Page(report_html(REPORT, DATASET))
    assert page.headings == [
        "Policies", "Errors of the champion", "Tests", "15 % rule", "Importance of the columns", "Histograms",
    ]  # fmt: skip
    for text in (
        "Drift report: batch 2/3, USA real estate",
        "evidence: Price of state = Ohio is 5.1 % above what is expected (limit 2 %)",
        "8,021 received, 7,990 clean (31 left out)",
        "batch 2/2 and the training of version 7, the champion",
        "volume: 8,021 rows",
        "median bathrooms 2 -> 3 (+50 %, limit 15 %)",
        "Bathrooms: distribution",
        "Price is 4.92 % above its prediction",
        "Version 7 predicts batch 2/3 worse than version 6, which it replaced (MAE +4.1 %, beyond chance).",
        "A rollback was proposed, and nothing was changed.",
        "The training of version 8 that this batch requested: promoted (MAE 59,000 against 63,744 of version 7).",
        "It was compared with version 7, which it replaced: helped: MAE -3.2 % on batch 2/4.",
        "31 % of the predictions",
        "2 to 3: 60 % of this batch, 30 % of the reference",
        "all others: 49.9 % of this batch, 52 % of the reference",
    ):
        assert text in page.text
    assert page.text.index("state = Ohio: bias") < page.text.index("All rows: size of the errors")


@pytest.mark.failure("F457")
def test_a_report_of_an_earlier_release_has_the_parts_that_are_known() -> None:
    """A part without data is left out."""
    page = Page(report_html(EARLIER, DATASET))
    assert page.headings == []
    assert "15 % rule: first" in page.text
    assert "not enough data" in page.text


def test_a_report_counts_the_trainings_that_weights_of_columns_saved() -> None:
    """If columns have weights. The verdict without them is below the policy's own."""
    weighted = [replace(each, unweighted="drift") for each in REPORT.policies if each.policy == "evidence"]
    page = Page(report_html(replace(REPORT, policies=weighted, saved=3), DATASET))
    assert "with equal weights: drift" in page.text
    assert "The weights of columns saved 3 trainings up to this batch." in page.text
    assert "weights" not in Page(report_html(REPORT, DATASET)).text


def test_a_training_that_helped_is_no_warning() -> None:
    """And a batch whose version before is not judged has no sentence on it."""
    helped = replace(REPORT, judged=replace(REPORT.judged, verdict="helped", change=-0.01), training=None)  # type: ignore[type-var]  # a JudgedRetrain
    text = Page(report_html(replace(helped, training_effect=None), DATASET)).text
    assert "The training of version 7, which replaced version 6: helped: MAE -1 % on batch 2/3." in text
    assert "rollback" not in text


@pytest.mark.failure("F458")
def test_a_page_loads_nothing_and_has_no_script() -> None:
    """Whatever the texts are. The Content-Security-Policy forbids it, too."""
    for report in (REPORT, hostile_report("<img src=x onerror=alert(1)>\"'&")):
        html = report_html(report, DATASET)
        page = Page(html)
        assert page.loaded == []
        assert not re.search(r"url\(|@import|https?:", html)
        assert "default-src &#x27;none&#x27;" in html or "default-src 'none'" in html
        assert "<img" not in html
        assert html.count("<style>") == html.count("</style>") == 1


@pytest.mark.failure("F458")
@pytest.mark.parametrize("text", ["a", "'", "&", "\u4e2d"], ids=["plain", "quotes", "ampersands", "three bytes"])
def test_a_page_is_below_two_megabytes(text: str) -> None:
    """With a hundred columns, thousands of tests, and texts as long as they can be. It says what it leaves out."""
    html = report_html(hostile_report(text), DATASET)
    assert len(html.encode()) < MAX_BYTES
    assert "1,800 more are not shown" in Page(html).text


def test_edges_are_short() -> None:
    """Large numbers have a unit, and dates are years."""
    assert [edge_text(edge, is_date=False) for edge in (0.38, 2.0, 1_500.0, 350_000.0, 1.25e6, -4e9)] == [
        "0.38", "2", "1.5k", "350k", "1.25M", "-4G",
    ]  # fmt: skip
    assert edge_text(2016.5323, is_date=True) == "2016.5"


def test_each_bin_has_two_bars_whose_heights_are_shares() -> None:
    """The highest share fills the drawing."""
    svg = histogram_svg(NUMBERS, DATASET.by_name["bath"])
    heights: Mapping[str, list[float]] = {
        kind: [float(each) for each in re.findall(rf'class="{kind}"[^>]*height="([0-9.]+)"', svg)]
        for kind in ("batch", "reference")
    }
    assert heights["batch"] == pytest.approx([4.3, 43.3, 130.0, 39.0], abs=0.1)
    assert heights["reference"] == pytest.approx([0.0, 130.0, 65.0, 21.7], abs=0.1)


def test_labels_that_would_overlap_are_left_out() -> None:
    """Each second edge of long numbers has a label, and each edge of short ones."""
    for edge, shown in ((1.0, 11), (1_234.0, 6)):
        bins = [HistogramBin(upper=edge + index, share=0.1) for index in range(11)]
        svg = histogram_svg(Histogram(column="bath", bins=[*bins, HistogramBin(lower=edge + 10, share=0.1)]), None)
        assert svg.count("<text") == shown


def hostile_report(text: str) -> DriftReport:
    """A report whose texts repeat a text up to their limits, on a hundred columns."""
    names = [f"{text * 60}{index:03}"[-64:] for index in range(100)]
    tests = [
        DriftTest(
            arm="inputs", subject=(text * 512)[:512], test=text[:64], p_value=0.5, effect=0.123456, limit=0.1,
            level=0.0125, fires=True, note=(text * 1_024)[:1_024],
        )
        for _ in range(2_000)
    ]  # fmt: skip
    bins = [HistogramBin(category=(text * 255)[:255], share=0.123456, reference_share=0.123456) for _ in range(21)]
    reason = (text * 20_000)[:20_000]
    figures = {"old": 1.23456789e300, "new": 1.23456789e305, "change": 1e5, "exceeds": True}
    return replace(
        REPORT,
        batch=replace(REPORT.batch, reason=reason, finding=reason, verdict=text[:16], rejected={reason: 1}),
        policies=[PolicyResult(text[:64], text[:16], reason) for _ in range(3)],
        tests=tests,
        statistics=[Statistic(column=name, statistic="mean", **figures) for name in names * 20],
        histograms=[Histogram(column=name, reference="champion", bins=bins) for name in names],
        importance=dict.fromkeys(names, 0.01),
    )
