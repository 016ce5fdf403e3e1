"""Fits a model in a child process: its input is a recipe, its output a folder with the model and its metrics."""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from veleta.adapters.process_group import delete_folder, kill_group
from veleta.bounds import Engine
from veleta.errors import Reject, Retry
from veleta.ports import Registry, Version
from veleta.service.health import ServiceHealth
from veleta_trainer.adapters.batch_files import BatchFiles
from veleta_trainer.adapters.child_protocol import (
    CACHE,
    CHAMPION,
    CHAMPION_DATASET,
    EVALUATION,
    GATES_FILE,
    MAX_ERROR_CHARACTERS,
    METRICS,
    NOT_TRAINABLE,
    RECIPE,
    SCRATCH,
    UNAVAILABLE,
)
from veleta_trainer.adapters.process_memory import resident_bytes
from veleta_trainer.domain.checks import Check
from veleta_trainer.domain.fit_limits import FitLimits
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import FittedModel, ProgressCallback

log = structlog.get_logger()
LIMIT_SECONDS = 0.2
"""The pause between two comparisons of the child process with its limits."""


def fit_command(engine: Engine, threads: int, cache: BatchFiles) -> tuple[str, ...]:
    """The arguments of Python for the child process that fits by an engine, without the folder."""
    if engine == "spark":
        return "-m", "veleta_trainer.fit_on_spark", str(threads)
    return "-m", "veleta_trainer.fit", str(threads), *cache.arguments


@dataclass
class ChildProcessFitter:
    """`Fitter` by a child process, to whose command the folder of the fit is added: see `fit_command`."""

    _work: Path
    _command: Sequence[str]
    _limits: FitLimits
    _registry: Registry
    _health: ServiceHealth

    async def fit(self, recipe: Recipe, champion: Version | None, progress: ProgressCallback) -> FittedModel:
        """See `Fitter.fit`. Each attempt has its own folder, because an orphaned child may still write to the last."""
        if fitted := await asyncio.to_thread(self._fitted, recipe):
            return fitted
        folder = await asyncio.to_thread(self._prepare_folder, recipe, champion)
        child = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, str(folder), stdout=PIPE, stderr=PIPE, process_group=0
        )
        try:
            errors = await self._wait(child, progress)
        finally:
            kill_group(child)
            await child.wait()
            await asyncio.to_thread(delete_folder, folder / SCRATCH)
        _check_exit_code(child.returncode, errors)
        return _fitted_model(folder)

    async def discard(self) -> None:
        """See `Fitter.discard`."""
        await asyncio.to_thread(self._delete_fits)

    def _fitted(self, recipe: Recipe) -> FittedModel | None:
        """What an earlier child made of this recipe. The child writes the metrics last."""
        complete = next(self._work.glob(f"{recipe.digest}-*/{METRICS}"), None)
        return _fitted_model(complete.parent) if complete else None

    def _prepare_folder(self, recipe: Recipe, champion: Version | None) -> Path:
        self._delete_fits()
        self._work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{recipe.digest}-", dir=self._work))
        not_compared = self._download(champion, folder) if champion else ""
        (folder / RECIPE).write_text(recipe.model_copy(update={"not_compared": not_compared}).model_dump_json())
        return folder

    def _delete_fits(self) -> None:
        for folder in self._work.glob("*"):
            if folder.name != CACHE:
                shutil.rmtree(folder, ignore_errors=True)

    def _download(self, champion: Version, folder: Path) -> str:
        """Download the champion's native model and the dataset file of its training: why there is no model, or empty.

        A version that was promoted by hand may lack them.
        """
        try:
            self._registry.download_native(champion, folder).rename(folder / CHAMPION)
        except Reject as error:
            return str(error)
        if file := self._registry.dataset_file(champion):
            (folder / CHAMPION_DATASET).write_text(file, encoding="utf-8")
        return ""

    async def _wait(self, child: Process, progress: ProgressCallback) -> str:
        """Report progress until the child ends: its stderr.

        Raises:
            CancelledError: the service stops first.
            Reject: the child exceeds a limit.
        """
        assert child.stdout  # noqa: S101 - a pipe
        assert child.stderr  # noqa: S101 - a pipe
        errors = asyncio.ensure_future(child.stderr.read())
        stopping = asyncio.ensure_future(self._health.stopping.wait())
        line = asyncio.ensure_future(child.stdout.readline())
        began = time.monotonic()
        try:
            while not (line.done() and not line.result()):
                await asyncio.wait({line, stopping}, timeout=LIMIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    raise asyncio.CancelledError("stopping")
                if child.returncode is not None:
                    kill_group(child)  # what it left would keep its output open
                self._limits.check(time.monotonic() - began, resident_bytes(child.pid))
                if line.done() and line.result():
                    await _report(line.result(), progress)
                    line = asyncio.ensure_future(child.stdout.readline())
            await child.wait()
            return (await errors).decode(errors="replace")[-MAX_ERROR_CHARACTERS:]
        finally:
            for waiting in (errors, stopping, line):
                waiting.cancel()


def _fitted_model(folder: Path) -> FittedModel:
    recipe = Recipe.model_validate_json((folder / RECIPE).read_text())
    gates = folder / EVALUATION / GATES_FILE
    found = json.loads(gates.read_text()) if gates.exists() else []  # an earlier release may have fitted without gates
    metrics = json.loads((folder / METRICS).read_text())
    return FittedModel(folder, metrics, recipe, tuple(Check(**gate) for gate in found))


async def _report(line: bytes, progress: ProgressCallback) -> None:
    """Report a line of the child's output. Libraries print too; a line that is not progress is only logged."""
    try:
        message = json.loads(line)
        arguments = message["phase"], message["done"], message["of"], message["error"]
    except (ValueError, TypeError, KeyError):
        log.info("output of the training process", line=line.decode(errors="replace").strip())
        return
    await progress(*arguments)


def _check_exit_code(code: int | None, errors: str) -> None:
    if code == UNAVAILABLE:
        dependency, _, reason = errors.strip().partition(": ")
        raise Retry(dependency, reason)
    if code == NOT_TRAINABLE:
        raise Reject("the recipe cannot be trained", errors.strip())
    if code != 0:
        raise RuntimeError(f"the training process ended with {code}: {errors}")
