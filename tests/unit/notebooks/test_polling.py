"""Polling for rows."""

from collections.abc import Iterator

from veleta_notebooks.polling import poll


def test_rows_that_arrive_later_are_returned() -> None:
    """Between two epochs there are briefly no rows. Without any, polling stops at the timeout."""
    results: Iterator[list[int]] = iter([[], [], [3]])
    assert poll(lambda: next(results), 1) == [3]
    assert poll(list[int], 0.05) == []
