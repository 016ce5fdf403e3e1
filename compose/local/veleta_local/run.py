"""A run on this machine: start, stop, delete, and the state of its parts."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from veleta.errors import Stop
from veleta_local import (
    checks,
    disk_space,
    downloads,
    health,
    kafka,
    mariadb,
    mlflow_server,
    preflight,
    processes,
    run_data,
    spark,
    subprocesses,
)
from veleta_local.attempts import Attempts
from veleta_local.deployment import BACKING, PYTHON, Deployment
from veleta_local.errors import LocalError
from veleta_local.files import export_lines, locked, write_private
from veleta_local.health import Health
from veleta_local.output import show
from veleta_local.spark_cluster import SparkCluster
from veleta_local.start_watch import StartWatch, WaitingLines, not_ready_in_time
from veleta_local.supervise import Program, State, Supervisor, Unresponsive
from veleta_local.variables import Variables

_BACKING = {"kafka": kafka, "mysql": mariadb, "mlflow": mlflow_server}
_POLL_SECONDS = 0.3


class Run(Deployment):
    """The parts of one deployment. Each method works from any state of the run.

    A start has three steps: provision (settings, data folders, tables, users), spawn (processes), wait until ready.
    """

    def __init__(self, home: Path, variables: Variables | None = None, report: Callable[[str], None] = show) -> None:
        super().__init__(home, variables)
        self.attempts = Attempts(self)
        self._report = report
        self._supervisor = Supervisor(self)
        self._watch: StartWatch | None = None
        self._was_up = False

    def start(self, timeout: float = 600) -> None:
        """Start everything, and return when each part is ready.

        Raises:
            LocalError: it cannot become ready. What this start began has ended.
        """
        deadline = time.monotonic() + timeout
        if self.spawn(timeout):
            with self._ended_if_failed(self.stop):
                rest = [part for part in self.awaited if part not in ("kafka", "mysql")]
                self._wait_until_ready(rest, deadline - time.monotonic())
            self.end_watch()

    def start_backing(self, timeout: float = 600) -> None:
        """Start Kafka, MariaDB and MLflow without topics and tables, and return when they are ready."""
        with self.lock(), self._ended_if_failed(self._stop):
            self._begin()
            self._spawn_backing(BACKING)
            self._wait_until_ready(BACKING, timeout)
        self.end_watch()

    def spawn(self, timeout: float = 600) -> bool:
        """Start what is down, and return before the services are ready. False: everything was up and ready.

        Afterwards `check_start` shows whether they can still become ready. Raises as `start`.
        """
        deadline = time.monotonic() + timeout
        if self.is_up() and self._is_ready():
            self._report("the run is up already")
            return False
        preflight.check(self, self._report)
        with self.lock(), self._ended_if_failed(self._stop):
            watch = self._begin()
            self._spawn_backing(self.parts)
            self._wait_until_ready(("kafka", "mysql"), timeout)
            self._provision_topics_and_tables(deadline - time.monotonic())
            watch.follow_events()
            write_private(self.home / "env", export_lines(self.environment_of_clients()))
            self._supervisor.start(self._down(self.services))
        return True

    def check_start(self) -> None:
        """Raise LocalError with the reason if the parts that `spawn` started cannot all become ready."""
        if self._watch:
            self._watch.check(self.health(self.services))

    def end_watch(self) -> None:
        """End what `check_start` needs. After it `check_start` raises no more."""
        if self._watch:
            self._watch.close()
            self._watch = None

    def stop(self) -> None:
        """End all processes, the services first. The data stay."""
        if self.home.exists():
            with self.lock():
                self._stop()

    def clean(self) -> None:
        """Delete the run and its data. Its cluster of Spark ends first."""
        if self.alive():
            raise LocalError("the run is up: make stop first")
        if self.home.exists():
            with self.lock():
                SparkCluster(self).down()
                shutil.rmtree(self.home)

    def alive(self) -> bool:
        """Whether the run has any process, with or without supervisord."""
        return bool(processes.of_run(self.home))

    def is_up(self) -> bool:
        """Whether each part runs, ready or not, with the variables of this start."""
        if self._without_data() or self._changed():
            return False
        states = self._supervisor.states()
        return all(part in states and states[part].up for part in self.parts)

    def states(self) -> dict[str, State]:
        """The state of each part in supervisord, or of its process if supervisord does not answer."""
        down = {part: State("STOPPED", 0) for part in self.parts}
        try:
            return down | self._supervisor.states()
        except Unresponsive:
            return down | {
                part: State("UNKNOWN", min(process.pid for process in running))
                for part, running in processes.by_part(self.home).items()
                if part != processes.SUPERVISORD
            }

    def pid(self, part: str) -> int:
        """The process id of a part; 0 if it has no process."""
        return self.states()[part].pid

    def health(self, parts: Iterable[str]) -> dict[str, Health]:
        """The health of each part, requested in parallel, within about 3 s."""
        return health.check(self, parts)

    def _stop(self) -> None:
        (self.home / "env").unlink(missing_ok=True)
        with suppress(Unresponsive):
            for parts in (self.services, ("mlflow",), ("mysql", "kafka")):
                self._supervisor.stop(parts)
        self._supervisor.shutdown()

    def _begin(self) -> StartWatch:
        """Watch a start from here on. Variables cannot change while the run is up."""
        self.end_watch()
        self._was_up = bool(self._supervisor.states())
        if self._was_up and (changed := self._changed()):
            raise LocalError(f"the run is up with another {_names(changed)}: make stop first")
        self._watch = StartWatch(self, self.attempts)
        return self._watch

    @contextmanager
    def _ended_if_failed(self, stop: Callable[[], None]) -> Iterator[None]:
        """If the block fails, end what this start began. A run that was up before goes on."""
        try:
            yield
        except (LocalError, Stop) as error:
            if not self._watch:
                raise
            self.end_watch()
            if self._was_up:
                raise LocalError(f"{error}; the run was up before and goes on: make stop ends it") from error
            if self.alive():
                self._report(f"ending all processes: {error}")
            stop()
            raise

    def lock(self) -> AbstractContextManager[None]:
        """Exclude other commands that change the run. Raises LocalError if one is active."""
        return locked(self.folder("") / "lock", wait=False)

    def _is_ready(self) -> bool:
        return all(report.ready for report in self.health(self.awaited).values())

    def _changed(self) -> list[str]:
        return self.variables.changed(self.saved)

    def _without_data(self) -> list[str]:
        return [part for part in BACKING if not (self.home / part).exists()]

    def _down(self, parts: Iterable[str]) -> list[str]:
        states = self.states()
        return [part for part in parts if not states[part].up]

    def _spawn_backing(self, wanted: Iterable[str]) -> None:
        """Start the backing parts that are down, after a check of the ports of all `wanted` parts.

        A part whose data folder was deleted is restarted with a new one.
        """
        if not self._supervisor.states():
            processes.end_run(self.home)
        self._supervisor.stop(self._without_data())
        checks.ports_free(self._ports_of(self._down(wanted)))
        self._spawn_supervisord()
        for part in self._down(BACKING):
            _BACKING[part].provision(self)
            self._supervisor.start([part])

    def _ports_of(self, parts: list[str]) -> dict[str, int]:
        names = [*parts, *kafka.MORE_PORTS] if "kafka" in parts else parts
        return {name: self.ports[name] for name in names}

    def _spawn_supervisord(self) -> None:
        """Start supervisord with the present variables if it is down."""
        if not self._supervisor.states():
            checks.disk((disk_space.RUN_MB, self.home))
            downloads.ensure(self._report)
            spark.ensure(self, self._report)
            if changed := self.variables.changed_fixed(self.saved):
                self._report(f"no row was taken with another {_names(changed)}: the run starts from its beginning")
                run_data.delete(self.home)
            self.save()
            self._supervisor.spawn(self._programs())

    def _programs(self) -> dict[str, Program]:
        backing = {part: module.program(self) for part, module in _BACKING.items()}
        return backing | {
            name: Program([str(PYTHON), "-m", f"veleta_{name}"], self.environment(name) | spark.environment(self, name))
            for name in self.services
        }

    def _provision_topics_and_tables(self, timeout: float) -> None:
        began = time.monotonic()
        subprocesses.run(
            [PYTHON, "-m", "veleta_prepare"],
            "topics and tables could not be created",
            folder=self.home,
            environment=self._supervisor.environment() | self.environment_of_prepare(),
            seconds=timeout,
        )
        self._report(f"topics and tables are ready ({time.monotonic() - began:.1f} s)")

    def _wait_until_ready(self, parts: Iterable[str], timeout: float) -> None:
        """Return when all parts are ready, and report each part once. Raises StartFailed."""
        began, lines = time.monotonic(), WaitingLines(self._report)
        waiting = list(parts)
        while waiting:
            reports = self.health(waiting)
            if self._watch:
                self._watch.check(reports)
            seconds = time.monotonic() - began
            for part in (part for part in waiting if reports[part].ready):
                self._report(f"{part} is ready ({seconds:.1f} s)")
            waiting = [part for part in waiting if not reports[part].ready]
            lines.show({part: reports[part] for part in waiting})
            if waiting and not any(state.up or state.pid for state in self.states().values()):
                raise LocalError("another command stopped the run: make start starts it again")
            if waiting and seconds > timeout:
                raise not_ready_in_time({part: reports[part] for part in waiting}, self.attempts)
            time.sleep(_POLL_SECONDS if waiting else 0)


def _names(variables: Iterable[str]) -> str:
    return ", ".join(name.upper() for name in variables)
