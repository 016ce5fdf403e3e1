"""The table of batches: the state, the counts and the verdict of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veleta.left_out import left_out_warning
from veleta_monitor.domain.formatting import NO_VALUE, format_number, format_numbers
from veleta_monitor.domain.policies import VERDICT_TONES, other_verdicts
from veleta_monitor.domain.table import Cell, Column, Table, Tone, time_cell

COLUMNS = (
    Column("Batch"), Column("State"), Column("Received", numeric=True), Column("Cleaned", numeric=True),
    Column("Left out", numeric=True), Column("Verdict"), Column("Reason", wide=True), Column("When"),
)  # fmt: skip
STATE_TONES: Mapping[str, Tone] = {
    "loaded": "good",
    "refused": "bad",
    "missed": "bad",
    "abandoned": "neutral",
    "deleted": "neutral",
}
"""Tones of final states. All other states are in progress."""
REPORT_PATH = "report"
"""The path of the drift reports on the monitor's server: `report/3/4`."""


@dataclass(frozen=True)
class Batch:
    """A row of the batch table, with its drift report. Counts are numbers of rows; None means not yet counted.

    `verdict` is that of `policy`, and `verdicts` has those of all policies.
    """

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
    policy: str = ""
    verdicts: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Epoch and number, as `3/4`."""
        return f"{self.epoch}/{self.number}"

    @property
    def left_out(self) -> int:
        """How many rows are not clean."""
        return sum(self.rejected.values())

    @property
    def without_clean_row(self) -> bool:
        """Whether it is loaded, but no row of it can be used."""
        return self.received is not None and 0 < self.received <= self.left_out

    @property
    def doubtful(self) -> bool:
        """Whether more rows are left out than usual."""
        return bool(left_out_warning(self.name, self.received or 0, self.rejected))


def batch_table(batches: Sequence[Batch], now: datetime) -> Table:
    """The batches in the given order."""
    return Table(COLUMNS, [_row(batch, now) for batch in batches])


def _row(batch: Batch, now: datetime) -> list[Cell]:
    return [
        Cell(batch.name, hint=f"epoch {batch.epoch}, batch {batch.number}"),
        _state(batch),
        Cell(format_number(batch.received)),
        Cell(format_number(batch.cleaned)),
        _left_out(batch),
        _verdict(batch),
        Cell(batch.reason or batch.finding or NO_VALUE, note=batch.finding if batch.reason else ""),
        time_cell(batch.updated_at, now),
    ]


def _state(batch: Batch) -> Cell:
    if batch.without_clean_row:
        return Cell(batch.state, tone="bad", note="no clean row")
    return Cell(batch.state, tone="warn" if batch.doubtful else STATE_TONES.get(batch.state, "warn"))


def _left_out(batch: Batch) -> Cell:
    if not batch.received:
        return Cell(NO_VALUE)
    tone: Tone = "bad" if batch.without_clean_row else "warn" if batch.doubtful else ""
    note = f"{100 * batch.left_out / batch.received:.3g} %" if batch.doubtful else ""
    return Cell(format_number(batch.left_out), hint=format_numbers(batch.rejected), tone=tone, note=note)


def _verdict(batch: Batch) -> Cell:
    if batch.verdict:
        tone, link = VERDICT_TONES.get(batch.verdict, ""), f"{REPORT_PATH}/{batch.name}"
        return Cell(batch.verdict, tone=tone, link=link, note=other_verdicts(batch.verdicts, batch.policy))
    return Cell("not yet assessed" if batch.state == "loaded" else NO_VALUE)
