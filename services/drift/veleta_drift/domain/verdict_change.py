"""The verdicts of another policy beside the live ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DRIFT = "drift"
"""The verdict that requests a training."""


@dataclass(frozen=True)
class BatchVerdict:
    """The live verdict on a batch (epoch and number), and the one of a replay with its reason."""

    batch: tuple[object, ...]
    live: str
    replayed: str
    reason: str


def verdict_lines(live: str, policy: str, verdicts: Sequence[BatchVerdict]) -> Iterator[str]:
    """A line for each batch, and how many trainings each policy requests. `live` is the policy of the live reports."""
    rows = [("batch", f"live: {live}", policy, "reason")]
    rows += [("/".join(map(str, each.batch)), each.live, each.replayed, each.reason) for each in verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for *cells, reason in rows:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), reason])
    before, after = sum(each.live == DRIFT for each in verdicts), sum(each.replayed == DRIFT for each in verdicts)
    differ = sum(each.live != each.replayed for each in verdicts)
    yield f"{len(verdicts):,} batches: {before:,} are drift by {live}, {after:,} by {policy}; {differ:,} differ"
