"""The order of a report's parts, and the name of a batch."""

import pytest

from support.drift_reports import REPORT
from veleta.errors import Stop
from veleta_monitor.domain.drift_report import parse_batch


def test_what_decides_is_first() -> None:
    """Tests that fire, large changes and important columns."""
    assert [(each.subject, each.fires) for each in REPORT.ordered_tests] == [
        ("state = Ohio", True), ("bath", True), ("state", False), ("all rows", False), ("bath", False),
    ]  # fmt: skip
    assert [(each.column, each.statistic) for each in REPORT.ordered_statistics] == [
        ("bed", "std"), ("bath", "50"), ("price", "mean"), ("bed", "mean"),
    ]  # fmt: skip
    assert [each.column for each in REPORT.ordered_histograms] == ["bath", "state"]
    assert [each.p_value for each in REPORT.tests_of("bath")] == [0.003]


def test_a_batch_is_named_by_epoch_and_number() -> None:
    """Nothing else is read as one."""
    assert parse_batch("2/3") == (2, 3)
    for text in ("", "2", "2/", "2/3/4", "-1/2", "2/3 ", "a/b", "9" * 5_000 + "/1", "\u0662/3"):
        with pytest.raises(Stop, match="is no batch: use its epoch and number, as 2/3"):
            parse_batch(text)
