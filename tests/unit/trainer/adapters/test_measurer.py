"""The child process that measures a batch: its results, its errors and its end."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.batches import publish_batch
from support.listings import api_rows
from support.testbed import wait_until
from support.trainer import DATASET
from support.twins.shared import MemoryLog, MemoryRegistry
from veleta.errors import Reject, Retry
from veleta.market_levels import LevelHistory
from veleta.ports import NATIVE, Version
from veleta_trainer.adapters import measurer as module
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.measurer import ChildProcessMeasurer
from veleta_trainer.domain.interval_level import BatchMeasures

ADDRESS = "models:/native"
MANIFEST = publish_batch(MemoryLog(), DATASET, 1, 0, api_rows(0, 1, 1))
Measure = Callable[[str, Version], Awaitable[BatchMeasures | None]]


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    registry = MemoryRegistry()
    registry.files[ADDRESS] = tmp_path / "downloaded.cbm"
    registry.files[ADDRESS].write_text("a model")
    return registry


@pytest.fixture
def measure(tmp_path: Path, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Measures a version by a script in the place of the child's Python: `$3` is its folder, `$4` the level."""
    child = tmp_path / "child"
    monkeypatch.setattr(sys, "executable", str(child))
    measurer = ChildProcessMeasurer(DATASET, registry, BatchFiles(tmp_path, 0))

    async def call(script: str, version: Version) -> BatchMeasures | None:
        child.write_text(f"#!/bin/sh\n{script}\n")
        child.chmod(0o700)
        return await measurer.measure(version, MANIFEST, 0.85, LevelHistory())

    return call


VERSION = Version(1, "run", {NATIVE: ADDRESS})
WRITE = """cat "$3/model.cbm" "$3/dataset.toml" "$3/batch.json" >/dev/null || exit 1
echo '{"rows": 40, "coverage": '$4'}' >"$3/measures.json" """


async def test_the_measures_of_the_child_are_returned(measure: Measure, registry: MemoryRegistry) -> None:
    """Its model is downloaded once for all batches."""
    assert await measure(WRITE, VERSION) == BatchMeasures(40, 0.85)
    registry.files.clear()
    assert await measure('echo null >"$3/measures.json"', VERSION) is None
    with pytest.raises(KeyError):
        await measure(WRITE, Version(2, "other", {NATIVE: ADDRESS}))


@pytest.mark.failure("F431")
@pytest.mark.parametrize(
    ("script", "error", "reason"),
    [
        ("echo down >&2; exit 75", Retry, "kafka: down"),
        ("echo deleted >&2; exit 65", Reject, "ended with 65: deleted"),
        ("kill -9 $$", Reject, "ended with -9"),
        ("exec sleep 60", Reject, r"longer than 0\.3 s"),
    ],
)
async def test_a_child_that_fails_is_an_error(
    measure: Measure, script: str, error: type[Exception], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its reason. The service goes on."""
    monkeypatch.setattr(module, "MEASURE_SECONDS", 0.3 if "sleep" in script else 30.0)
    with pytest.raises(error, match=reason):
        await measure(script, VERSION)


async def test_a_version_without_a_model_is_refused(measure: Measure) -> None:
    """No child starts."""
    with pytest.raises(Reject, match="no native model"):
        await measure("exit 1", Version(1, "run"))


async def test_a_cancellation_ends_the_child(measure: Measure, tmp_path: Path) -> None:
    """At once: a stop does not wait for a batch."""
    pid = tmp_path / "pid"
    measuring = asyncio.ensure_future(measure(f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 60", VERSION))
    await asyncio.to_thread(wait_until, pid.exists)
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(measuring, 5)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
