"""The table of batches."""

from datetime import UTC, datetime

import pytest

from veleta_monitor.domain.batches import Batch, batch_table

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def test_a_batch_shows_its_counts_and_its_verdict() -> None:
    """Counts have separators, the tooltip lists the rows left out by reason, and the verdict has its reason."""
    batch = Batch(
        3,
        4,
        "loaded",
        received=361_457,
        cleaned=361_400,
        rejected={"too cheap": 50, "a gap": 7},
        verdict="drift",
        reason="bed mean changed by 0.4",
        updated_at=NOW,
    )
    (row,) = batch_table([batch], NOW).rows
    assert [cell.text for cell in row] == [
        "3/4", "loaded", "361,457", "361,400", "57", "drift", "bed mean changed by 0.4", "just now",
    ]  # fmt: skip
    assert row[4].hint == "too cheap: 50\na gap: 7"


def test_a_missed_batch_has_no_counts_and_no_verdict() -> None:
    """An unknown value is a dash, never 0. The finding is the reason."""
    (row,) = batch_table([Batch(1, 2, "missed", finding="missed: the API moved on")], NOW).rows
    assert [cell.text for cell in row] == ["1/2", "missed", "-", "-", "-", "-", "missed: the API moved on", "-"]


def test_a_loaded_batch_without_a_report_is_not_yet_assessed() -> None:
    """A missing verdict is never shown as no drift. A finding is shown below the reason."""
    loaded = Batch(1, 0, "loaded", received=5, cleaned=5)
    assessed = Batch(1, 1, "loaded", received=5, cleaned=5, verdict="no drift", reason="all within", finding="odd")
    table = batch_table([loaded, assessed], NOW)
    titles = [column.title for column in table.columns]
    verdicts = [row[titles.index("Verdict")].text for row in table.rows]
    reason = table.rows[1][titles.index("Reason")]
    assert verdicts == ["not yet assessed", "no drift"]
    assert (reason.text, reason.note) == ("all within", "odd")


@pytest.mark.failure("F173")
def test_a_batch_without_a_clean_row_is_not_shown_as_good() -> None:
    """More than a fifth left out is a warning with its share, and no clean row is red. Few are as usual."""
    shown = []
    for left_out in (0, 80, 81, 400):
        rejected = {"bed: below 1": left_out} if left_out else {}
        (row,) = batch_table([Batch(1, 0, "loaded", 400, 400 - left_out, rejected)], NOW).rows
        shown.append([(cell.text, cell.tone, cell.note) for cell in (row[1], row[4])])
    assert shown == [
        [("loaded", "good", ""), ("0", "", "")],
        [("loaded", "good", ""), ("80", "", "")],
        [("loaded", "warn", ""), ("81", "warn", "20.2 %")],
        [("loaded", "bad", "no clean row"), ("400", "bad", "100 %")],
    ]


def test_a_verdict_links_to_its_report_and_shows_the_other_policies() -> None:
    """The policy that decides is the badge. A batch without a report has no link."""
    verdicts = {"evidence": "no drift", "seed": "drift", "sequential": "not enough data", "new": "drift"}
    batch = Batch(2, 3, "loaded", verdict="no drift", policy="evidence", verdicts=verdicts)
    cell = batch_table([batch], NOW).rows[0][5]
    assert (cell.text, cell.tone, cell.link) == ("no drift", "good", "report/2/3")
    assert cell.note == "15 % rule: drift\nsequential test: not enough data\nnew: drift"
    assert batch_table([Batch(2, 4, "loaded")], NOW).rows[0][5].link == ""
