"""Drift reports with all their parts, for the tests of the monitor's pages."""

from datetime import UTC, datetime

from veleta.drift_sentences import BIAS, CATEGORIES, DISTRIBUTION, SIZE
from veleta.events.catalogue import DriftTest, Histogram, HistogramBin, Statistic, VersionErrors
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.drift_report import DriftReport, PolicyResult
from veleta_monitor.domain.retrains import JudgedRetrain
from veleta_monitor.domain.versions import Training

ASSESSED = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
REASON = "Price of state = Ohio is 5.1 % above what is expected (limit 2 %)"
TESTS = [
    DriftTest(
        arm="errors", subject="state = Ohio", test=BIAS, p_value=0.00001, effect=0.05, limit=0.02, level=0.0125,
        fires=True,
    ),
    DriftTest(
        arm="errors", subject="all rows", test=SIZE, p_value=0.4, effect=0.01, limit=0.05, level=0.0125, fires=False
    ),
    DriftTest(
        arm="inputs", subject="bath", test=DISTRIBUTION, p_value=0.003, effect=0.31, limit=0.1, level=0.025, fires=True
    ),
    DriftTest(
        arm="inputs", subject="state", test=CATEGORIES, p_value=0.2, effect=0.01, limit=0.05, level=0.025, fires=False,
        note="new: Guam 0.1 %",
    ),
    DriftTest(
        arm="inputs", subject="bath", test=DISTRIBUTION, p_value=0.9, effect=0.01, limit=0.1, level=0.025, fires=False,
        reference="previous",
    ),
]  # fmt: skip
STATISTICS = [
    Statistic(column="price", statistic="mean", old=397_339.4, new=402_110.0, change=0.012, exceeds=False),
    Statistic(column="bath", statistic="50", old=2.0, new=3.0, change=0.5, exceeds=True),
    Statistic(column="bed", statistic="std", old=0.0, new=0.5, change=None, exceeds=True, note="infinite"),
    Statistic(column="bed", statistic="mean", old=None, new=2.0, change=None, exceeds=False, note="not a number"),
]
NUMBERS = Histogram(
    column="bath",
    reference="champion",
    bins=[
        HistogramBin(upper=1.0, share=0.02, reference_share=0.0),
        HistogramBin(lower=1.0, upper=2.0, share=0.2, reference_share=0.6),
        HistogramBin(lower=2.0, upper=3.0, share=0.6, reference_share=0.3),
        HistogramBin(lower=3.0, share=0.18, reference_share=0.1),
    ],
)
CATEGORIES_OF_STATE = Histogram(
    column="state",
    reference="champion",
    bins=[
        HistogramBin(category="Ohio", share=0.5, reference_share=0.48),
        HistogramBin(category="Guam", share=0.001, reference_share=0.0),
        HistogramBin(share=0.499, reference_share=0.52),
    ],
)
HARMED = JudgedRetrain(7, 6, "2/3", "harmed", 0.041, ASSESSED)
HELPED = JudgedRetrain(8, 7, "2/4", "helped", -0.032, ASSESSED)
BATCH = Batch(
    2, 3, "loaded", received=8_021, cleaned=7_990, rejected={"no city": 31}, finding="volume: 8,021 rows",
    verdict="drift", reason=REASON, updated_at=ASSESSED, policy="evidence",
)  # fmt: skip
REPORT = DriftReport(
    batch=BATCH,
    assessed_at=ASSESSED,
    closed_at=ASSESSED,
    previous=2,
    champion=7,
    policies=[
        PolicyResult("seed", "drift", "median bathrooms 2 -> 3 (+50 %, limit 15 %)"),
        PolicyResult("evidence", "drift", REASON),
        PolicyResult("sequential", "no drift", "the mean relative error is at least 12.1 % over 24,000 rows"),
    ],
    tests=TESTS,
    statistics=STATISTICS,
    threshold=0.15,
    histograms=[CATEGORIES_OF_STATE, NUMBERS],
    importance={"state": 0.12, "bath": 0.31},
    errors=[
        VersionErrors(version=6, rows=1_602, mae=61_234.2, bias=0.001),
        VersionErrors(version=7, rows=1_602, mae=63_744.8, bias=0.048),
    ],
    judged=HARMED,
    training=Training("promoted", 8, reason="MAE 59,000 against 63,744 of version 7"),
    training_effect=HELPED,
)
"""A batch that requested a training, and that showed that the one before harmed."""
EARLIER = DriftReport(
    batch=Batch(1, 0, "loaded", received=200, cleaned=200, verdict="not enough data", reason="first", policy="seed"),
    assessed_at=ASSESSED,
    closed_at=None,
    previous=None,
    champion=None,
)
"""A report of the first release: a verdict without any part."""
