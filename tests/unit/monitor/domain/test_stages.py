"""What the monitor's page shows, from what was read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from veleta_monitor.domain.batches import Batch, batch_table
from veleta_monitor.domain.formatting import Cell, Table, ago, exact, figure, moment
from veleta_monitor.domain.stages import STAGES, Deed, Health, at_work, health, newest, stages
from veleta_monitor.domain.versions import Training, served, since, training_table, why

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
MODEL: Mapping[str, Any] = {
    "version": 4,
    "promotion_seq": 7,
    "promoted_at": "2026-01-02T11:57:00+00:00",
    "loaded_at": "2026-01-02T11:58:00+00:00",
    "metrics": {"mae": 61_000.4},
    "causes": {
        "request": "d/1/2/retrain",
        "report": "d/1/2/assessed",
        "reason": "bed mean changed by 0.4",
        "batches": ["d/1/1", "d/1/2"],
    },
}


def column(table: Table, title: str) -> list[Cell]:
    """The cells below a head."""
    place = [head.title for head in table.heads].index(title)
    return [row[place] for row in table.rows]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "just now"),
        (0.4, "just now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (7_200, "2 h ago"),
        (86_400, "1 day ago"),
        (86_400 * 3.9, "3 days ago"),
    ],
)
def test_times_are_told_in_one_unit(seconds: float, words: str) -> None:
    """Rounded down to the largest unit that fits; a clock that is ahead does not give negative times."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_short_time_carries_the_exact_one() -> None:
    """The exact moment in UTC is the cell's hint; no time is a dash."""
    assert moment(NOW - timedelta(hours=1), NOW) == Cell("1 h ago", hint="2026-01-02 11:00:00 UTC")
    assert moment(None, NOW).text == "-"
    assert exact(NOW) == "2026-01-02 12:00:00 UTC"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (1_234_567, "1,234,567"), (64_012.7, "64,013"), (0.1273, "0.127"), (12.0, "12")],
)
def test_numbers_have_separators(value: float | None, text: str) -> None:
    """Thousands are set apart, small figures keep three digits, and what nobody knows is a dash."""
    assert figure(value) == text


def test_every_stage_has_its_place() -> None:
    """A stage that was not asked, one that does not answer, one that waits and one that is ready are told apart."""
    healths = {
        "poller": Health(trouble="nobody listens there"),
        "loader": health({"ready": False, "doing": "starting", "waits_for": {"mysql": "refused"}}),
        "drift": health({"ready": True, "doing": "waiting for batches", "waits_for": {}}),
    }
    shown = stages(healths, {}, {}, (), NOW)
    assert [stage.name for stage in shown] == list(STAGES)
    assert [stage.state.text for stage in shown][:4] == ["not in this run", "no answer", "not ready", "ready"]
    assert shown[1].doing == "nobody listens there"
    assert (shown[2].doing, shown[2].waits) == ("starting", "waits for mysql: refused")
    assert shown[3].doing == "waiting for batches"
    assert [stage.into for stage in shown] == ["", "data API", "batches", "batches", "retrain", "models"]


def test_before_the_first_answer_no_stage_is_said_to_be_away() -> None:
    """They are asked; that is no fault, and they are not left out of the run."""
    assert {stage.state.text for stage in stages(None, {}, {}, (), NOW)} == {"asking"}


def test_lag_is_a_number_only_where_it_is_known() -> None:
    """A consumer's lag counts records; one that nobody knows says so; a stage without a group has none."""
    lags = [stage.lag and stage.lag.text for stage in stages({}, {}, {"loader": 1_200, "drift": None}, (), NOW)]
    assert lags == [None, None, "1,200 behind", "lag unknown", "lag unknown", None]


def test_a_stage_shows_the_last_thing_it_did() -> None:
    """Of several topics the latest event counts; its type, id and time are shown. The first stage publishes none."""
    old, new = Deed("training.finished", "a", NOW - timedelta(minutes=1)), Deed("model.promoted", "b", NOW)
    assert newest([new, old, Deed("unreadable event", "c", None)]) is new
    shown = stages({}, {"trainer": old}, {}, (), NOW)
    assert shown[4].last == Cell("training.finished, 1 min ago", hint="2026-01-02 11:59:00 UTC", note="a")
    assert (shown[0].last, shown[1].last) == (None, Cell("nothing yet"))


def test_what_is_in_hand_is_at_work() -> None:
    """Lag, an opened batch, a training and a version to be served each set their stage to work, if it is ready."""
    opened = {"poller": Deed("batch.opened", "d/1/0/opened", NOW)}
    busy = at_work(opened, {"loader": 2, "drift": 0, "trainer": None}, training=True, serving=False)
    assert busy == {"poller", "loader", "trainer"}
    healths = {"poller": Health(ready=True), "loader": Health(ready=False)}
    assert [stage.name for stage in stages(healths, {}, {}, busy, NOW) if stage.busy] == ["poller"]


def test_a_batch_shows_its_counts_and_its_verdict_as_a_word() -> None:
    """Counts with separators, the rejected by reason in the hint, verdict and reason in words."""
    batch = Batch(
        3,
        4,
        "loaded",
        received=361_457,
        cleaned=361_400,
        rejected={"too cheap": 50, "a gap": 7},
        verdict="drift",
        reason="bed mean changed by 0.4",
        at=NOW,
    )
    (row,) = batch_table([batch], NOW).rows
    assert [cell.text for cell in row] == [
        "3/4", "loaded", "361,457", "361,400", "57", "drift", "bed mean changed by 0.4", "just now",
    ]  # fmt: skip
    assert row[4].hint == "too cheap: 50\na gap: 7"


def test_a_batch_that_never_arrived_has_no_counts_and_no_verdict() -> None:
    """What is not known is a dash, never 0; the finding says what happened."""
    (row,) = batch_table([Batch(1, 2, "missed", finding="missed: the API moved on")], NOW).rows
    assert [cell.text for cell in row] == ["1/2", "missed", "-", "-", "-", "-", "missed: the API moved on", "-"]


def test_a_loaded_batch_without_a_report_is_not_yet_judged() -> None:
    """No verdict is never shown as no drift; a finding stands below the reason."""
    loaded = Batch(1, 0, "loaded", received=5, cleaned=5)
    judged = Batch(1, 1, "loaded", received=5, cleaned=5, verdict="no drift", reason="all within", finding="odd")
    table = batch_table([loaded, judged], NOW)
    assert [cell.text for cell in column(table, "Verdict")] == ["not yet judged", "no drift"]
    assert (column(table, "Why")[1].text, column(table, "Why")[1].note) == ("all within", "odd")


def test_the_served_version_says_why_it_exists() -> None:
    """Decision, reason, batches and the drift report, each in a sentence."""
    model = served(MODEL)
    assert since(model, NOW) == Cell("loaded 2 min ago", hint="2026-01-02 11:58:00 UTC")
    assert why(model, NOW) == [
        "Version 4 became the champion by decision 7, 3 min ago.",
        "Asked for because: bed mean changed by 0.4.",
        "Batches that led to it: d/1/1, d/1/2.",
        "Drift report d/1/2/assessed led to request d/1/2/retrain.",
    ]


def test_a_version_found_in_the_registry_alone_says_so() -> None:
    """Without an event there are no causes, and the page says that instead of guessing."""
    model = served({**MODEL, "causes": None, "promoted_at": None, "promotion_seq": 0})
    assert why(model, NOW)[1] == "MLflow names it as the champion; no event that says why has been read yet."


def test_a_request_without_a_report_names_none() -> None:
    """A person may ask for a training: then there is a reason, and no drift report."""
    model = served({**MODEL, "causes": {"reason": "a person asked", "report": None, "batches": []}})
    assert why(model, NOW)[1:] == ["Asked for because: a person asked."]


def test_trainings_show_what_was_decided_and_which_version_serves() -> None:
    """A decision has its number, its MAE in the target's unit and a link; a training under way has its state."""
    trainings = [
        Training("planned", asked="bed mean changed by 0.4", batch="1/3", at=NOW),
        Training("promoted", 4, 7, {"mae": 61_000.4, "r2": 0.7754}, "better", "first of the epoch", "1/2", NOW),
    ]
    table = training_table(trainings, 4, "USD", "http://mlflow/#/models/d", NOW)
    under_way, decided = table.rows
    assert [cell.text for cell in under_way][:4] == ["-", "planned", "-", "-"]
    assert decided[0] == Cell("4", link="http://mlflow/#/models/d/versions/4", note="serving")
    assert column(table, "MAE (USD)")[1] == Cell("61,000", hint="mae: 61,000\nr2: 0.775")
    assert (decided[5].text, decided[5].note) == ("first of the epoch", "batch 1/2")
    assert training_table(trainings, None, "", "", NOW).rows[1][0] == Cell("4")
