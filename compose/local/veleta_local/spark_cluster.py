"""The Spark cluster of a run on this machine: a standalone master and workers, as PySpark brings them.

Its processes have the mark of a run whose home is the cluster's folder. So `make stop` of the run does not end them.
"""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from veleta_local import checks, downloads, processes, subprocesses
from veleta_local.addresses import HOST
from veleta_local.deployment import ALLOCATOR, ROOT, Deployment
from veleta_local.errors import LocalError
from veleta_local.files import write_private
from veleta_local.log_errors import reason_of
from veleta_local.supervise import base_environment

MIN_WORKER_MEGABYTES = 1024
"""What an executor asks for: a smaller worker would never get one."""
MAX_WORKERS = 64
_MASTER = "master"
_CLASSES = "org.apache.spark.deploy."
_MEMORY = "512m"
OPTIONS = {
    "spark.authenticate": "true",
    "spark.master.rest.enabled": "false",  # it knows no secret
    "spark.ui.killEnabled": "false",  # the pages of master and workers know none either
    "spark.worker.cleanup.enabled": "true",
    "spark.worker.cleanup.interval": "600",
    "spark.worker.cleanup.appDataTtl": "3600",
}
_ANSWER_SECONDS = 5


class SparkCluster:
    """The cluster of one run. Each method works from any state of it."""

    def __init__(self, run: Deployment) -> None:
        self._run = run
        self.home = run.home / "spark"

    @property
    def address(self) -> str:
        """The address of the master; empty if it is down."""
        return f"spark://{HOST}:{self._ports()['spark']}" if _MASTER in self._daemons() else ""

    @property
    def page(self) -> str:
        """The address of the master's page."""
        return f"http://{HOST}:{self._ports()['spark-ui']}"

    def up(self, workers: int, megabytes: int, report: Callable[[str], None], timeout: float = 300) -> None:
        """Start what is down of the master and so many workers, and return when all work. What is up stays as it is.

        Raises:
            LocalError: they cannot work. What this call began has ended if nothing was up before.
        """
        if not 1 <= workers <= MAX_WORKERS:
            raise LocalError(f"SPARK_WORKERS={workers}: use a whole number from 1 up to {MAX_WORKERS}")
        if megabytes < MIN_WORKER_MEGABYTES:
            raise LocalError(f"SPARK_WORKER_MEMORY={megabytes}: use at least {MIN_WORKER_MEGABYTES} megabytes")
        running = self._daemons()
        if _MASTER not in running:
            ports = {name: self._run.ports[name] for name in ("spark", "spark-ui")}
            checks.ports_free(ports)
            downloads.ensure_pyspark(report)
            self._run.save_passwords()
            self._run.folder("spark/logs")
            write_private(self.home / "ports.json", json.dumps(ports))
        try:
            self._start(workers, megabytes, running)
            self._wait(workers, timeout)
        except LocalError:
            if not running:
                self.down()
            raise

    def down(self) -> None:
        """End all processes, and delete what they leave on disk. The logs of master and workers stay."""
        processes.end_run(self.home)
        for name in ("work", "tmp"):
            shutil.rmtree(self.home / name, ignore_errors=True)

    def _ports(self) -> dict[str, int]:
        """The ports of the running master, which may be up since before the run had another PORT_BASE."""
        try:
            ports: dict[str, int] = json.loads((self.home / "ports.json").read_text())
        except FileNotFoundError:
            return self._run.ports
        return ports

    def _daemons(self) -> set[str]:
        """The names of the master and the workers that run. Their executors have the same mark."""
        return {part for part, found in processes.by_part(self.home).items() if any(map(_is_daemon, found))}

    def _start(self, workers: int, megabytes: int, running: set[str]) -> None:
        port, page = self._ports()["spark"], self._ports()["spark-ui"]
        options = ["--host", HOST, "--port", str(port), "--webui-port", str(page)]
        commands = {_MASTER: ["master.Master", *options]}
        folder = str(self.home / "work")
        for number in range(1, workers + 1):
            options = ["--host", HOST, "--cores", "1", "--memory", f"{megabytes}m", "--work-dir", folder]
            commands[f"worker-{number}"] = ["worker.Worker", *options, "--webui-port", "0", f"spark://{HOST}:{port}"]
        for part in commands.keys() - running:
            self._spawn(part, commands[part])

    def _spawn(self, part: str, command: list[str]) -> None:
        """Start a daemon that outlives this process. `setsid` returns at once."""
        processes.kill_part(self.home, part)  # executors of a worker that was killed
        home = _pyspark()
        environment = base_environment() | ALLOCATOR
        environment |= {processes.HOME_MARK: str(self.home), processes.PART_MARK: part}
        environment |= {
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": HOST,  # otherwise the pages listen on all addresses
            "SPARK_LOCAL_DIRS": str(self.home / "tmp"),
            "SPARK_DAEMON_MEMORY": _MEMORY,
            "SPARK_DAEMON_JAVA_OPTS": " ".join(f"-D{name}={value}" for name, value in OPTIONS.items()),
            "_SPARK_AUTH_SECRET": self._run.spark_secret,  # other accounts see arguments
        }
        program = ["setsid", "--fork", "sh", "-c", 'exec "$@" >"$0" 2>&1', self._log(part)]
        subprocesses.run(
            [*program, home / "bin/spark-class", f"{_CLASSES}{command[0]}", *command[1:]],
            f"{part} of Spark could not be started",
            folder=self.home,
            environment=environment,
        )

    def _wait(self, workers: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        wanted = {_MASTER, *(f"worker-{number}" for number in range(1, workers + 1))}
        while (alive := self._alive_workers()) < workers:
            if ended := sorted(wanted - self._daemons()):
                reason = reason_of(self._log(ended[0]).read_text(errors="replace"))
                raise LocalError(f"{ended[0]} of Spark ended: {reason or self._log(ended[0])}")
            if time.monotonic() > deadline:
                raise LocalError(f"{alive} of {workers} workers of Spark answer after {timeout:g} s: {self.home}/logs")
            time.sleep(0.3)

    def _alive_workers(self) -> int:
        """The workers that the master knows; 0 if it does not answer."""
        connection = HTTPConnection(HOST, self._ports()["spark-ui"], timeout=_ANSWER_SECONDS)
        with closing(connection), suppress(OSError, HTTPException):
            connection.request("GET", "/json/")
            return int(json.load(connection.getresponse())["aliveworkers"])
        return 0

    def _log(self, part: str) -> Path:
        return self.home / "logs" / f"{part}.log"


def _pyspark() -> Path:
    """The folder of PySpark, which this process may have installed."""
    (found,) = ROOT.glob(".venv/lib/python3*/site-packages/pyspark")
    return found


def _is_daemon(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any(argument.startswith(_CLASSES) for argument in process.cmdline())
    return False
