"""The parent's side of the child process. A script stands in for `python -m veleta_trainer.fit`."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.testbed import wait_until
from support.trainer import recipe
from support.twins.shared import MemoryRegistry
from veleta.errors import Reject, Retry
from veleta.ports import NATIVE, Version
from veleta.service.health import ServiceHealth
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.child import ChildProcessFitter, fit_command
from veleta_trainer.adapters.child_protocol import (
    CACHE,
    CHAMPION,
    CHAMPION_DATASET,
    NOT_TRAINABLE,
    RECIPE,
    SCRATCH,
    UNAVAILABLE,
)
from veleta_trainer.domain.fit_limits import MEGABYTE, FitLimits
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel

RECIPE_OF_TEST = recipe()
WRITE_METRICS = """echo '{"mae": 1.5}' > "$3/metrics.json"\n"""
"""The script gets the arguments of the child: COMMAND and the folder."""
COMMAND = ("-m", "module")


class Setup:
    """A fitter whose child process is a shell script."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._script = folder / "script"
        self.registry = MemoryRegistry()
        self.health = ServiceHealth("trainer")
        self.progress: list[tuple[str, int, int, float | None]] = []
        self.work = folder / "work"
        self.limits = FitLimits(60.0, 2**40)
        self.fitter = ChildProcessFitter(self.work, COMMAND, self.limits, self.registry, self.health)
        patch.setattr(sys, "executable", str(self._script))

    def restarted(self) -> "Setup":
        """The fitter of a new process."""
        self.fitter = ChildProcessFitter(self.work, COMMAND, self.limits, self.registry, self.health)
        return self

    def running(self) -> bool:
        """Whether a child process runs that wrote its id."""
        ids = [path.read_text().strip() for path in self.work.glob("*/pid")]
        return any(pid and Path(f"/proc/{pid}").exists() for pid in ids)

    async def fit(self, script: str, champion: Version | None = None, of: Recipe = RECIPE_OF_TEST) -> FittedModel:
        self._script.write_text(f"#!/bin/sh\n{script}")
        self._script.chmod(0o700)

        async def report(phase: str, done: int, of: int, error: float | None) -> None:
            self.progress.append((phase, done, of, error))

        return await self.fitter.fit(of, champion, report)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    return Setup(tmp_path, monkeypatch)


async def test_the_child_gets_the_recipe_and_returns_the_metrics(setup: Setup) -> None:
    """Both are files in the folder of the training."""
    fitted = await setup.fit(WRITE_METRICS)
    assert fitted.metrics == {"mae": 1.5}
    assert Recipe.model_validate_json((fitted.folder / RECIPE).read_text()) == RECIPE_OF_TEST
    assert not (fitted.folder / CHAMPION).exists()


async def test_the_cache_outlives_the_fits(setup: Setup) -> None:
    """Neither the next fit nor `discard` deletes it."""
    await setup.fit(WRITE_METRICS + f'mkdir "$3/../{CACHE}"; echo 0 > "$3/../{CACHE}/batch"')
    await setup.fitter.discard()
    await setup.fit(WRITE_METRICS)
    assert (setup.work / CACHE / "batch").read_text() == "0\n"


async def test_each_attempt_has_its_own_folder(setup: Setup) -> None:
    """The files of the attempt before it are deleted."""
    with pytest.raises(RuntimeError):
        await setup.fit("""touch "$3/half"; exit 1""")
    (half,) = setup.work.glob("*/half")
    fitted = await setup.fit(WRITE_METRICS)
    assert fitted.folder != half.parent
    assert not half.exists()


@pytest.mark.failure("F293")
async def test_a_model_is_fitted_once(setup: Setup) -> None:
    """A second call with its recipe returns it, also in a new process. After `discard` it is fitted again."""
    first = await setup.fit(WRITE_METRICS)
    assert await setup.restarted().fit("exit 1\n") == first
    await setup.fitter.discard()
    assert (await setup.fit(WRITE_METRICS)).folder != first.folder


@pytest.mark.failure("F293")
async def test_a_model_of_another_recipe_is_not_used(setup: Setup) -> None:
    """Also if only the champion differs, which it is compared with."""
    await setup.fit(WRITE_METRICS)
    fitted = await setup.fit(WRITE_METRICS.replace("1.5", "2.5"), of=recipe(champion=1))
    assert fitted.metrics == {"mae": 2.5}


async def test_progress_is_reported_and_other_output_is_not(setup: Setup) -> None:
    """Libraries print lines of their own."""
    lines = ['{"phase": "fitting", "done": 1, "of": 2, "error": 0.5}', "a warning", '{"other": 1}', "[]"]
    await setup.fit("".join(f"echo '{line}'\n" for line in lines) + WRITE_METRICS)
    assert setup.progress == [("fitting", 1, 2, 0.5)]


@pytest.mark.parametrize(
    ("code", "output", "error", "text"),
    [
        (UNAVAILABLE, "spark: the reason", Retry, "^spark: the reason$"),
        (NOT_TRAINABLE, "the reason", Reject, "the recipe cannot be trained: the reason"),
        (1, "the reason", RuntimeError, "ended with 1: the reason"),
    ],
)
async def test_the_exit_code_decides_the_error(
    setup: Setup, code: int, output: str, error: type[Exception], text: str
) -> None:
    """Its message is the child's stderr, which names the dependency that is unavailable."""
    with pytest.raises(error, match=text):
        await setup.fit(f"echo '{output}' >&2\nexit {code}\n")


def test_an_engine_has_its_own_process(tmp_path: Path) -> None:
    """Both get the threads and the folder. Executors cannot use the cache of this machine."""
    cache = BatchFiles(tmp_path, 5)
    assert fit_command("local", 2, cache) == ("-m", "veleta_trainer.fit", "2", str(tmp_path), "5")
    assert fit_command("spark", 2, cache) == ("-m", "veleta_trainer.fit_on_spark", "2")


@pytest.mark.failure("F14")
async def test_a_killed_child_is_an_error(setup: Setup) -> None:
    """The step is repeated, up to the last attempt."""
    with pytest.raises(RuntimeError, match="ended with -9"):
        await setup.fit("kill -9 $$\n")


@pytest.mark.failure("F493")
async def test_what_a_killed_child_leaves_ends_with_it(setup: Setup) -> None:
    """As the Java process of Spark, which has the child's output open. The next fit starts at once."""
    fitting = setup.fit('sleep 60 & echo $! > "$3/pid"; kill -KILL $$')
    with pytest.raises(RuntimeError, match="-9"):
        await asyncio.wait_for(fitting, 10)
    await asyncio.to_thread(wait_until, lambda: not setup.running())


@pytest.mark.failure("F499")
async def test_temporary_files_of_spark_are_deleted_after_a_kill(setup: Setup) -> None:
    """They may have the size of all rows, and the next fit may be far away."""
    script = f'mkdir "$3/{SCRATCH}"; echo rows > "$3/{SCRATCH}/part"; touch "$3/log"; kill -KILL $$'
    with pytest.raises(RuntimeError, match="-9"):
        await setup.fit(script)
    assert {path.name for path in setup.work.glob("*/*")} == {RECIPE, "log"}


async def test_the_champion_is_downloaded_for_the_child(setup: Setup, tmp_path: Path) -> None:
    """Its native model is in the folder of the training, with the dataset file of its training."""
    (tmp_path / "native.cbm").write_bytes(b"a model")
    setup.registry.files["models:/native"] = tmp_path / "native.cbm"
    champion = setup.registry.register("run", "model", {NATIVE: "models:/native"})
    setup.registry.dataset_files["run"] = 'title = "Häuser"'
    fitted = await setup.fit(WRITE_METRICS, champion)
    assert (fitted.folder / CHAMPION).read_bytes() == b"a model"
    assert (fitted.folder / CHAMPION_DATASET).read_text(encoding="utf-8") == 'title = "Häuser"'
    assert fitted.recipe.not_compared == ""


async def test_a_champion_without_a_native_model_is_not_evaluated(setup: Setup) -> None:
    """A version that was promoted by hand may lack it. The training continues."""
    fitted = await setup.fit(WRITE_METRICS, Version(1, "run"))
    assert not (fitted.folder / CHAMPION).exists()
    assert fitted.recipe.not_compared == "the version has no native model"


@pytest.mark.failure("F42")
async def test_an_unreachable_registry_stops_the_attempt(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion must be downloaded before the child starts."""
    monkeypatch.setattr(setup.registry, "download_native", _raise(Retry("mlflow", "unreachable")))
    with pytest.raises(Retry, match="mlflow: unreachable"):
        await setup.fit(WRITE_METRICS, Version(1, "run"))


async def test_the_child_is_killed_when_the_service_stops(setup: Setup) -> None:
    """The fitting is cancelled at once."""
    fitting = asyncio.create_task(setup.fit("exec sleep 60\n"))
    await asyncio.sleep(0.2)
    setup.health.stopping.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(fitting, 10)


@pytest.mark.failure("F374")
async def test_a_fit_that_takes_too_long_fails(setup: Setup) -> None:
    """Its process is ended. The reason names the setting, and the training is not repeated."""
    setup.limits = FitLimits(0.3, 2**40)
    with pytest.raises(Reject, match=r"longer than its limit: 0\.3 s\. Raise FIT_SECONDS"):
        await asyncio.wait_for(setup.restarted().fit('echo $$ > "$3/pid"; exec sleep 60\n'), 10)
    assert not setup.running()


@pytest.mark.failure("F374")
async def test_a_fit_that_needs_too_much_memory_fails(setup: Setup) -> None:
    """Its process is ended, before the machine has no memory left for the other parts."""
    setup.limits = FitLimits(60.0, 100 * MEGABYTE)
    script = f"""echo $$ > "$3/pid"; exec {sys.orig_argv[0]} -c 'import time; full = b"x" * 2**27; time.sleep(60)'\n"""
    with pytest.raises(Reject, match=r"more memory than its limit: \d+ MB of 100 MB\. Raise FIT_MEMORY"):
        await asyncio.wait_for(setup.restarted().fit(script), 20)
    assert not setup.running()


async def test_the_child_is_killed_when_the_fit_is_cancelled(setup: Setup) -> None:
    """As by the command `cancel`."""
    fitting = asyncio.create_task(setup.fit('echo $$ > "$3/pid"; exec sleep 60\n'))
    await asyncio.to_thread(wait_until, setup.running)
    fitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(fitting, 1)
    assert not setup.running()


def _raise(error: Exception) -> Callable[..., Path]:
    def call(*_arguments: object) -> Path:
        raise error

    return call
