"""`python -m bench.no_journal`: inference with a journal that stores nothing, to measure the cost of the journal."""

from collections.abc import Sequence
from functools import partial

import uvloop

from veleta.service.lifecycle import run, run_service
from veleta_inference.bootstrap import build
from veleta_inference.domain.journal_lines import Portion
from veleta_inference.settings import InferenceSettings
from veleta_inference.workers import NAME


class NullJournal:
    """A journal that stores nothing."""

    async def append(self, lines: Sequence[bytes]) -> None:
        """Do nothing."""

    def read(self) -> Portion:
        """Return no lines."""
        return Portion(0)

    def acknowledge(self, portion: Portion) -> None:
        """Do nothing."""

    def adopt(self) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Never full."""

    def close(self) -> None:
        """Do nothing."""


if __name__ == "__main__":
    run(
        NAME,
        InferenceSettings,
        partial(run_service, NAME, partial(build, journal=NullJournal())),
        uvloop.new_event_loop,
    )
