"""Fits in a child process: a recipe in, a folder with the model and its metrics out."""

import asyncio
import json
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import structlog

from veleta.errors import Reject, Retry
from veleta.ports import Registry, Version
from veleta.service.health import ServiceHealth
from veleta_trainer.adapters.folder import AWAY, CHAMPION, METRICS, NOTHING_TO_LEARN, RECIPE
from veleta_trainer.domain.recipe import Recipe
from veleta_trainer.ports import Fitted, Progress

log = structlog.get_logger()
TOLD_CHARACTERS = 2_000


class ChildFitting:
    """`Fitting` by `python -m veleta_trainer.fit`."""

    def __init__(self, work: Path, bootstrap: str, threads: int, registry: Registry, health: ServiceHealth) -> None:
        self._work = work
        self._bootstrap = bootstrap
        self._threads = threads
        self._registry = registry
        self._health = health

    async def fit(self, recipe: Recipe, champion: Version | None, progress: Progress) -> Fitted:
        """See `Fitting.fit`. Each try has its own folder, for a child that outlived its parent may still write."""
        folder = await asyncio.to_thread(self._lay_out, recipe, champion)
        command = ("-m", "veleta_trainer.fit", str(folder), self._bootstrap, str(self._threads))
        child = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE)
        try:
            told = await self._follow(child, progress)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        _check(child.returncode, told)
        return Fitted(folder, json.loads((folder / METRICS).read_text()))

    def _lay_out(self, recipe: Recipe, champion: Version | None) -> Path:
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="training-", dir=self._work))
        (folder / RECIPE).write_text(recipe.model_dump_json())
        if champion:
            self._bring(champion, folder)
        return folder

    def _bring(self, champion: Version, folder: Path) -> None:
        """The champion's model, unless it has none: one that was crowned by hand may lack it."""
        try:
            self._registry.native(champion, folder).rename(folder / CHAMPION)
        except Reject as error:
            log.warning("the champion cannot be measured", version=champion.number, reason=str(error))

    async def _follow(self, child: Process, progress: Progress) -> str:
        """Pass progress on until the child ends, or the service does: what it said on stderr."""
        assert child.stdout  # noqa: S101 - a pipe
        assert child.stderr  # noqa: S101 - a pipe
        errors = asyncio.ensure_future(child.stderr.read())
        stopping = asyncio.ensure_future(self._health.stopping.wait())
        try:
            while True:
                line = asyncio.ensure_future(child.stdout.readline())
                await asyncio.wait({line, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    line.cancel()
                    raise asyncio.CancelledError("stopping")
                if not line.result():
                    break
                await _pass_on(line.result(), progress)
            await child.wait()
            return (await errors).decode(errors="replace")[-TOLD_CHARACTERS:]
        finally:
            errors.cancel()
            stopping.cancel()


async def _pass_on(line: bytes, progress: Progress) -> None:
    """A line of the child's; libraries print too, and what is no progress is only logged."""
    try:
        said = json.loads(line)
        told = said["phase"], said["done"], said["of"], said["error"]
    except (ValueError, TypeError, KeyError):
        log.info("the training process says", line=line.decode(errors="replace").strip())
        return
    await progress(*told)


def _check(code: int | None, told: str) -> None:
    if code == AWAY:
        raise Retry("kafka", told)
    if code == NOTHING_TO_LEARN:
        raise Reject("nothing to learn from", told.strip())
    if code != 0:
        raise RuntimeError(f"the training process ended with {code}: {told}")
