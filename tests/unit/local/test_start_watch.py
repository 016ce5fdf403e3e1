"""What a start observes, and what it shows while it waits."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.twins.shared import MemoryLog
from veleta.errors import Retry
from veleta.events.catalogue import Payload, TrainingFailed, TrainingStarted
from veleta.events.envelope import Event, Message, encode
from veleta_local import start_watch
from veleta_local.attempts import Attempts
from veleta_local.deployment import Deployment
from veleta_local.errors import StartFailed
from veleta_local.health import Health
from veleta_local.processes import start_mark
from veleta_local.start_watch import StartWatch, WaitingLines
from veleta_local.variables import Variables

REQUEST = "real_estate/1/0/retrain"
FAILED = TrainingFailed(request_id=REQUEST, reason="12 clean rows are too few")
EXIT = """\
2026-11-27 10:00:00,002 INFO spawned: 'loader' with pid {pid}
2026-11-27 10:00:02,002 WARN exited: loader (exit status 1; not expected)
"""


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """The log that a watch follows."""
    made = MemoryLog()
    monkeypatch.setattr(start_watch, "KafkaLog", lambda *_: made)
    return made


def publish(log: MemoryLog, topic: str, payload: Payload) -> None:
    log.publish([encode(f"real_estate.{topic}", Event("id", "test", datetime.now(UTC), payload))])


def watch(deployment: Deployment) -> StartWatch:
    deployment.folder("logs")
    return StartWatch(deployment, Attempts(deployment))


def test_only_events_after_the_start_began_count(tmp_path: Path, log: MemoryLog) -> None:
    """A training that failed in an earlier start does not end this one. A record that cannot be read is skipped."""
    publish(log, "training", FAILED)
    watching = watch(Deployment(tmp_path))
    watching.check({})
    watching.follow_events()
    publish(log, "training", TrainingStarted(request_id=REQUEST, recipe={}))
    log.publish([Message("real_estate.training", "k", (), b"rubbish")])
    watching.check({})
    publish(log, "training", FAILED)
    with pytest.raises(StartFailed, match=r"^the start failed: training 1/0 failed: 12 clean rows are too few$"):
        watching.check({})
    watching.close()


def test_a_run_that_has_a_model_becomes_ready_without_a_training(tmp_path: Path, log: MemoryLog) -> None:
    """Its topic `models` has events."""
    log.publish([Message("real_estate.models", "k", (), b"promoted")])
    watching = watch(Deployment(tmp_path))
    watching.follow_events()
    publish(log, "training", FAILED)
    watching.check({})


def test_only_ends_after_the_start_began_count(tmp_path: Path) -> None:
    """From supervisord's log; the reason is from the log of the part."""
    deployment = Deployment(tmp_path)
    deployment.folder("logs")
    deployment.log("supervisord").write_text(EXIT.format(pid=1) + EXIT.format(pid=2))
    watching = watch(deployment)
    watching.check({})
    outputs = [f"{start_mark('loader', pid)}\nloader: no room" for pid in (1, 2, 3, 4)]
    deployment.log("loader").write_text("\n".join(outputs))
    with deployment.log("supervisord").open("a") as supervisord:
        supervisord.write(EXIT.format(pid=3))
        supervisord.flush()
        watching.check({})
        supervisord.write(EXIT.format(pid=4))
    with pytest.raises(StartFailed, match=r"^the start failed: loader ended 2 times: no room$"):
        watching.check({})


def test_kafka_may_be_down_for_a_moment(tmp_path: Path, log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end in supervisord's log would be the failure. It must be up when the events are followed."""
    watching = watch(Deployment(tmp_path))
    watching.follow_events()

    def refuse(*_: object) -> None:
        raise Retry("kafka", "gone")

    monkeypatch.setattr("support.twins.shared._MemorySubscription.poll", refuse)
    watching.check({})
    monkeypatch.setattr(log, "bounds", refuse)
    with pytest.raises(StartFailed, match=r"^the start failed: kafka: gone$"):
        watching.follow_events()


def test_an_external_api_is_asked_through_the_poller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its /readyz names why it cannot use the API. The service `source` is not an external API."""
    reports = {"poller": Health(ready=False, waits_for={"api": "api: connection refused"})}
    monkeypatch.setattr("veleta_local.start_failures.BLOCKED_SECONDS", timedelta())
    watch(Deployment(tmp_path / "own")).check(reports)
    with pytest.raises(StartFailed, match=r"^the start failed: api: connection refused$"):
        watch(Deployment(tmp_path / "external", Variables(api_url="http://x"))).check(reports)


def waiting(reason: str) -> Health:
    return Health(ready=False, doing="starting", waits_for={"model": reason})


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines without a pause between them."""
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 0.0)
    return []


def test_a_line_is_shown_when_what_a_part_waits_for_changes(lines: list[str]) -> None:
    """Once. A part that waits for nothing shows what it does."""
    shown = WaitingLines(lines.append)
    for text in ("no model yet: training 1/0 is at tree 0 of 500", "no model yet: training 1/0 is at tree 25 of 500"):
        shown.show({"inference": waiting(text), "source": Health(ready=False, doing="splitting")})
        shown.show({"inference": waiting(text)})
    assert lines == [
        "inference: no model yet: training 1/0 is at tree 0 of 500",
        "source: splitting",
        "inference: no model yet: training 1/0 is at tree 25 of 500",
    ]


def test_a_part_has_one_line_in_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones, while everything starts, are not shown."""
    lines: list[str] = []
    shown = WaitingLines(lines.append)
    shown.show({"inference": waiting("not yet started")})
    assert lines == []
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 0.0)
    shown.show({"inference": waiting("not yet started")})
    monkeypatch.setattr(start_watch, "LINE_SECONDS", 60.0)
    shown.show({"inference": waiting("no model yet")})
    assert lines == ["inference: not yet started"]


def test_a_line_names_the_dependency_and_is_short(lines: list[str]) -> None:
    """Most reasons begin with the dependency."""
    shown = WaitingLines(lines.append)
    waits = {"start": "not yet started", "lease": "not yet requested", "mlflow": f"mlflow: {'x' * 200}"}
    shown.show({"trainer": Health(ready=False, waits_for=waits)})
    assert lines == [f"trainer: not yet started; lease not yet requested; mlflow: {'x' * 200}"[:109] + "…"]
