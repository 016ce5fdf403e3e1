"""What drift found, in words."""

import pytest

from veleta.dataset import load_dataset
from veleta.drift_sentences import BIAS, CATEGORIES, DISTRIBUTION, EXTREMES, MISSING, SIZE, sentence, statistic_sentence
from veleta.events.catalogue import DriftTest, Statistic

DATASET = load_dataset("real_estate")


@pytest.mark.parametrize(
    ("column", "old", "new", "change", "note", "text"),
    [
        ("bath", 2.0, 3.0, 0.5, "", "median bathrooms 2 -> 3 (+50 %, limit 15 %, since batch 1)"),
        ("gone", 2.0, 3.0, 0.5, "", "median gone 2 -> 3 (+50 %, limit 15 %, since batch 1)"),
        ("bed", 0.0, 2.0, None, "infinite", "median bedrooms 0 -> 2 (infinite change, limit 15 %, since batch 1)"),
        ("bed", None, 2.0, None, "not a number", "median bedrooms cannot be compared"),
    ],
)
def test_a_statistic_is_a_sentence(
    column: str, old: float | None, new: float | None, change: float | None, note: str, text: str
) -> None:
    """Also that of a column which the dataset file no longer has."""
    statistic = Statistic(
        column=column, statistic="50", old=old, new=new, change=change, exceeds=True, note=note, previous=1
    )
    assert statistic_sentence(DATASET, statistic, 0.15) == text


@pytest.mark.parametrize(
    ("arm", "subject", "test", "effect", "limit", "text"),
    [
        ("errors", "all rows", BIAS, 0.05, 0.02, "Price is 5.1 % above what is expected (limit 2 %)"),
        (
            "errors",
            "state = Ohio",
            BIAS,
            -0.05,
            0.02,
            "Price of state = Ohio is 4.9 % below what is expected",
        ),
        ("errors", "all rows", SIZE, 0.12, 0.05, "the median error grew by 12 % (limit 5 %)"),
        ("inputs", "bath", DISTRIBUTION, 0.31, 0.1, "Bathrooms is distributed otherwise (by 0.31 standard deviations"),
        ("inputs", "state", CATEGORIES, 0.2, 0.05, "State has other shares (by 20 %, limit 5 %; new: Ohio 12 %)"),
        ("inputs", "bath", EXTREMES, 0.02, 0.01, "2 % of Bathrooms are extreme (limit 1 %)"),
        ("inputs", "gone", MISSING, 0.3, 0.05, "the share of rows without gone changed by 30 % (limit 5 %)"),
    ],
)
def test_a_test_is_a_sentence(arm: str, subject: str, test: str, effect: float, limit: float, text: str) -> None:
    """With its effect, its limit, and the categories that are new."""
    note = "new: Ohio 12 %" if test == CATEGORIES else ""
    found = DriftTest(
        arm=arm, subject=subject, test=test, p_value=0, effect=effect, limit=limit, level=0.01, fires=True, note=note
    )
    assert sentence(DATASET, found).startswith(text)
