"""Which records have a dead letter."""

from dataclasses import replace
from pathlib import Path

import pytest

from veleta.events.envelope import Record
from veleta_inference.adapters.reported_records import ReportedRecords

RECORD = Record("d.models", 0, 7, "key", (("ce_id", b"p/7"),), b"{")


@pytest.mark.failure("F369")
def test_a_reported_record_is_known_to_all_processes(tmp_path: Path) -> None:
    """Another record at its place in the topic is another one: Kafka's data may be deleted."""
    first, second = ReportedRecords(tmp_path / "reported"), ReportedRecords(tmp_path / "reported")
    assert RECORD not in second
    first.add(RECORD)
    assert RECORD in second
    assert replace(RECORD, value=b"[") not in second


def test_a_disk_that_fails_costs_no_dead_letter(tmp_path: Path) -> None:
    """The record counts as not reported."""
    reported = ReportedRecords(tmp_path / "reported")
    (tmp_path / "reported").rmdir()
    reported.add(RECORD)
    assert RECORD not in reported
