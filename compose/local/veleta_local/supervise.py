"""Supervisor restarts what dies: writes its configuration, starts it, and talks to it over its unix socket.

No value of the run stands in the configuration, whose quoting rules (%, ; and # have meanings) no path or
password should have to meet: each part is started by a small sh script of its own, and all paths are relative
to the home.
"""

import http.client
import os
import shlex
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from veleta_local import commands, processes
from veleta_local.deployment import PYTHON, ROOT, Deployment
from veleta_local.files import private_folder, shell_lines, write_private

UP = ("STARTING", "RUNNING", "BACKOFF")

_HEAD = """\
[supervisord]
pidfile = supervisor/supervisord.pid
logfile = logs/supervisord.log
childlogdir = logs

[unix_http_server]
file = {socket}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# A service may die for as long as what it needs is away, so supervisor must never give up on it.
_PROGRAM = """
[program:{part}]
command = /bin/sh supervisor/{part}.sh
autostart = false
autorestart = true
startsecs = 1
startretries = 1000000
stopasgroup = true
killasgroup = true
stopwaitsecs = 30
redirect_stderr = true
stdout_logfile = logs/{part}.log
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 2
"""


@dataclass(frozen=True)
class Program:
    """What supervisor runs for one part."""

    command: list[str]
    environment: Mapping[str, str]

    def afresh(self, part: str) -> "Program":
        """The same, after what a killed process of the part left behind was ended."""
        command = [str(PYTHON), "-m", "veleta_local.afresh", *self.command]
        return Program(command, {**self.environment, processes.PART: part})

    def script(self) -> str:
        """The shell becomes the program, so signals and the process id are the program's own."""
        return f"set -a\n{shell_lines(self.environment)}exec {shlex.join(self.command)}\n"


@dataclass(frozen=True)
class State:
    """What supervisor says of one part; pid is 0 when there is no process."""

    name: str
    pid: int

    @property
    def up(self) -> bool:
        return self.name in UP


class Supervisor:
    """The supervisord of one run."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._socket = deployment.sockets / "supervisor.sock"

    def states(self) -> dict[str, State]:
        """The state of each part; none at all when no supervisord answers, or it is shutting down."""
        try:
            with self._calls() as supervisor:
                return {each["name"]: State(each["statename"], each["pid"]) for each in supervisor.getAllProcessInfo()}
        except (OSError, http.client.HTTPException, Fault):
            return {}

    def launch(self, programs: Mapping[str, Program]) -> None:
        """A daemon that starts nothing by itself; the sockets of a killed one go."""
        shutil.rmtree(self._deployment.sockets, ignore_errors=True)
        private_folder(self._deployment.sockets)
        self._write(programs)
        command = [PYTHON, "-m", "supervisor.supervisord", "-c", "supervisor/supervisord.conf"]
        home = self._deployment.home
        commands.run(command, "supervisord does not start", folder=home, environment=self.environment())

    def start(self, parts: Iterable[str]) -> None:
        """Start those that are down; returns before they answer."""
        states = self._settled()
        with self._calls() as supervisor:
            for part in parts:
                if not states[part].up:
                    with suppress(Fault):  # it has been restarted in between
                        supervisor.startProcess(part, False)

    def stop(self, parts: Iterable[str]) -> None:
        """Ask them all at once, and return when their processes have ended."""
        if not (states := self.states()):
            return
        with self._calls() as supervisor:
            for part in parts:
                if part in states and states[part].up:
                    with suppress(Fault):  # it has died in between
                        supervisor.stopProcess(part, False)
        self._settled()

    def shutdown(self) -> None:
        """End supervisord, whatever it still runs, and its folder in /tmp."""
        if self.states():
            with self._calls() as supervisor:
                supervisor.shutdown()
        processes.end(self._deployment.home)
        shutil.rmtree(self._deployment.sockets, ignore_errors=True)

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        with ServerProxy("http://supervisor", transport=transport) as proxy:
            yield proxy.supervisor

    def _settled(self) -> dict[str, State]:
        states = self.states()
        while any(state.name == "STOPPING" for state in states.values()):
            time.sleep(0.1)
            states = self.states()
        return states

    def _write(self, programs: Mapping[str, Program]) -> None:
        self._deployment.folder("logs")
        folder = self._deployment.folder("supervisor")
        for part, program in programs.items():
            write_private(folder / f"{part}.sh", program.afresh(part).script())
        blocks = [_PROGRAM.format(part=part) for part in programs]
        write_private(folder / "supervisord.conf", _HEAD.format(socket=self._socket) + "".join(blocks))

    def environment(self) -> dict[str, str]:
        """What every child gets, with the mark by which the processes of a run are found."""
        return base_environment() | {processes.MARK: str(self._deployment.home)}


def base_environment() -> dict[str, str]:
    """What every child gets: nothing of the caller's but where things are."""
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    path = f"{ROOT / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "GIT_PYTHON_REFRESH": "quiet"}
