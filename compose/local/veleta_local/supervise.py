"""Configures and starts supervisord, which restarts parts that end, and calls it over its unix socket.

The configuration contains no value of the run, because paths and passwords would need its quoting (%, ; and # are
special). Each part is started by a small sh script, and all paths are relative to the home.
"""

import http.client
import os
import shlex
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy, Transport

from veleta_local import processes, subprocesses
from veleta_local.deployment import PYTHON, ROOT, Deployment
from veleta_local.errors import LocalError
from veleta_local.files import private_folder, shell_lines, write_private

UP = ("STARTING", "RUNNING", "BACKOFF")
TIMEOUT_SECONDS = 3.0
"""supervisord does not wait for anything before it answers."""
STOP_WAIT_SECONDS = 30
"""A part that has not ended this long after SIGTERM gets SIGKILL."""

_HEAD = """\
[supervisord]
pidfile = supervisor/supervisord.pid
logfile = logs/supervisord.log
logfile_maxbytes = 5MB
logfile_backups = 2
childlogdir = logs

[unix_http_server]
file = {socket}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# A service may end again and again while a dependency is unavailable, so supervisord must not stop restarting it.
_PROGRAM = """
[program:{part}]
command = /bin/sh supervisor/{part}.sh
autostart = false
autorestart = true
startsecs = 1
startretries = 1000000
stopasgroup = true
killasgroup = true
stopwaitsecs = {stop_wait_seconds}
redirect_stderr = true
stdout_logfile = logs/{part}.log
stdout_logfile_maxbytes = 5MB
stdout_logfile_backups = 2
"""


@dataclass(frozen=True)
class Program:
    """The command of one part, with its environment."""

    command: list[str]
    environment: Mapping[str, str]

    def clean_exec(self, part: str, temporary: Path) -> "Program":
        """The same program; it first removes what is left of the part's previous process.

        `temporary` is the folder of its temporary files, which is emptied too.
        """
        command = [str(PYTHON), "-m", "veleta_local.clean_exec", str(temporary), *self.command]
        return Program(command, {**self.environment, processes.PART_MARK: part})

    def script(self) -> str:
        """A shell script. The program replaces the shell, so that it has the process id and gets the signals."""
        return f"set -a\n{shell_lines(self.environment)}exec {shlex.join(self.command)}\n"


@dataclass(frozen=True)
class State:
    """The state of one part's process in supervisord. `pid` is 0 if there is no process."""

    name: str
    pid: int

    @property
    def up(self) -> bool:
        return self.name in UP


class Unresponsive(LocalError):
    """supervisord runs and does not answer: it is frozen, or the machine is overloaded."""

    def __init__(self) -> None:
        super().__init__(f"supervisord does not answer within {TIMEOUT_SECONDS:g} s: make stop ends the run")


class Ended(LocalError):
    """supervisord has ended."""

    def __init__(self) -> None:
        super().__init__("supervisord has ended: make start starts it again")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket, whose path is the host."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(self.host)


class _UnixTransport(Transport):
    """XML-RPC over a unix socket, with a time-out."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = self._connection[1] or _UnixConnection(str(self._path))
        self._connection = host, connection
        return connection


class Supervisor:
    """The supervisord of one run. Each method raises Unresponsive if it runs and does not answer."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._socket = deployment.sockets / "supervisor.sock"

    def states(self) -> dict[str, State]:
        """The state of each part; empty if supervisord does not run or shuts down."""
        try:
            with self._rpc() as supervisor:
                return {info["name"]: State(info["statename"], info["pid"]) for info in supervisor.getAllProcessInfo()}
        except (Ended, Fault):
            return {}

    def spawn(self, programs: Mapping[str, Program]) -> None:
        """Start supervisord as a daemon that runs no part yet. The sockets of a killed one are deleted."""
        shutil.rmtree(self._deployment.sockets, ignore_errors=True)
        private_folder(self._deployment.sockets)
        self._write_configuration(programs)
        command = [PYTHON, "-m", "supervisor.supervisord", "-c", "supervisor/supervisord.conf"]
        home = self._deployment.home
        subprocesses.run(command, "supervisord could not start", folder=home, environment=self.environment())

    def start(self, parts: Iterable[str]) -> None:
        """Start the parts that are down. Returns before they are ready. Raises Ended."""
        if not (states := self._states_after_stopping()):
            raise Ended
        with self._rpc() as supervisor:
            for part in parts:
                if not states[part].up:
                    with suppress(Fault):  # supervisord restarted it meanwhile
                        supervisor.startProcess(part, False)

    def stop(self, parts: Iterable[str]) -> None:
        """Stop the parts in parallel, and return when their processes have ended."""
        if not (states := self.states()):
            return
        with suppress(Ended), self._rpc() as supervisor:
            for part in parts:
                if part in states and states[part].up:
                    with suppress(Fault):  # it ended meanwhile
                        supervisor.stopProcess(part, False)
        self._states_after_stopping()

    def shutdown(self) -> None:
        """End supervisord and all processes of the run, and delete the folder in /tmp."""
        try:
            if self.states():
                with suppress(Ended), self._rpc() as supervisor:
                    supervisor.shutdown()
        except Unresponsive:
            processes.kill_part(self._deployment.home, processes.SUPERVISORD)
        processes.end_run(self._deployment.home)
        shutil.rmtree(self._deployment.sockets, ignore_errors=True)

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        with ServerProxy("http://supervisor", transport=_UnixTransport(self._socket)) as proxy:
            try:
                yield proxy.supervisor
            except (TimeoutError, BlockingIOError) as error:
                raise Unresponsive from error
            except (OSError, http.client.HTTPException) as error:
                raise Ended from error

    def _states_after_stopping(self) -> dict[str, State]:
        states = self.states()
        while any(state.name == "STOPPING" for state in states.values()):
            time.sleep(0.1)
            states = self.states()
        return states

    def _write_configuration(self, programs: Mapping[str, Program]) -> None:
        self._deployment.folder("logs")
        folder = self._deployment.folder("supervisor")
        for part, program in programs.items():
            write_private(
                folder / f"{part}.sh", program.clean_exec(part, self._deployment.sockets / f"tmp-{part}").script()
            )
        blocks = [_PROGRAM.format(part=part, stop_wait_seconds=STOP_WAIT_SECONDS) for part in programs]
        write_private(folder / "supervisord.conf", _HEAD.format(socket=self._socket) + "".join(blocks))

    def environment(self) -> dict[str, str]:
        """The base environment with the mark by which the processes of a run are found."""
        return base_environment() | {processes.HOME_MARK: str(self._deployment.home)}


def base_environment() -> dict[str, str]:
    """The environment of every child process: of the caller's only PATH, HOME and TMPDIR."""
    inherited = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    path = f"{ROOT / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"
    return inherited | {"PATH": path, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "GIT_PYTHON_REFRESH": "quiet"}
