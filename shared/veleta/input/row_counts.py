"""Count the rows of an input: those in batches, and those that are left out, by reason with an example."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from veleta.left_out import WARNING_SHARE

MAX_REASONS = 12
"""A summary names at most this many reasons."""
FEW_REASONS = 3
"""A warning and the activity of a service name at most this many."""


@dataclass(frozen=True)
class Reason:
    """Why a row is left out, and the text that caused it, in quotes."""

    text: str
    seen: str = ""


@dataclass
class RowCounts:
    """The counts so far. `noun` is what an example's number counts: a line of a CSV file, a row of another one.

    A row that is left out has one or more reasons, so their counts may add up to more than `left_out`.
    """

    noun: str = "line"
    complete: int = 0
    left_out: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    batches: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All rows."""
        return self.complete + self.left_out

    def add_complete(self, place: int) -> None:
        """Count a row of the batch at `place`."""
        self.complete += 1
        self.batches[place] += 1

    def add_left_out(self, number: int, reasons: Iterable[Reason]) -> None:
        """Count a row that is left out. Its number is shown if it is the first one with a reason."""
        self.left_out += 1
        for reason in reasons:
            self.reasons[reason.text] += 1
            if reason.text not in self.examples:
                seen = f": {reason.seen}" if reason.seen else ""
                self.examples[reason.text] = f"{self.noun} {number}{seen}"

    def summary(self, reasons: int = MAX_REASONS) -> str:
        """One line with the most frequent reasons.

        As `12,885 rows: 3,465 complete; 9,420 left out: prev_sold_date missing 8,581 (line 3), and 8 more reasons`.
        """
        left_out = f"; {self.left_out:,} left out: {self._top_reasons(reasons)}" if self.left_out else ""
        return f"{self.total:,} {_plural('row', self.total)}: {self.complete:,} complete{left_out}"

    def empty_batches(self, places: Sequence[int]) -> str:
        """A note on the batches without rows. Empty if each of `places` has rows."""
        empty = [str(place) for place in sorted(places) if not self.batches[place]]
        verb = "has" if len(empty) == 1 else "have"
        return f"{_plural('batch', len(empty), 'es')} {', '.join(empty)} {verb} no rows" if empty else ""

    def warning(self) -> str:
        """What a person should look at: more than WARNING_SHARE is left out. Otherwise empty."""
        if self.left_out <= WARNING_SHARE * self.total:
            return ""
        share = f"{self.left_out:,} of {self.total:,} rows ({100 * self.left_out / self.total:.0f} %) are left out"
        return f"{share}: {self._top_reasons(FEW_REASONS)}"

    def _top_reasons(self, limit: int) -> str:
        """The most frequent reasons with their counts and examples."""
        top = [f"{text} {count:,} ({self.examples[text]})" for text, count in self.reasons.most_common(limit)]
        more = len(self.reasons) - len(top)
        return ", ".join(top) + (f", and {more} more {_plural('reason', more)}" if more else "")


def _plural(noun: str, count: int, ending: str = "s") -> str:
    return noun if count == 1 else noun + ending
