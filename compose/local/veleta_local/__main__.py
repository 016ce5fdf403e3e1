"""`python -m veleta_local start|stop|...` (see `_COMMANDS`). make passes its variables in the environment."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.events.catalogue import Command, Pause, Poll, Resume
from veleta_local import status, topics
from veleta_local.dead_letters import DeadLetters
from veleta_local.demo.run_demo import run_demo
from veleta_local.deployment import PYTHON, ROOT
from veleta_local.errors import LocalError
from veleta_local.memory import samples
from veleta_local.run import Run
from veleta_local.send_command import send_command
from veleta_local.supervise import base_environment
from veleta_local.variables import Variables

_HOME = ROOT / ".veleta"


def _demo() -> None:
    run_demo(_HOME, _variables())


def _start() -> None:
    variables = _variables()
    run = Run(_HOME, variables)
    run.start(variables.start_timeout)
    print(f"\nmonitor   {run.url('monitor')}\npredict   {run.url('inference')}/predict\nMLflow    {run.mlflow_url}")
    print(f"addresses for other tools: {_HOME / 'env'}; logs: {_HOME / 'logs'}")


def _variables() -> Variables:
    return Variables.from_environment(os.environ, Path.cwd())


def _stop() -> None:
    Run(_HOME).stop()


def _status() -> None:
    render = status.as_json if os.environ.get("JSON") == "1" else status.as_table
    print(render(Run(_HOME)))


def _topics() -> None:
    bootstrap = Run(_HOME).kafka_bootstrap
    print(topics.listing(bootstrap, topics.names(bootstrap)))


def _tail() -> None:
    name, count, start = os.environ.get("TOPIC"), _number("N") or 10, _number("FROM")
    if not name:
        raise LocalError("pass a topic: make tail TOPIC=name (make topics lists them)")
    for event in topics.tail(Run(_HOME).kafka_bootstrap, name, start, count):
        print(event)


def _dead() -> None:
    run = Run(_HOME)
    letters = DeadLetters(run.kafka_bootstrap, _dataset(run))
    if letter_id := os.environ.get("RESEND"):
        print(letters.resend(letter_id))
        return
    for letter in letters.listing():
        print(letter)


def _send(kind: type[Command]) -> None:
    run = Run(_HOME)
    print(send_command(run.kafka_bootstrap, kind, _dataset(run), os.environ.get("REASON", "")))


def _dataset(run: Run) -> str:
    return load_dataset(run.dataset).name


def _number(name: str) -> int | None:
    value = os.environ.get(name)
    if value and not value.isdecimal():
        raise LocalError(f"{name}={value} is not a whole number")
    return int(value) if value else None


def _memory() -> None:
    for line in samples(Run(_HOME), float(_number("EVERY") or 10)):
        print(line, flush=True)


def _notebooks() -> None:
    _exec("veleta_notebooks", str(ROOT / "notebooks"), Run.environment_of_notebooks)


def _purge() -> None:
    if not (request := os.environ.get("REQUEST_ID")):
        raise LocalError("pass a request: make purge REQUEST_ID=id (its own id, or the X-Request-ID of its client)")
    _exec("veleta_retention.purge", request, partial(Run.environment, service="retention"))


def _exec(module: str, argument: str, environment: Callable[[Run], dict[str, str]]) -> None:
    """Replace this process by a module that uses the run, which must be up. Does not return."""
    run = Run(_HOME)
    if not run.alive():
        raise LocalError("the run is down: make start first")
    command = [str(PYTHON), "-m", module, argument]
    os.execve(PYTHON, command, base_environment() | environment(run))  # noqa: S606 - no shell is wanted


def _clean() -> None:
    Run(_HOME).clean()


_COMMANDS: dict[str, Callable[[], None]] = {
    "demo": _demo,
    "start": _start,
    "stop": _stop,
    "status": _status,
    "poll": partial(_send, Poll),
    "pause": partial(_send, Pause),
    "resume": partial(_send, Resume),
    "topics": _topics,
    "tail": _tail,
    "dead": _dead,
    "purge": _purge,
    "memory": _memory,
    "notebooks": _notebooks,
    "clean": _clean,
}


def main(arguments: list[str]) -> int:
    """Run one command: the exit code. An error is one line."""
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        print(f"python -m veleta_local {'|'.join(_COMMANDS)}", file=sys.stderr)
        return 1
    try:
        _COMMANDS[arguments[0]]()
    except (LocalError, Stop) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: started parts still run; make start waits for them, make stop ends them", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
