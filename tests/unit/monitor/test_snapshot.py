"""What the page derives from several sources."""

from support.monitor_states import STATES


def test_before_the_first_responses_nothing_is_derived() -> None:
    """There is no batch, no model, and every stage is being checked."""
    snapshot = STATES["loading"]
    assert (snapshot.batch, snapshot.model, snapshot.request_summary.count) == (None, None, None)
    assert {stage.state.text for stage in snapshot.stages} == {"checking"}


def test_a_running_training_makes_the_trainer_busy() -> None:
    """The lag and the progress of the training come from Kafka, the batch from MySQL."""
    snapshot = STATES["working"]
    assert [stage.name for stage in snapshot.stages if stage.busy] == ["trainer"]
    assert snapshot.batch
    assert (snapshot.batch.batch.name, snapshot.batch.current_step) == ("3/4", "trained")


def test_without_work_no_stage_is_busy() -> None:
    """The last activity of each stage remains: that of inference is the last stored prediction."""
    snapshot = STATES["calm"]
    assert [stage.name for stage in snapshot.stages if stage.busy] == []
    (inference,) = (stage for stage in snapshot.stages if stage.name == "inference")
    assert inference.last
    assert inference.last.text.startswith("prediction stored, ")


def test_the_last_values_remain_while_their_sources_are_unavailable() -> None:
    """Kafka and MySQL are unavailable, and so is the trainer: a stage without a response is not busy."""
    snapshot = STATES["stale"]
    assert snapshot.batch == STATES["working"].batch
    assert [stage.name for stage in snapshot.stages if stage.busy] == []
