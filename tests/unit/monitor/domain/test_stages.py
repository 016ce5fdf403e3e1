"""The stages of the loop."""

from datetime import UTC, datetime, timedelta

import pytest

from veleta_local.deployment import SERVICES
from veleta_monitor.domain.stages import (
    STAGES,
    LastActivity,
    ServiceStatus,
    busy_stages,
    latest,
    notices,
    parse_status,
    stages,
)
from veleta_monitor.domain.table import Cell

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def test_every_stage_has_a_state() -> None:
    """A stage that is not deployed, one without a response, one that waits and one that is ready look different."""
    services = {
        "poller": ServiceStatus(error="cannot connect"),
        "loader": parse_status({"ready": False, "doing": "starting", "waits_for": {"mysql": "refused"}}),
        "drift": parse_status({"ready": True, "doing": "waiting for batches", "waits_for": {}}),
    }
    shown = stages(services, {}, {}, (), NOW)
    assert [stage.name for stage in shown] == list(STAGES)
    assert [stage.state.text for stage in shown][:4] == ["not deployed", "no response", "not ready", "ready"]
    assert shown[1].activity == "cannot connect"
    assert (shown[2].activity, shown[2].unavailable) == ("starting", "waiting for mysql: refused")
    assert shown[3].activity == "waiting for batches"
    assert [stage.input for stage in shown] == ["", "data API", "batches", "batches", "retrain", "models", ""]


@pytest.mark.failure("F239")
def test_each_service_is_a_stage() -> None:
    """So that the page shows the one that hangs. The monitor itself is the page."""
    assert {*STAGES, "monitor"} == set(SERVICES)


def test_the_warnings_of_a_service_are_read() -> None:
    """The page shows each of them as a notice. A service without warnings, or of an older version, has none."""
    assert parse_status({"ready": True, "warnings": {"rows": "9 of 12"}}).warnings == {"rows": "9 of 12"}
    assert parse_status({"ready": True}).warnings == {}


def test_warnings_and_an_api_that_only_refuses_are_notices() -> None:
    """Other unavailable dependencies are shown at their stage: most of them come back without a person."""
    services = {
        "poller": ServiceStatus(unavailable={"api": "GET /data answered 404 Not Found", "kafka": "refused"}),
        "loader": ServiceStatus(ready=True, warnings={"rows": "batch 1/0 has no clean row"}),
    }
    assert notices(services) == [
        "loader: batch 1/0 has no clean row",
        "No batch arrives: GET /data answered 404 Not Found",
    ]


def test_before_the_first_responses_no_stage_is_shown_as_unavailable() -> None:
    """All stages are being checked. That is no error, and none is shown as not deployed."""
    assert {stage.state.text for stage in stages(None, {}, {}, (), NOW)} == {"checking"}


def test_only_a_known_lag_is_a_number() -> None:
    """A lag counts records. An unknown lag is shown as unknown, and a stage without a consumer group has none."""
    lags = [stage.lag and stage.lag.text for stage in stages({}, {}, {"loader": 1_200, "drift": None}, (), NOW)]
    assert lags == [None, None, "lag 1,200", "lag unknown", "lag unknown", None, None]


def test_a_stage_shows_its_last_activity() -> None:
    """The latest event of several topics counts. Its type, id and time are shown. The first stage publishes none."""
    old = LastActivity("training.finished", "a", NOW - timedelta(minutes=1))
    new = LastActivity("model.promoted", "b", NOW)
    assert latest([new, old, LastActivity("unreadable event", "c", None)]) is new
    shown = stages({}, {"trainer": old}, {}, (), NOW)
    assert shown[4].last == Cell("training.finished, 1 min ago", hint="2026-01-02 11:59:00 UTC", note="a")
    assert (shown[0].last, shown[1].last) == (None, Cell("no activity yet"))


def test_a_ready_stage_with_work_is_busy() -> None:
    """A lag, an open batch, a training and a version to load each make their stage busy."""
    opened = {"poller": LastActivity("batch.opened", "d/1/0/opened", NOW)}
    busy = busy_stages(opened, {"loader": 2, "drift": 0, "trainer": None}, training=True, loading_model=False)
    assert busy == {"poller", "loader", "trainer"}
    services = {"poller": ServiceStatus(ready=True), "loader": ServiceStatus(ready=False)}
    assert [stage.name for stage in stages(services, {}, {}, busy, NOW) if stage.busy] == ["poller"]
