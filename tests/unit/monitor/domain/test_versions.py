"""The served version and the table of trainings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from veleta_monitor.domain.table import Cell
from veleta_monitor.domain.versions import Training, estimate_sentence, parse_model, promotion_sentences, training_table

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


def test_the_served_version_shows_why_it_was_promoted() -> None:
    """Decision, reason, batches and drift report are one sentence each."""
    model = parse_model(MODEL)
    assert model.loaded_at == datetime(2026, 1, 2, 11, 58, 0, tzinfo=UTC)
    assert promotion_sentences(model, NOW) == [
        "Version 4 became the champion by decision 7, 3 min ago.",
        "Reason for the training: bed mean changed by 0.4.",
        "Batches that caused it: d/1/1, d/1/2.",
        "Drift report d/1/2/assessed led to training request d/1/2/retrain.",
    ]


def test_a_version_without_an_event_shows_no_reason() -> None:
    """A version that inference found in MLflow has no causes, and the page shows that."""
    model = parse_model({**MODEL, "causes": None, "promoted_at": None, "promotion_seq": 0})
    assert promotion_sentences(model, NOW) == [
        "Version 4 became the champion by decision 0.",
        "Inference found it in MLflow. It has not yet read an event that gives the reason.",
    ]


def test_a_request_without_a_drift_report_shows_none() -> None:
    """A training that a person requested has a reason, and no drift report."""
    model = parse_model({**MODEL, "causes": {"reason": "a person asked", "report": None, "batches": []}})
    assert promotion_sentences(model, NOW)[1:] == ["Reason for the training: a person asked."]


def test_the_estimate_is_one_sentence() -> None:
    """Or the reason why there is none. Inference of an earlier release says nothing of it."""
    figures = {"rows": 1_000, "expected_error": 0.1436, "outside": 0.031, "outside_of_holdout": 0.0249}
    assert estimate_sentence(parse_model({**MODEL, "estimate": figures})) == (
        "Expected error of the last 1,000 predicted rows: 14 %, "
        "3 % of them (2 % of its holdout) outside what the model has learnt."
    )
    few = parse_model({**MODEL, "estimate": {"reason": "12 rows were predicted"}})
    assert estimate_sentence(few) == "No expected error: 12 rows were predicted."
    assert estimate_sentence(parse_model(MODEL)) == ""


def test_a_promotion_by_command_names_the_person() -> None:
    """The served version and the table do. A decision of the trainer names nobody."""
    model = parse_model({**MODEL, "actor": "ana", "reason": "instead of version 3: it was better"})
    assert promotion_sentences(model, NOW)[1:] == [
        "ana made it the champion by a command: instead of version 3: it was better."
    ]
    made = [Training("rolled back", 4, 7, actor="ana"), *(Training("x", actor=name) for name in ("trainer", "outside"))]
    assert [row[1].note for row in training_table(made, 4, "", "", NOW).rows] == ["by ana", "", ""]


def test_the_table_shows_decisions_and_the_served_version() -> None:
    """A decision has its number, its MAE in the target's unit and a link. A running training has its state."""
    trainings = [
        Training("planned", request_reason="bed mean changed by 0.4", batch="1/3", updated_at=NOW),
        Training("promoted", 4, 7, {"mae": 61_000.4, "r2": 0.7754}, "better", "first of the epoch", "1/2", NOW),
    ]
    table = training_table(trainings, 4, "USD", "http://mlflow/#/models/d", NOW)
    running, decided = table.rows
    assert [cell.text for cell in running][:4] == ["-", "planned", "-", "-"]
    assert decided[0] == Cell("4", link="http://mlflow/#/models/d/versions/4", note="served")
    assert table.columns[3].title == "MAE (USD)"
    assert decided[3] == Cell("61,000", hint="mae: 61,000\nr2: 0.775")
    assert (decided[5].text, decided[5].note) == ("first of the epoch", "batch 1/2")
    assert training_table(trainings, None, "", "", NOW).rows[1][0] == Cell("4")


def test_a_version_shows_whether_it_helped() -> None:
    """Below its outcome, and below the person who promoted it."""
    helped = "helped: MAE -3.2 % on batch 2/3"
    made = [
        Training("promoted", 4, 7, actor="trainer", effect=helped),
        Training("promoted", actor="ana", effect=helped),
    ]
    assert [row[1].note for row in training_table(made, 4, "", "", NOW).rows] == [helped, f"by ana\n{helped}"]
