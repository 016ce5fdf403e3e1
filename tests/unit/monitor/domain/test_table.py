"""The cells of tables."""

from datetime import UTC, datetime, timedelta

from veleta_monitor.domain.table import Cell, age_cell, time_cell

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def test_the_tooltip_of_an_age_is_the_exact_time() -> None:
    """A cell without a time is a dash."""
    assert time_cell(NOW - timedelta(hours=1), NOW) == Cell("1 h ago", hint="2026-01-02 11:00:00 UTC")
    assert time_cell(None, NOW).text == "-"


def test_an_age_may_have_a_prefix() -> None:
    """Without a time there is no cell."""
    loaded_at = datetime(2026, 1, 2, 11, 58, 0, tzinfo=UTC)
    assert age_cell("loaded ", loaded_at, NOW) == Cell("loaded 2 min ago", hint="2026-01-02 11:58:00 UTC")
    assert age_cell("loaded ", None, NOW) is None
