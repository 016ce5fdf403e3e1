"""Aligned columns."""

from veleta_local.text import aligned


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Numbers are on the right; no line ends with spaces."""
    assert aligned([["topic", "records", "last"], ["a", "1,234", ""]], right={1}) == [
        "topic  records  last",
        "a        1,234",
    ]
