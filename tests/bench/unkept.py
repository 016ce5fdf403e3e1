"""`python -m bench.unkept`: inference with a journal that keeps nothing, to see what keeping costs."""

from collections.abc import Sequence
from functools import partial

import uvloop

from veleta.service.lifecycle import run, run_service
from veleta_inference.bootstrap import build
from veleta_inference.settings import InferenceSettings
from veleta_inference.workers import NAME


class Nothing:
    """A journal that forgets at once."""

    async def keep(self, lines: Sequence[bytes]) -> None:
        """Keep nothing."""

    def read(self) -> list[bytes]:
        """Nothing."""
        return []

    def forget(self, lines: Sequence[bytes]) -> None:
        """Nothing is there."""

    def check(self) -> None:
        """It is never full."""

    def close(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    run(NAME, InferenceSettings, partial(run_service, NAME, partial(build, journal=Nothing())), uvloop.new_event_loop)
