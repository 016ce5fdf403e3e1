"""Logs the models of runs, each by a child process that starts before there is a model to log."""

import json
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from threading import Lock

from veleta.errors import Retry
from veleta_trainer.adapters.child_protocol import MAX_ERROR_CHARACTERS, MODELS, UNAVAILABLE, LoggedModels

LOGGING_SECONDS = 240.0
"""Until the child process must have logged both models. A process without progress exits after 300 s."""


class ModelLogger:
    """Runs `python -m veleta_trainer.log_models`, one process for each run.

    Its imports take seconds. So it can start while there is no run yet, and waits for the line that names it.
    All methods block. `stop` may be called while another thread logs.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._lock = Lock()
        """Held while a process changes its role."""
        self._waiting: Popen[str] | None = None
        self._logging: Popen[str] | None = None

    def start(self) -> None:
        """Start a process, unless one waits."""
        if self._waiting and self._waiting.poll() is None:
            return
        self.stop()
        command = (sys.executable, "-m", "veleta_trainer.log_models", self._tracking_uri)
        self._waiting = Popen(command, stdin=PIPE, stdout=DEVNULL, stderr=PIPE, text=True)

    def log(self, folder: Path, run_id: str) -> LoggedModels:
        """Log both models of a run, whose files are in a folder, by the process that waits.

        Raises:
            Retry: MLflow is unavailable, or it takes longer than LOGGING_SECONDS.
            RuntimeError: no process was started, it was stopped, or it failed for another reason, which is in the
                message.
        """
        with self._lock:
            child, self._waiting = self._waiting, None
            self._logging = child
        if child is None:
            raise RuntimeError("the models cannot be logged: logging was stopped")
        try:
            _, errors = child.communicate(json.dumps([str(folder), run_id]), timeout=LOGGING_SECONDS)
        except TimeoutExpired as error:
            raise Retry("mlflow", f"the models are not logged after {LOGGING_SECONDS:g} s") from error
        finally:
            with self._lock:
                self._logging = None
            _end(child)
        if child.returncode == UNAVAILABLE:
            raise Retry("mlflow", errors.splitlines()[-1])
        if child.returncode != 0:
            raise RuntimeError(f"the models cannot be logged: {errors[-MAX_ERROR_CHARACTERS:]}")
        return LoggedModels(**json.loads((folder / MODELS).read_text()))

    def stop(self) -> None:
        """End the process. A call of `log` in progress, or the next one without `start`, raises RuntimeError."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
            if self._logging:
                self._logging.kill()
        if waiting:
            _end(waiting)


def _end(child: Popen[str]) -> None:
    """End a process, if it has not ended, and close its pipes."""
    child.kill()
    child.communicate()
