"""Which records have a dead letter."""

from dataclasses import replace
from pathlib import Path

import pytest

from veleta.events.envelope import Record
from veleta_inference.adapters.reported_records import ReportedRecords

RECORD = Record("d.models", 0, 7, "key", (("ce_id", b"p/7"),), b"{")


@pytest.mark.failure("F369")
def test_a_record_is_added_once(tmp_path: Path) -> None:
    """By all processes. Another record at its place in the topic is another one: Kafka's data may be deleted."""
    first, second = ReportedRecords(tmp_path / "reported"), ReportedRecords(tmp_path / "reported")
    assert [first.add(RECORD), second.add(RECORD), first.add(RECORD)] == [True, False, False]
    assert second.add(replace(RECORD, value=b"[")) is True
    second.discard(RECORD)
    assert first.add(RECORD) is True


def test_a_disk_that_fails_costs_no_dead_letter(tmp_path: Path) -> None:
    """A second one is better than none."""
    reported = ReportedRecords(tmp_path / "reported")
    (tmp_path / "reported").rmdir()
    assert [reported.add(RECORD), reported.add(RECORD)] == [True, True]
    reported.discard(RECORD)
