"""The batches: what became of each, and the verdict on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from veleta_monitor.domain.formatting import NOTHING, Cell, Head, Table, Tone, figure, listed, moment

HEADS = (
    Head("Batch"), Head("State"), Head("Received", numeric=True), Head("Cleaned", numeric=True),
    Head("Rejected", numeric=True), Head("Verdict"), Head("Why", wide=True), Head("When"),
)  # fmt: skip
STATES: Mapping[str, Tone] = {"loaded": "good", "refused": "bad", "missed": "bad", "abandoned": "quiet"}
"""Tones of states; a batch in any other state is on its way."""
VERDICTS: Mapping[str, Tone] = {"drift": "warn", "no drift": "good", "not enough data": "quiet"}


@dataclass(frozen=True)
class Batch:
    """A batch's line in the ledger with the drift report on it; None where nothing is known yet. Counts are rows."""

    epoch: int
    number: int
    state: str
    received: int | None = None
    cleaned: int | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    finding: str = ""
    verdict: str = ""
    reason: str = ""
    at: datetime | None = None

    @property
    def name(self) -> str:
        """Epoch and number, as `3/4`."""
        return f"{self.epoch}/{self.number}"


def batch_table(batches: Sequence[Batch], now: datetime) -> Table:
    """The batches in the order given."""
    return Table(HEADS, [_row(batch, now) for batch in batches])


def _row(batch: Batch, now: datetime) -> list[Cell]:
    rejected = sum(batch.rejected.values()) if batch.received is not None else None
    return [
        Cell(batch.name, hint=f"epoch {batch.epoch}, batch {batch.number}"),
        Cell(batch.state, tone=STATES.get(batch.state, "warn")),
        Cell(figure(batch.received)),
        Cell(figure(batch.cleaned)),
        Cell(figure(rejected), hint=listed(batch.rejected)),
        _verdict(batch),
        Cell(batch.reason or batch.finding or NOTHING, note=batch.finding if batch.reason else ""),
        moment(batch.at, now),
    ]


def _verdict(batch: Batch) -> Cell:
    if batch.verdict:
        return Cell(batch.verdict, tone=VERDICTS.get(batch.verdict, ""))
    return Cell("not yet judged" if batch.state == "loaded" else NOTHING)
