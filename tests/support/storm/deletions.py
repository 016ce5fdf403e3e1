"""Deletes champions in the registry, as a person would, and watches what the trainer shows."""

import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from support.storm.audit import Deletion
from veleta_local.run import Run

REQUEST_SECONDS = 5.0
PAUSE_SECONDS = 0.5


class Deletions:
    """Each deletion runs in a thread of its own, so that the storm goes on."""

    def __init__(self, run: Run, model: str, report: Callable[[str], None]) -> None:
        self.done: list[Deletion] = []
        self._run = run
        self._model = model
        self._report = report
        self._threads: list[threading.Thread] = []

    def begin(self, seconds: float) -> None:
        """Delete the champion, and watch for `seconds` whether the trainer shows it."""
        thread = threading.Thread(target=self._delete_and_watch, args=(time.monotonic() + seconds,))
        thread.start()
        self._threads.append(thread)

    def wait(self) -> None:
        """Return when all deletions are done."""
        for thread in self._threads:
            thread.join()

    def _delete_and_watch(self, until: float) -> None:
        if not (version := self._delete(until)):
            self._report("           no champion could be deleted: MLflow did not answer, or there was none")
            return
        began, outcome = time.monotonic(), ""
        while not outcome and time.monotonic() < until:
            time.sleep(PAUSE_SECONDS)
            outcome = self._outcome(version)
        self.done.append(Deletion(version, outcome))
        self._report(f"           version {version} was deleted: {outcome or 'NOT shown'} ({_since(began)})")

    def _delete(self, until: float) -> int:
        """The version that was deleted; 0 if there was no champion, or MLflow did not answer."""
        while time.monotonic() < until:
            try:
                if not (version := self._champion()):
                    return 0
                self._call("DELETE", "model-versions/delete", {"name": self._model, "version": str(version)})
            except OSError:
                time.sleep(PAUSE_SECONDS)
            else:
                return version
        return 0

    def _outcome(self, version: int) -> str:
        """What became of the deletion so far; empty while nothing shows it."""
        shown = self._run.health(["trainer"])["trainer"].warnings.get("champion", "")
        if f"version {version} was deleted" in shown:
            return "shown"
        try:
            return "replaced" if self._champion() else ""
        except OSError:
            return ""

    def _champion(self) -> int:
        """The version with the alias; 0 if there is none."""
        query = urlencode({"name": self._model, "alias": "champion"})
        try:
            return int(self._call("GET", f"registered-models/alias?{query}")["model_version"]["version"])
        except HTTPError as error:
            if error.code in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
                return 0
            raise

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        request = Request(
            f"{self._run.mlflow_url}/api/2.0/mlflow/{path}",
            json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._run.mlflow_tokens['trainer']}"},
            method=method,
        )
        with urlopen(request, timeout=REQUEST_SECONDS) as response:
            return json.loads(response.read())


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
