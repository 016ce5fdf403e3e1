"""Trainings that end before their model: by the command `cancel`, and by a limit of time or memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.batches import publish_batch
from support.http import get
from support.listings import api_rows
from support.models import Models
from support.testbed import Process, Testbed, wait_until
from support.trainer_commands import obey, wait_for_phase
from support.trainings import ended, request_training, training_rows
from veleta.events.catalogue import Cancel, Retrain, Rollback, TrainingFailed
from veleta.tables import promotions

SLOW = {"trees": 10_000, "depth": 10}
"""Settings of a trainer whose fit takes longer than a test."""
SECOND = 1.0


@pytest.fixture(scope="module", autouse=True)
def _batch(testbed: Testbed) -> None:
    """A closed batch, and two versions, the second of which is the champion."""
    publish_batch(testbed.log, testbed.dataset, 1, 0, list(api_rows(4, 3000, 1)))
    models = Models(testbed)
    models.promote()
    models.promote(1.1)


@contextmanager
def running_trainer(testbed: Testbed, **settings: Any) -> Iterator[Process]:
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", **settings) as process:
        process.wait_until_ready()
        yield process


def fits(process: Process) -> list[str]:
    """The command lines of the child processes by which a trainer fits, or logs what was fitted."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline") for child in children]
    texts = [command.read_text() for command in commands if command.exists()]
    return [text for text in texts if any(each in text for each in ("veleta_trainer.fit", "veleta_trainer.log_models"))]


@pytest.mark.failure("F396")
@pytest.mark.parametrize("phase", ["reading", "fitting", "logging"])
def test_cancel_ends_a_training_within_a_second(testbed: Testbed, phase: str) -> None:
    """Its process ends. It has failed with the reason, and no dead letter is published."""
    with running_trainer(testbed, **({"trees": 20} if phase == "logging" else SLOW)) as trainer:
        assert obey(testbed, Cancel) == "refused: no training is in progress"
        began = len(testbed.events("training"))
        assert obey(testbed, Retrain).startswith("a training is requested for batch 1/0")
        if phase == "logging":
            wait_until(lambda: "logging the run" in get(f"{trainer.url}/readyz")[1]["doing"], what="it is logged")
        else:
            wait_for_phase(testbed, phase, began)
        sent = time.time()
        assert obey(testbed, Cancel, reason="a test") == "the training for batch 1/0 is cancelled"
        assert not fits(trainer)
    failed = testbed.events("training")[-1]
    assert isinstance(failed.payload, TrainingFailed)
    assert failed.payload.reason.startswith("cancelled by ")
    assert failed.payload.reason.endswith(": a test")
    assert failed.time.timestamp() - sent < SECOND
    assert not testbed.events("deadletter")


@pytest.mark.failure("F364", "F396")
def test_a_training_after_a_cancelled_one_ends_as_usual(testbed: Testbed) -> None:
    """During it the champion was rolled back, so its version is rejected. Then it is too late to cancel."""
    faults = ("trainer.logged 3",)
    with testbed.service("trainer", "trainer", work=testbed.folder / "work", trees=300, faults=faults) as trainer:
        trainer.wait_until_ready()
        began = len(testbed.events("training"))
        request_training(testbed, 1, 0)
        wait_for_phase(testbed, "fitting", began)
        assert obey(testbed, Rollback) == "version 1 is the champion instead of version 2"
        wait_until(lambda: ended(testbed, "1/0"), 120, "the training ends")
    last = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))[-1]
    assert (last.decision, last.version) == ("rejected", 3)
    assert last.reason == "it was compared with version 2, but version 1 is the champion now"


@pytest.mark.failure("F374")
@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"fit_seconds": 4}, "the training took longer than its limit: 4 s. Raise FIT_SECONDS"),
        ({"fit_memory": 100}, "the training needs more memory than its limit"),
    ],
)
def test_a_training_beyond_a_limit_fails_with_the_setting(testbed: Testbed, limit: dict[str, int], reason: str) -> None:
    """It is not repeated, its process ends, and the trainer works on."""
    before = set(training_rows(testbed))
    with running_trainer(testbed, **SLOW, **limit) as trainer:
        obey(testbed, Retrain)
        (name,) = set(training_rows(testbed)) - before
        wait_until(lambda: training_rows(testbed)[name].ended_at, 60, "the training ends")
        assert not fits(trainer)
        assert obey(testbed, Cancel) == "refused: no training is in progress"
    row = training_rows(testbed)[name]
    assert row.failure.startswith(reason)
    assert row.fits <= 1
