"""The messages of the demo for each event."""

from datetime import UTC, date, datetime, timedelta

import pytest

from veleta.events import catalogue
from veleta.events.envelope import Event
from veleta.topics import declared_topics
from veleta_local.demo.event_messages import EventMessages, Level, Message, loaded_message

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BATCH = {"dataset": "homes", "epoch": 1, "number": 4}
REQUEST = {"request_id": "homes/1/4/retrain"}
CAUSES = catalogue.Causes(training="t", request="r", report=None, reason="first of the epoch", batches=[])
MODEL = {"model": "homes", "version": 3, "run_id": "abc"}
LETTER = {
    "error": "",
    "topic": "homes.batches",
    "partition": 0,
    "offset": 7,
    "first_key": "",
    "headers": {},
    "value": "",
}
MESSAGES: list[tuple[catalogue.Payload, str, str, Level]] = [
    (catalogue.BatchOpened(**BATCH, rows=1476, digest="d"), "batch 1/4", "fetched: 1,476 rows", "info"),
    (
        catalogue.BatchClosed(**BATCH, rows=1476, chunks=1, digest="d", dataset_digest="e", ranges=[]),
        "batch 1/4",
        "published: 1,476 rows",
        "info",
    ),
    (
        catalogue.BatchClosed(
            **BATCH, rows=2, chunks=1, digest="d", dataset_digest="e", ranges=[], findings=["odd", "so"]
        ),
        "batch 1/4",
        "published: 2 rows; odd; so",
        "warning",
    ),
    (catalogue.BatchRefused(**BATCH, reason="no JSON", status=200, body="f"), "batch 1/4", "refused: no JSON", "error"),
    (
        catalogue.RetrainJudged(
            **BATCH, version=3, previous=2, rows=80, mae=9, previous_mae=10, change=-0.1, p_value=0.01, verdict="helped"
        ),
        "batch 1/4",
        "the training of version 3: helped (MAE -10.0% against version 2)",
        "info",
    ),
    (
        catalogue.RollbackProposed(**BATCH, version=3, previous=2, reason="MAE 10 against 9"),
        "batch 1/4",
        "rollback to version 2 proposed: MAE 10 against 9",
        "warning",
    ),
    (catalogue.BatchMissed(**BATCH, reason="the API moved on"), "batch 1/4", "missed: the API moved on", "error"),
    (
        catalogue.DriftAssessed(
            **BATCH, previous=3, verdict="drift", reason="mean by 0.4", policy="", threshold=0.1, dataset_digest=""
        ),
        "batch 1/4",
        "drift: mean by 0.4",
        "warning",
    ),
    (
        catalogue.DriftAssessed(
            **BATCH,
            previous=3,
            verdict="no drift",
            reason="no change",
            policy="",
            threshold=0.1,
            dataset_digest="",
            findings=["volume: 2 rows", "so"],
        ),
        "batch 1/4",
        "no drift: no change; volume: 2 rows; so",
        "warning",
    ),
    (
        catalogue.RetrainRequested(**BATCH, reason="drift", first=False, batches=["homes/1/3", "homes/1/4"]),
        "batch 1/4",
        "training requested: drift",
        "info",
    ),
    (catalogue.TrainingStarted(**REQUEST, recipe={}), "training 1/4", "started", "info"),
    (
        catalogue.TrainingMerged(**REQUEST, into="homes/1/5/retrain"),
        "training 1/4",
        "merged into training 1/5",
        "detail",
    ),
    (
        catalogue.IntervalsAdjusted(
            **MODEL, epoch=1, number=4, rows=1400, coverage=0.664, level_before=0.8, level=0.8933
        ),
        "version 3",
        "intervals had 66% of 1,400 prices of 1/4: level 0.80 -> 0.89",
        "detail",
    ),
    (catalogue.TrainingSkipped(**REQUEST, reason="no news"), "training 1/4", "skipped: no news", "detail"),
    (catalogue.TrainingFailed(**REQUEST, reason="too few rows"), "training 1/4", "failed: too few rows", "error"),
    (
        catalogue.ModelRegistered(**MODEL, recipe={}, native="models:/n", metrics={"mae": 54399.4}),
        "version 3",
        "registered: MAE 54,399",
        "info",
    ),
    (
        catalogue.ModelPromoted(
            **MODEL, seq=3, previous=2, reason="better", native="models:/n", metrics={}, causes=CAUSES
        ),
        "version 3",
        "promoted: better",
        "success",
    ),
    (
        catalogue.ModelRejected(**MODEL, seq=3, champion=2, reason="worse", metrics={}, causes=CAUSES),
        "version 3",
        "rejected, version 2 stays champion: worse",
        "warning",
    ),
    (catalogue.Poll(dataset="homes", actor="ana", reason="to see"), "polling", "poll requested by ana: to see", "info"),
    (catalogue.Pause(dataset="homes", actor="ana"), "polling", "pause requested by ana", "info"),
    (catalogue.Pause(dataset="homes", actor="ana", address="::1"), "polling", "pause requested by ana at ::1", "info"),
    (catalogue.Resume(dataset="homes", actor="ana"), "polling", "resume requested by ana", "info"),
    (catalogue.CommandAccepted(dataset="homes", command="c", effect="resumed"), "polling", "resumed", "success"),
    (catalogue.Retrain(dataset="homes", actor="ana"), "trainer", "retrain requested by ana", "info"),
    (catalogue.Promote(dataset="homes", actor="ana", version=2), "trainer", "promote requested by ana", "info"),
    (catalogue.Rollback(dataset="homes", actor="ana"), "trainer", "rollback requested by ana", "info"),
    (catalogue.Cancel(dataset="homes", actor="ana"), "trainer", "cancel requested by ana", "info"),
    (
        catalogue.LevelUpdated(
            model="homes",
            version=4,
            run_id="r",
            seq=7,
            period=date(2014, 11, 1),
            as_of=date(2014, 11, 28),
            rows=480,
            value=0.07,
            error=0.005,
            outcome="moved",
            reason="level +1.8%",
            cause="homes/1/4/closed",
        ),
        "version 4",
        "prices of 2014-11 x 1.073 ± 0.005: moved, level +1.8%",
        "info",
    ),
    (
        catalogue.LevelUpdated(
            model="homes",
            version=4,
            run_id="r",
            seq=8,
            period=date(2014, 11, 1),
            as_of=date(2014, 11, 28),
            rows=480,
            value=0.0,
            error=0.0,
            outcome="waiting",
            reason="too far",
            cause="homes/1/5/closed",
            waiting=6.9,
        ),
        "version 4",
        "prices of 2014-11 x 1.000 ± 0.000: waiting, too far",
        "warning",
    ),
    (
        catalogue.PinLevel(dataset="homes", actor="ana", factor=1.07),
        "level",
        "pin_level requested by ana",
        "info",
    ),
    (
        catalogue.AcceptLevel(dataset="homes", actor="ana", reason="a crash"),
        "level",
        "accept_level requested by ana: a crash",
        "info",
    ),
    (catalogue.ResetLevel(dataset="homes", actor="ana"), "level", "reset_level requested by ana", "info"),
    (
        catalogue.CommandAccepted(dataset="homes", command="homes/cancel/1", effect="cancelled"),
        "trainer",
        "cancelled",
        "success",
    ),
    (
        catalogue.CommandRefused(dataset="homes", command="c", reason="at the end"),
        "polling",
        "refused: at the end",
        "error",
    ),
    (
        catalogue.RecordDeadlettered(**LETTER, service="loader", reason="no JSON"),
        "dead letter",
        "loader: no JSON (make dead shows it)",
        "error",
    ),
]
SILENT = {catalogue.DatasetDeclared, catalogue.BatchRows, catalogue.TrainingFinished}
"""Other messages contain the same as these. Progress has tests of its own."""


def message(messages: EventMessages, payload: catalogue.Payload, seconds: float = 0) -> Message | None:
    return messages.on_event(Event(str(payload), "test", NOON + timedelta(seconds=seconds), payload))


@pytest.mark.parametrize(
    ("payload", "subject", "text", "level"), MESSAGES, ids=lambda value: getattr(value, "TYPE", "")
)
def test_each_event_has_its_message(payload: catalogue.Payload, subject: str, text: str, level: Level) -> None:
    """Subject, text and level."""
    assert message(EventMessages(), payload) == Message(NOON, subject, text, level)


def test_every_declared_event_has_a_message_or_is_silent() -> None:
    """A new event needs an entry here."""
    covered = {type(payload) for payload, *_ in MESSAGES} | SILENT | {catalogue.TrainingProgress}
    assert {event for topic in declared_topics("homes") for event in topic.events} == covered


def test_an_event_that_a_topic_has_twice_has_one_message() -> None:
    """A service that was killed after a publication publishes again, with the same id."""
    messages, opened = EventMessages(), catalogue.BatchOpened(**BATCH, rows=1, digest="d")
    assert message(messages, opened)
    assert message(messages, opened) is None


def test_progress_has_one_message_for_each_phase_and_a_pace() -> None:
    """Ten trees in five seconds: the other ninety need 45 seconds, less the time since the last progress."""
    messages = EventMessages()
    assert message(messages, catalogue.TrainingProgress(**REQUEST, phase="fitting", done=0, of=100)) == Message(
        NOON, "training 1/4", "fitting", "detail"
    )
    assert messages.training is not None
    assert messages.training.seconds_left(NOON) is None
    assert message(messages, catalogue.TrainingProgress(**REQUEST, phase="fitting", done=10, of=100), 5) is None
    assert messages.training.seconds_left(NOON + timedelta(seconds=5)) == pytest.approx(45)
    assert messages.training.seconds_left(NOON + timedelta(seconds=15)) == pytest.approx(35)
    assert messages.training.seconds_left(NOON + timedelta(seconds=500)) == 0
    assert message(messages, catalogue.TrainingProgress(**REQUEST, phase="explaining", done=0, of=1), 60) == Message(
        NOON + timedelta(seconds=60), "training 1/4", "explaining", "detail"
    )


@pytest.mark.parametrize(
    "end",
    [
        catalogue.TrainingFinished(**REQUEST, run_id="abc", version=3, decision="promoted", metrics={}),
        catalogue.TrainingFailed(**REQUEST, reason="too few rows"),
    ],
    ids=lambda end: end.TYPE,
)
def test_an_ended_training_is_not_the_running_one(end: catalogue.Payload) -> None:
    """After success and after failure."""
    messages = EventMessages()
    message(messages, catalogue.TrainingProgress(**REQUEST, phase="fitting", done=0, of=100))
    message(messages, end)
    assert messages.training is None


@pytest.mark.failure("F173")
@pytest.mark.parametrize(
    ("cleaned", "rejected", "text", "level"),
    [
        (400, None, "loaded: 400 clean rows", "info"),
        (
            388,
            {"bed: below 1": 12},
            "loaded: 388 clean rows; 12 of 400 rows are left out (3 %): bed: below 1 12",
            "info",
        ),
        (
            0,
            {"price: no value": 400},
            "loaded: 0 clean rows; 400 of 400 rows are left out (100 %): price: no value 400",
            "warning",
        ),
    ],
)
def test_a_loaded_batch_shows_the_rows_that_are_left_out(
    cleaned: int, rejected: dict[str, int] | None, text: str, level: str
) -> None:
    """More than a fifth is a warning."""
    row = {
        "epoch": 1,
        "number": 3,
        "received": 400,
        "cleaned": cleaned,
        "rejected": rejected,
        "loaded_at": NOON.replace(tzinfo=None),
    }
    message = loaded_message(row)
    assert (message.subject, message.text, message.level, message.at.tzinfo) == ("batch 1/3", text, level, UTC)
