"""The steps of the current batch."""

from datetime import UTC, datetime

import pytest

from veleta_monitor.domain.batch_progress import BatchProgress, current_batch
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import LastActivity
from veleta_monitor.domain.versions import ServedModel, Training

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
DRIFTED = Batch(1, 3, "loaded", cleaned=90, verdict="drift", reason="bed mean changed")
PROMOTED = Training("promoted", 4, 7, batch="1/3")


def served(version: int, seq: int) -> ServedModel:
    return ServedModel(version, seq, NOW, NOW, {}, None)


def steps(progress: BatchProgress | None) -> list[str]:
    """Each step as `name state note`."""
    assert progress is not None
    return [" ".join(filter(None, [step.name, step.state, step.note])) for step in progress.steps]


def test_before_the_first_batch_there_is_none() -> None:
    """Without any data there is no current batch."""
    assert current_batch([], [], None, None) is None


def test_an_opened_batch_is_shown_before_the_batch_table_has_it() -> None:
    """The poller's event is enough for an opened batch. As soon as the batch table has it, the table is used."""
    opened = LastActivity("batch.opened", "d/1/4/opened", NOW, (1, 4))
    progress = current_batch([DRIFTED], [], None, opened)
    assert steps(progress) == [
        "fetched done", "loaded current in progress", "assessed pending", "trained pending", "served pending",
    ]  # fmt: skip
    assert progress
    assert (progress.batch.name, progress.current_step, progress.headline) == ("1/4", "loaded", "Batch 1/4")
    in_table = current_batch([Batch(1, 4, "loaded", cleaned=5)], [], None, opened)
    assert steps(in_table)[1:3] == ["loaded done 5 rows", "assessed current in progress"]


@pytest.mark.parametrize(
    ("training", "model", "trained", "last"),
    [
        (None, None, "trained current requested", "served pending"),
        (Training("planned", batch="1/3"), None, "trained current planned", "served pending"),
        (Training("merged", batch="1/3"), None, "trained skipped merged", "served skipped not needed"),
        (Training("failed", batch="1/3"), None, "trained failed failed", "served skipped not needed"),
        (Training("rejected", 4, 7, batch="1/3"), None, "trained done version 4", "served skipped rejected"),
        (PROMOTED, None, "trained done version 4", "served current in progress"),
        (PROMOTED, served(3, 6), "trained done version 4", "served current in progress"),
        (PROMOTED, served(4, 7), "trained done version 4", "served done serving"),
        (PROMOTED, served(5, 8), "trained done version 4", "served done replaced"),
    ],
)
def test_a_batch_with_drift_leads_to_a_version(
    training: Training | None, model: ServedModel | None, trained: str, last: str
) -> None:
    """The last steps follow from the training's outcome and from the version that inference serves."""
    trainings = [training] if training else []
    shown = steps(current_batch([DRIFTED], trainings, model, None))
    assert shown == ["fetched done", "loaded done 90 rows", "assessed done drift", trained, last]


def test_rows_that_are_left_out_are_shown_at_the_step() -> None:
    """A batch without a clean row has failed to load, and is assessed nevertheless."""
    few = Batch(1, 4, "loaded", 100, 90, {"bed: below 1": 10}, verdict="no drift")
    none = Batch(1, 4, "loaded", 100, 0, {"bed: below 1": 100}, verdict="no drift")
    assert steps(current_batch([few], [], None, None))[1:3] == ["loaded done 90 of 100 rows", "assessed done no drift"]
    assert steps(current_batch([none], [], None, None))[1:3] == ["loaded failed no clean row", "assessed done no drift"]


def test_all_steps_of_a_lost_batch_are_skipped() -> None:
    """The first step failed, and the others are not expected."""
    progress = current_batch([Batch(1, 2, "missed")], [], None, None)
    assert steps(progress)[:2] == ["fetched failed missed", "loaded skipped"]
    assert progress
    assert progress.headline == "Waiting for the next batch. Last batch: 1/2"


def test_an_older_incomplete_batch_is_shown_before_a_newer_complete_one() -> None:
    """While a training runs, batches that need none can complete first."""
    stable = Batch(1, 4, "loaded", cleaned=90, verdict="no drift")
    progress = current_batch([stable, DRIFTED], [Training("fitted", batch="1/3")], None, None)
    assert progress
    assert (progress.batch.name, progress.current_step) == ("1/3", "trained")
    complete = current_batch([stable, DRIFTED], [PROMOTED], served(4, 7), None)
    assert complete
    assert complete.batch.name == "1/4"
    assert steps(complete)[3:] == ["trained skipped not needed", "served skipped not needed"]
