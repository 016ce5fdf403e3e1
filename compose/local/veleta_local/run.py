"""A run: what `make start` and `make stop` do, and what the tests hold in their hands."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from veleta.dataset import load_dataset
from veleta_local import checks, commands, downloads, health, kafka, mariadb, mlflow_server, processes
from veleta_local.deployment import BACKING, PYTHON, Deployment
from veleta_local.errors import LocalError
from veleta_local.files import locked, shell_lines, write_private
from veleta_local.health import Health
from veleta_local.supervise import Program, State, Supervisor
from veleta_local.variables import Variables

_BACKING = {"kafka": kafka, "mysql": mariadb, "mlflow": mlflow_server}
_PAUSE = 0.3


class Run(Deployment):
    """One deployment on this machine. Each method goes on from whatever state the run is in."""

    def __init__(self, home: Path, variables: Variables | None = None, say: Callable[[str], None] = print) -> None:
        super().__init__(home, variables)
        self._say = say
        self._supervisor = Supervisor(self)

    def start_backing(self, timeout: float = 600) -> None:
        """Kafka, MariaDB and MLflow, started and answering; no topics and no databases in them."""
        with self._alone():
            self._begin_backing(BACKING)
        self._wait(BACKING, timeout)

    def start(self, timeout: float = 600) -> None:
        """Everything, until each part is ready."""
        until = time.monotonic() + timeout
        if self.begin(timeout):
            self._wait([part for part in self.awaited if part not in ("kafka", "mysql")], until - time.monotonic())

    def begin(self, timeout: float = 600) -> bool:
        """Start what is down; the services become ready by themselves. False: all of it was up and ready."""
        until = time.monotonic() + timeout
        if self._is_up():
            self._say("it runs already")
            return False
        with self._alone():
            self._check_input()
            self._begin_backing(self.parts)
            self._wait(("kafka", "mysql"), timeout)
            self._begin_services(until - time.monotonic())
        return True

    def stop(self) -> None:
        """End all of it, services first, and see to it that nothing is left."""
        if not self.home.exists():
            return
        with self._alone():
            (self.home / "env").unlink(missing_ok=True)
            for parts in (self.services, ("mlflow",), ("mysql", "kafka")):
                self._supervisor.stop(parts)
            self._supervisor.shutdown()

    def clean(self) -> None:
        """Forget the run and its data."""
        if self.alive():
            raise LocalError("the run is up: make stop first")
        if self.home.exists():
            shutil.rmtree(self.home)

    def alive(self) -> bool:
        """Whether any process of the run is there, supervised or left over."""
        return bool(processes.of(self.home))

    def states(self) -> dict[str, State]:
        """What supervisor says of each part."""
        down = {part: State("STOPPED", 0) for part in self.parts}
        return down | self._supervisor.states()

    def pid(self, part: str) -> int:
        """The process of a part; 0 when it has none."""
        return self.states()[part].pid

    def health(self, parts: Iterable[str]) -> dict[str, Health]:
        """The health of each part, all asked at once."""
        names = list(parts)
        with ThreadPoolExecutor(len(names)) as threads:
            return dict(zip(names, threads.map(lambda part: health.of(self, part), names), strict=True))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with locked(self.folder("") / "lock", wait=False):
            yield

    def _is_up(self) -> bool:
        states = self._supervisor.states()
        up = (
            not self._without_data()
            and self.variables == self.remembered
            and all(p in states and states[p].up for p in self.parts)
        )
        return up and all(each.ready for each in self.health(self.awaited).values())

    def _without_data(self) -> list[str]:
        return [part for part in BACKING if not (self.home / part).exists()]

    def _check_input(self) -> None:
        dataset = load_dataset(self.dataset)
        if self.variables.csv:
            checks.readable_file(Path(self.variables.csv))
        elif not self.variables.api_url and not dataset.generator:
            raise LocalError("what to read? make start CSV=file, or make start API_URL=address")

    def _begin_backing(self, wanted: Iterable[str]) -> None:
        """Start what is down of the backing parts, after a look at the ports of all that is wanted.

        A part whose data were deleted under it is begun again.
        """
        if not self._supervisor.states():
            processes.end(self.home)
        self._supervisor.stop(self._without_data())
        checks.ports_free(self._ports_of(self._down(wanted)))
        self._launch()
        for part in self._down(BACKING):
            _BACKING[part].prepare(self)
            self._supervisor.start([part])

    def _ports_of(self, parts: list[str]) -> dict[str, int]:
        names = [*parts, "kafka-controller"] if "kafka" in parts else parts
        return {name: self.ports[name] for name in names}

    def _launch(self) -> None:
        """Start supervisord; one that is there keeps its configuration, and so its variables."""
        if not self._supervisor.states():
            checks.disk(self.home)
            downloads.ensure(self._say)
            self.remember()
            self._supervisor.launch(self._programs())
        elif self.variables != self.remembered:
            names = ", ".join(name.upper() for name in self.variables.changed(self.remembered))
            raise LocalError(f"the run is up with another {names}: make stop first")

    def _programs(self) -> dict[str, Program]:
        backing = {part: module.program(self) for part, module in _BACKING.items()}
        return backing | {name: self._service(name) for name in self.services}

    def _service(self, name: str) -> Program:
        return Program([str(PYTHON), "-m", f"veleta_{name}"], self.environment(name))

    def _begin_services(self, timeout: float) -> None:
        """They wait for what they need by themselves, so all are started at once."""
        self._prepare(timeout)
        write_private(self.home / "env", shell_lines(self.environment_of_clients()))
        self._supervisor.start(self._down(self.services))

    def _prepare(self, timeout: float) -> None:
        """The job that makes topics, databases, tables and users."""
        began = time.monotonic()
        commands.run(
            [PYTHON, "-m", "veleta_prepare"],
            "topics and tables could not be made",
            folder=self.home,
            environment=self._supervisor.environment() | self.environment_of_prepare(),
            seconds=timeout,
        )
        self._say(f"topics and tables are there ({time.monotonic() - began:.1f} s)")

    def _down(self, parts: Iterable[str]) -> list[str]:
        states = self.states()
        return [part for part in parts if not states[part].up]

    def _wait(self, parts: Iterable[str], timeout: float) -> None:
        """Return when all are ready, telling of each as it comes."""
        began = time.monotonic()
        waiting = list(parts)
        while waiting:
            found = self.health(waiting)
            waiting = [part for part in found if not found[part].ready]
            seconds = time.monotonic() - began
            for part in (part for part in found if found[part].ready):
                self._say(f"{part} is ready ({seconds:.1f} s)")
            if waiting and not self._supervisor.states():
                raise LocalError("the run was ended from elsewhere: make start begins again")
            if waiting and seconds > timeout:
                raise LocalError(self._not_ready({part: found[part] for part in waiting}))
            time.sleep(_PAUSE if waiting else 0)

    def _not_ready(self, found: Mapping[str, Health]) -> str:
        words = [f"{part}: {each}{self._last_words(part, each)}" for part, each in found.items()]
        return f"not ready in time (START_TIMEOUT=): {' | '.join(words)}"

    def _last_words(self, part: str, found: Health) -> str:
        """A part that does not even listen has said why in its log."""
        log = self.log(part)
        if found.listens or not log.exists():
            return ""
        return f" ({log}: {commands.reason(log.read_text(errors='replace'))})"
