"""What ends a start at once, and what does not."""

from datetime import UTC, datetime, timedelta

import pytest

from veleta.events.catalogue import (
    BatchClosed,
    BatchRefused,
    Causes,
    ModelPromoted,
    Payload,
    RecordDeadlettered,
    TrainingFailed,
)
from veleta_local.start_failures import FailureDetector

BEGAN = datetime(2026, 11, 27, 10, tzinfo=UTC)
BATCH = {"dataset": "homes", "epoch": 1, "number": 0}
FAILED = TrainingFailed(request_id="homes/1/0/retrain", reason="12 clean rows are too few")
CLOSED = BatchClosed(**BATCH, rows=1, chunks=1, digest="d", dataset_digest="d", ranges=[])
PROMOTED = ModelPromoted(
    model="homes",
    version=1,
    run_id="r",
    seq=1,
    previous=None,
    reason="first",
    native="models:/n",
    metrics={},
    causes=Causes(training="t", request="r", report=None, reason="first", batches=[]),
)
LETTER = RecordDeadlettered(
    service="loader",
    reason="KeyError",
    error="KeyError: 'bed'",
    topic="homes.batches",
    partition=0,
    offset=3,
    first_key="k",
    headers={},
    value="",
)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def refused(status: int, reason: str = "GET /data answered 404 Not Found: is API_URL right?") -> BatchRefused:
    return BatchRefused(**BATCH, reason=reason, status=status, body="1.json")


def detector(*events: tuple[float, Payload], has_model: bool = False) -> FailureDetector:
    """A detector after these events, each with its seconds."""
    made = FailureDetector(has_model=has_model)
    for seconds, payload in events:
        made.on_event(payload, after(seconds))
    return made


def test_a_start_without_a_failure_goes_on() -> None:
    """However long it takes: the time-out is not decided here."""
    assert detector((0, CLOSED)).failure(after(500)) == ""


def test_a_part_that_ends_twice_for_one_reason_will_not_start() -> None:
    """Numbers in the reason, as process ids and times, may differ. The name of the part is not repeated."""
    made = detector()
    made.on_exits("loader", ["loader: no lease of 11"])
    assert made.failure(BEGAN) == ""
    made.on_exits("loader", ["loader: no lease of 11", "loader: no lease of 12"])
    assert made.failure(BEGAN) == "loader ended 2 times: no lease of 12"


def test_a_part_that_ends_for_two_reasons_is_started_again() -> None:
    """The first one may have been an outage. Two ends of two parts do not count either."""
    made = detector()
    made.on_exits("drift", ["Faust crashed", "kafka is gone"])
    made.on_exits("loader", ["kafka is gone"])
    assert made.failure(BEGAN) == ""
    made.on_exits("drift", ["Faust crashed", "kafka is gone", "kafka is gone"])
    assert made.failure(BEGAN) == "drift ended 2 times: kafka is gone"


@pytest.mark.failure("F161")
@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (FAILED, "training 1/0 failed: 12 clean rows are too few"),
        (LETTER, "loader cannot process a record of homes.batches: KeyError: 'bed'"),
    ],
)
def test_a_failure_before_the_first_model_ends_the_start(event: Payload, failure: str) -> None:
    """A run that has a model serves it, so it becomes ready."""
    assert detector((1, event)).failure(BEGAN) == failure
    assert detector((1, event), has_model=True).failure(BEGAN) == ""
    assert detector((1, event), (2, PROMOTED)).failure(BEGAN) == ""


def test_a_failed_training_is_shown_before_its_dead_letter() -> None:
    """Both are published; the first one has the reason in words."""
    assert detector((1, LETTER), (1, FAILED)).failure(BEGAN).startswith("training 1/0 failed")


@pytest.mark.parametrize("status", [200, 302, 400, 404, 422])
def test_an_api_that_answers_wrongly_only_refuses(status: int) -> None:
    """After the second answer, or ten seconds after the first: the next one may be a minute away."""
    once = detector((1, refused(status)))
    assert (once.failure(after(10)), once.failure(after(11))) == ("", refused(status).reason)
    assert detector((1, refused(status)), (6, refused(status))).failure(after(6)) == refused(status).reason


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_temporary_refusal_needs_two_answers_and_twenty_seconds(status: int) -> None:
    """An API that is restarted, or that limits its clients, answers again."""
    assert detector((1, refused(status))).failure(after(100)) == ""
    twice = detector((1, refused(status)), (3, refused(status, "GET /data answered 503")))
    assert (twice.failure(after(20)), twice.failure(after(21))) == ("", "GET /data answered 503")


def test_an_api_that_served_a_batch_may_refuse() -> None:
    """The next epoch contains the batch again."""
    assert detector((1, CLOSED), (2, refused(404)), (3, refused(404))).failure(after(60)) == ""
    assert detector((1, refused(404)), (2, CLOSED)).failure(after(60)) == ""


def test_an_unreachable_api_ends_the_start_after_fifteen_seconds() -> None:
    """From the first time on, whatever the reason becomes; an API that was reached again starts anew."""
    made = detector()
    made.on_health("poller", {"api": "api: connection refused"}, after(0))
    made.on_health("poller", {"api": "api: no route"}, after(14))
    assert (made.failure(after(14)), made.failure(after(15))) == ("", "api: no route")
    made.on_health("poller", {}, after(16))
    made.on_health("poller", {"api": "api: no route"}, after(17))
    assert made.failure(after(20)) == ""


def test_a_run_with_rows_waits_for_its_api() -> None:
    """Its first model needs no further batch."""
    made = FailureDetector(has_rows=True)
    made.on_health("poller", {"api": "api: no route"}, after(0))
    made.on_event(refused(404), after(1))
    assert made.failure(after(100)) == ""


def test_a_trainer_that_cannot_plan_ends_the_start() -> None:
    """It repeats the plan for ever, because its requests are not the cause. Other dependencies come up."""
    made = detector()
    made.on_health("trainer", {"planning": "planning: KeyError", "mlflow": "mlflow: refused"}, after(0))
    assert (made.failure(after(14)), made.failure(after(15))) == ("", "planning: KeyError")
    made.on_health("trainer", {"mlflow": "mlflow: refused"}, after(16))
    assert made.failure(after(100)) == ""


def test_a_service_that_stopped_consuming_ends_the_start() -> None:
    """It is not ready until it is restarted, also in a run that has a model."""
    made = detector(has_model=True)
    made.on_health("loader", {"mysql": "mysql: refused"}, after(0))
    assert made.failure(after(1)) == ""
    made.on_health("loader", {"loader": "3 consecutive dead letters for one reason: KeyError"}, after(2))
    assert made.failure(after(2)) == "loader stopped: 3 consecutive dead letters for one reason: KeyError"
