"""Checks versions in a child process."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veleta.adapters.module_process import run_module
from veleta.dataset import Dataset
from veleta.errors import Reject, one_line
from veleta.ports import DIGEST, Registry, Version
from veleta_trainer.adapters.child_protocol import CHECKS, DATASET_FILE, MODEL, TRAINED_WITH
from veleta_trainer.domain.checks import Check

CHECK_VERSION_SECONDS = 60.0
"""Until the child process must have checked a model."""


@dataclass
class ChildProcessChecker:
    """`VersionChecker` by `python -m veleta_trainer.check_version`."""

    _dataset: Dataset
    _registry: Registry

    async def check(self, version: Version) -> Sequence[Check]:
        """See `VersionChecker.check`. Further checks of a version belong here."""
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
        try:
            file = await asyncio.to_thread(self._download, version, folder)
            return [file, *(await _check_model(folder) if file.passed else [])]
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _download(self, version: Version, folder: Path) -> Check:
        """Download what the child process reads: the result of the check of the model's file. Raises Retry."""
        try:
            self._registry.download_native(version, folder).rename(folder / MODEL)
        except Reject as error:
            return Check("file", str(error), passed=False)
        (folder / DATASET_FILE).write_text(self._dataset.text, encoding="utf-8")
        if trained_with := self._registry.dataset_file(version):
            (folder / TRAINED_WITH).write_text(trained_with, encoding="utf-8")
        found = "its SHA-256 is that of its training" if DIGEST in version.tags else "it has no SHA-256 to compare with"
        return Check("file", found, passed=True)


async def _check_model(folder: Path) -> list[Check]:
    try:
        code, errors = await run_module("veleta_trainer.check_version", str(folder), seconds=CHECK_VERSION_SECONDS)
    except TimeoutError:
        return [Check("model", f"it is not checked after {CHECK_VERSION_SECONDS:g} s", passed=False)]
    if code != 0:
        last = one_line(errors.rpartition("\n")[2])
        return [Check("model", f"the process that loads it ended with {code}: {last}", passed=False)]
    return [Check(**check) for check in json.loads((folder / CHECKS).read_text())]
