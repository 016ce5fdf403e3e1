"""Count the rows of an input: those in batches, those with gaps and those that are left out, with examples."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from veleta.left_out import WARNING_SHARE

MAX_REASONS = 12
"""A summary names at most this many reasons."""
FEW_REASONS = 3
"""A warning and the activity of a service name at most this many."""


@dataclass(frozen=True)
class Reason:
    """Why a row is left out or has a gap, and the text that caused it, in quotes."""

    text: str
    seen: str = ""
    gap: str = ""
    """The column, if its value is missing and not wrong."""


@dataclass
class RowCounts:
    """The counts so far. `noun` is what an example's number counts: a line of a CSV file, a row of another one.

    A row that is incomplete or left out has one or more reasons, so their counts may add up to more than the rows.
    """

    noun: str = "line"
    complete: int = 0
    incomplete: int = 0
    """Rows of batches without a value of an optional column."""
    left_out: int = 0
    left_out_for_gaps: Counter[frozenset[str]] = field(default_factory=Counter)
    """Rows that are left out only because values are missing, by the columns of these."""
    gaps: Counter[str] = field(default_factory=Counter)
    """The reasons of incomplete rows."""
    reasons: Counter[str] = field(default_factory=Counter)
    """The reasons of rows that are left out."""
    examples: dict[str, str] = field(default_factory=dict)
    batches: Counter[int] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All rows."""
        return self.usable + self.left_out

    @property
    def usable(self) -> int:
        """The rows of batches."""
        return self.complete + self.incomplete

    def add_usable(self, number: int, place: int, gaps: Sequence[Reason] = ()) -> None:
        """Count a row of the batch at `place`, and the values of optional columns that it does not have."""
        self.batches[place] += 1
        if gaps:
            self.incomplete += 1
            self._add(number, self.gaps, gaps)
        else:
            self.complete += 1

    def add_left_out(self, number: int, reasons: Sequence[Reason]) -> None:
        """Count a row that is left out. Its number is shown if it is the first one with a reason."""
        self.left_out += 1
        if all(reason.gap for reason in reasons):
            self.left_out_for_gaps[frozenset(reason.gap for reason in reasons)] += 1
        self._add(number, self.reasons, reasons)

    def _add(self, number: int, counts: Counter[str], reasons: Iterable[Reason]) -> None:
        for reason in reasons:
            counts[reason.text] += 1
            if reason.text not in self.examples:
                seen = f": {reason.seen}" if reason.seen else ""
                self.examples[reason.text] = f"{self.noun} {number}{seen}"

    def summary(self, reasons: int = MAX_REASONS) -> str:
        """One line with the most frequent reasons.

        As `12,885 rows: 3,465 complete; 9,420 left out: prev_sold_date missing 8,581 (line 3), and 8 more reasons`.
        """
        gaps = f"; {self.incomplete:,} with gaps: {self._top(self.gaps, reasons)}" if self.incomplete else ""
        left_out = f"; {self.left_out:,} left out: {self._top(self.reasons, reasons)}" if self.left_out else ""
        return f"{self.total:,} {_plural('row', self.total)}: {self.complete:,} complete{gaps}{left_out}"

    def empty_batches(self, places: Sequence[int]) -> str:
        """A note on the batches without rows. Empty if each of `places` has rows."""
        empty = [str(place) for place in sorted(places) if not self.batches[place]]
        verb = "has" if len(empty) == 1 else "have"
        return f"{_plural('batch', len(empty), 'es')} {', '.join(empty)} {verb} no rows" if empty else ""

    def warning(self) -> str:
        """What a person should look at: more than WARNING_SHARE is left out. Otherwise empty."""
        if self.left_out <= WARNING_SHARE * self.total:
            return ""
        return f"{self._share(self.left_out)} are left out: {self._top(self.reasons, FEW_REASONS)}"

    def gaps_warning(self, optional: Collection[str]) -> str:
        """As `warning`, if so many are left out only because values of these columns are missing."""
        rows = sum(count for columns, count in self.left_out_for_gaps.items() if columns <= {*optional})
        if rows <= WARNING_SHARE * self.total:
            return ""
        return f"{self._share(rows)} are left out only because values are missing"

    def _share(self, rows: int) -> str:
        return f"{rows:,} of {self.total:,} rows ({100 * rows / self.total:.0f} %)"

    def _top(self, reasons: Counter[str], limit: int) -> str:
        """The most frequent reasons with their counts and examples."""
        top = [f"{text} {count:,} ({self.examples[text]})" for text, count in reasons.most_common(limit)]
        more = len(reasons) - len(top)
        return ", ".join(top) + (f", and {more} more {_plural('reason', more)}" if more else "")


def _plural(noun: str, count: int, ending: str = "s") -> str:
    return noun if count == 1 else noun + ending
