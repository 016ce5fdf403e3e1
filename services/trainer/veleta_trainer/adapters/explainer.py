"""Explains runs in a child process."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from veleta.adapters.module_process import run_module
from veleta.errors import Reject
from veleta.ports import Registry, Version
from veleta.threads import call_in_thread
from veleta_trainer.adapters.child_protocol import DATASET_FILE, EXPLAIN, MAX_ERROR_CHARACTERS, MODEL
from veleta_trainer.ports import Runs

EXPLAIN_SECONDS = 240.0
"""Until the child process must have explained a model."""


@dataclass
class ChildProcessExplainer:
    """`Explainer` by `python -m veleta_trainer.explain_version`.

    All that it needs is in the run, so another trainer can repeat it. It has a folder of its own, because a fit deletes
    the files of the fit before it.
    """

    _registry: Registry
    _runs: Runs

    async def explain(self, run_id: str) -> None:
        """See `Explainer.explain`. A cancellation ends the child process."""
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
        try:
            await call_in_thread(partial(self._download, run_id, folder))
            await _explain(folder)
            await call_in_thread(partial(self._runs.log_explanation, run_id, folder / EXPLAIN))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _download(self, run_id: str, folder: Path) -> None:
        run = self._runs.get(run_id)
        self._registry.download_native(Version(0, run_id, run.native_tags), folder).rename(folder / MODEL)
        self._runs.download_sample(run_id, folder)
        (folder / DATASET_FILE).write_text(run.recipe.dataset_file, encoding="utf-8")


async def _explain(folder: Path) -> None:
    try:
        code, errors = await run_module("veleta_trainer.explain_version", str(folder), seconds=EXPLAIN_SECONDS)
    except TimeoutError as error:
        raise Reject("the model cannot be explained", f"it takes longer than {EXPLAIN_SECONDS:g} s") from error
    if code != 0:
        last = errors[-MAX_ERROR_CHARACTERS:].rpartition("\n")[2]
        raise Reject("the model cannot be explained", f"the process ended with {code}: {last}")
