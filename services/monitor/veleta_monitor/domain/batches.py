"""The table of batches: the state, the counts and the verdict of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veleta_monitor.domain.formatting import NO_VALUE, format_number, format_numbers
from veleta_monitor.domain.table import Cell, Column, Table, Tone, time_cell

COLUMNS = (
    Column("Batch"), Column("State"), Column("Received", numeric=True), Column("Cleaned", numeric=True),
    Column("Rejected", numeric=True), Column("Verdict"), Column("Reason", wide=True), Column("When"),
)  # fmt: skip
STATE_TONES: Mapping[str, Tone] = {"loaded": "good", "refused": "bad", "missed": "bad", "abandoned": "neutral"}
"""Tones of final states. All other states are in progress."""
VERDICT_TONES: Mapping[str, Tone] = {"drift": "warn", "no drift": "good", "not enough data": "neutral"}


@dataclass(frozen=True)
class Batch:
    """A row of the batch table, with its drift report. Counts are numbers of rows; None means not yet counted."""

    epoch: int
    number: int
    state: str
    received: int | None = None
    cleaned: int | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    finding: str = ""
    verdict: str = ""
    reason: str = ""
    updated_at: datetime | None = None

    @property
    def name(self) -> str:
        """Epoch and number, as `3/4`."""
        return f"{self.epoch}/{self.number}"


def batch_table(batches: Sequence[Batch], now: datetime) -> Table:
    """The batches in the given order."""
    return Table(COLUMNS, [_row(batch, now) for batch in batches])


def _row(batch: Batch, now: datetime) -> list[Cell]:
    rejected = sum(batch.rejected.values()) if batch.received is not None else None
    return [
        Cell(batch.name, hint=f"epoch {batch.epoch}, batch {batch.number}"),
        Cell(batch.state, tone=STATE_TONES.get(batch.state, "warn")),
        Cell(format_number(batch.received)),
        Cell(format_number(batch.cleaned)),
        Cell(format_number(rejected), hint=format_numbers(batch.rejected)),
        _verdict(batch),
        Cell(batch.reason or batch.finding or NO_VALUE, note=batch.finding if batch.reason else ""),
        time_cell(batch.updated_at, now),
    ]


def _verdict(batch: Batch) -> Cell:
    if batch.verdict:
        return Cell(batch.verdict, tone=VERDICT_TONES.get(batch.verdict, ""))
    return Cell("not yet assessed" if batch.state == "loaded" else NO_VALUE)
