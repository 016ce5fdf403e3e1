"""Explains runs after their decisions: no promotion waits for pictures, and none fails because of them."""

from dataclasses import dataclass
from functools import partial

import structlog

from veleta.errors import Retry, one_line
from veleta.service.health import ServiceHealth
from veleta.threads import call_in_thread
from veleta.timeouts import PAUSE_SECONDS
from veleta_trainer.ports import Explainer, Runs

MAX_ATTEMPTS = 3
"""Failed attempts at one explanation, before it fails."""
DUE_SECONDS = 0.5
"""The pause between two checks whether an explanation is requested."""
log = structlog.get_logger()


@dataclass
class Explanations:
    """Explains one run at a time. MLflow stores which runs are not explained yet, so a restarted trainer goes on."""

    _runs: Runs
    _explainer: Explainer
    _health: ServiceHealth
    _requested: bool = False

    def request(self) -> None:
        """Let all runs be explained that are not explained yet."""
        self._requested = True

    async def run(self) -> None:
        """Explain until the service stops. Then the explanation in progress ends at once."""
        await self._health.cancel_on_stop(self._explain_on_request())

    async def explain_all(self) -> None:
        """Explain each run that is not explained yet. Raises Retry."""
        for run_id in await call_in_thread(self._runs.to_explain):
            await self._explain(run_id)

    async def _explain_on_request(self) -> None:
        while await self._health.wait(DUE_SECONDS):
            if not self._requested:
                continue
            self._requested = False
            try:
                await self.explain_all()
            except Retry as unavailable:
                log.info("explanations wait", reason=str(unavailable))
                self._requested = await self._health.wait(PAUSE_SECONDS)

    async def _explain(self, run_id: str) -> None:
        failure = ""
        for _ in range(MAX_ATTEMPTS):
            try:
                await self._explainer.explain(run_id)
            except Retry:
                raise
            except Exception as error:  # noqa: BLE001 - MLflow refuses, or the child process failed: no run but this one suffers
                failure = one_line(error)
                log.warning("explanation failed", run_id=run_id, reason=failure)
            else:
                self._health.set_warning("explanation", "")
                log.info("explained", run_id=run_id)
                return
        await call_in_thread(partial(self._runs.end_explanation, run_id, failure))
        self._health.set_warning("explanation", f"run {run_id} has no explanation: {failure}")
