"""The counts of an input's rows, and how they are shown."""

from veleta.input.row_counts import MAX_REASONS, Reason, RowCounts


def counted(complete: int, *left_out: list[Reason]) -> RowCounts:
    """Counts of complete rows of batch 0, and then of rows with these reasons."""
    counts = RowCounts()
    for number in range(complete):
        counts.add_usable(number + 2, 0)
    for number, reasons in enumerate(left_out, complete + 2):
        counts.add_left_out(number, reasons)
    return counts


def test_a_summary_has_the_reasons_with_their_first_examples() -> None:
    """The most frequent first. A row with two reasons is counted once, and each of its reasons."""
    missing, words = Reason("bed missing"), Reason("price not a number", "'POA'")
    counts = counted(1_000, [words, missing], [missing], [Reason("price not a number", "'from 5'")], [missing])
    assert counts.summary() == (
        "1,004 rows: 1,000 complete; 4 left out: bed missing 3 (line 1002), price not a number 2 (line 1002: 'POA')"
    )


def test_rows_with_gaps_are_counted_beside_complete_ones() -> None:
    """With the columns and the first example. They are not left out."""
    counts = counted(2)
    counts.add_usable(4, 0, [Reason("bed missing"), Reason("house_size not a number", "'1056 - 1200'")])
    counts.add_usable(5, 0, [Reason("bed missing")])
    counts.add_left_out(6, [Reason("city missing")])
    assert counts.summary() == (
        "5 rows: 2 complete; 2 with gaps: bed missing 2 (line 4), house_size not a number 1 (line 4: '1056 - 1200'); "
        "1 left out: city missing 1 (line 6)"
    )
    assert (counts.usable, counts.total, counts.batches[0]) == (4, 5, 4)


def test_a_summary_of_complete_rows_is_short() -> None:
    """There is nothing to explain."""
    assert counted(2).summary() == "2 rows: 2 complete"


def test_a_summary_is_bounded() -> None:
    """It names the most frequent reasons, and counts the others."""
    counts = counted(0, *[[Reason(f"column {i} missing")] for i in range(MAX_REASONS + 3)])
    assert counts.summary().count("missing") == MAX_REASONS
    assert counts.summary().endswith(", and 3 more reasons")
    assert counts.summary(MAX_REASONS + 2).endswith(", and 1 more reason")


def test_more_than_a_fifth_left_out_is_a_warning() -> None:
    """It has the share and the reasons."""
    reason = [Reason("bed missing")]
    assert counted(4, reason).warning() == ""
    assert counted(3, reason).warning() == "1 of 4 rows (25 %) are left out: bed missing 1 (line 5)"
    assert RowCounts().warning() == ""


def test_batches_without_rows_are_named() -> None:
    """Since the numbers of later batches change."""
    assert counted(1).empty_batches([0]) == ""
    assert counted(1).empty_batches([2, 1, 0]) == "batches 1, 2 have no rows"
    assert counted(1).empty_batches([0, 3]) == "batch 3 has no rows"
