"""The batch in flight, and how far it came."""

from datetime import UTC, datetime

import pytest

from veleta_monitor.domain.batch_progress import Flight, newest_flight
from veleta_monitor.domain.batches import Batch
from veleta_monitor.domain.stages import Deed
from veleta_monitor.domain.versions import Served, Training

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
DRIFTED = Batch(1, 3, "loaded", cleaned=90, verdict="drift", reason="bed mean changed")
PROMOTED = Training("promoted", 4, 7, batch="1/3")


def served(version: int, seq: int) -> Served:
    return Served(version, seq, NOW, NOW, {}, None)


def told(flight: Flight | None) -> list[str]:
    """Each step as `name progress note`."""
    assert flight is not None
    return [" ".join(filter(None, [step.name, step.progress, step.note])) for step in flight.steps]


def test_before_the_first_batch_there_is_none() -> None:
    """Nothing is made up."""
    assert newest_flight([], [], None, None) is None


def test_the_topic_knows_a_batch_before_the_ledger() -> None:
    """A batch that was opened is taken, though the loader has not noted it; once it has, the ledger counts."""
    opened = Deed("batch.opened", "d/1/4/opened", NOW, (1, 4))
    flight = newest_flight([DRIFTED], [], None, opened)
    assert told(flight) == ["taken done", "stored now now", "judged ahead", "trained ahead", "served ahead"]
    assert flight
    assert (flight.batch.name, flight.at, flight.headline) == ("1/4", "stored", "Batch 1/4")
    ahead = newest_flight([Batch(1, 4, "loaded", cleaned=5)], [], None, opened)
    assert told(ahead)[1:3] == ["stored done 5 rows", "judged now now"]


@pytest.mark.parametrize(
    ("training", "model", "trained", "last"),
    [
        (None, None, "trained now asked for", "served ahead"),
        (Training("planned", batch="1/3"), None, "trained now planned", "served ahead"),
        (Training("merged", batch="1/3"), None, "trained passed merged", "served passed no need"),
        (Training("failed", batch="1/3"), None, "trained failed failed", "served passed no need"),
        (Training("rejected", 4, 7, batch="1/3"), None, "trained done version 4", "served passed rejected"),
        (PROMOTED, None, "trained done version 4", "served now now"),
        (PROMOTED, served(3, 6), "trained done version 4", "served now now"),
        (PROMOTED, served(4, 7), "trained done version 4", "served done answers"),
        (PROMOTED, served(5, 8), "trained done version 4", "served done replaced since"),
    ],
)
def test_a_batch_that_drifted_leads_to_a_version(
    training: Training | None, model: Served | None, trained: str, last: str
) -> None:
    """Training and serving go by the ledger's outcome and by what inference says."""
    trainings = [training] if training else []
    steps = told(newest_flight([DRIFTED], trainings, model, None))
    assert steps == ["taken done", "stored done 90 rows", "judged done drift", trained, last]


def test_a_batch_that_never_arrived_goes_no_further() -> None:
    """Its first step failed, and the others are not awaited."""
    flight = newest_flight([Batch(1, 2, "missed")], [], None, None)
    assert told(flight)[:2] == ["taken failed missed", "stored passed"]
    assert flight
    assert flight.headline == "Waiting for the next batch. The last one: 1/2"


def test_an_older_batch_that_is_not_through_comes_before_a_newer_one_that_is() -> None:
    """While a training runs, batches that need none pass it by."""
    calm = Batch(1, 4, "loaded", cleaned=90, verdict="no drift")
    flight = newest_flight([calm, DRIFTED], [Training("fitted", batch="1/3")], None, None)
    assert flight
    assert (flight.batch.name, flight.at) == ("1/3", "trained")
    through = newest_flight([calm, DRIFTED], [PROMOTED], served(4, 7), None)
    assert through
    assert (through.batch.name, told(through)[3:]) == ("1/4", ["trained passed no need", "served passed no need"])
