"""`python -m veleta_local start|stop|...` (see `_COMMANDS`). make passes its variables in the environment."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from veleta.adapters.kafka import KafkaLog
from veleta.api_keys import new_key
from veleta.dataset import load_dataset
from veleta.errors import Stop
from veleta.events.catalogue import (
    AcceptLevel,
    Cancel,
    Command,
    Pause,
    PinLevel,
    Poll,
    Promote,
    ResetLevel,
    Resume,
    Retrain,
    Rollback,
)
from veleta_local import spark, status, topics
from veleta_local.clean import clean
from veleta_local.dead_letters import DeadLetters
from veleta_local.demo.run_demo import run_demo, watch
from veleta_local.deployment import PYTHON, ROOT, Deployment
from veleta_local.errors import LocalError
from veleta_local.memory import samples
from veleta_local.output import discard_output, show, surviving_output
from veleta_local.preflight import check, variables_of_start
from veleta_local.record_format import as_json, as_text, title
from veleta_local.run import Run
from veleta_local.send_command import send_command
from veleta_local.spark_cluster import SparkCluster
from veleta_local.supervise import base_environment
from veleta_local.text import aligned
from veleta_local.variables import Variables

_HOME = ROOT / ".veleta"


def _demo() -> None:
    run_demo(_HOME, _variables())


def _watch() -> None:
    watch(_HOME)


def _check() -> None:
    check(Deployment(_HOME, _variables()), show)


def _start() -> None:
    variables = _variables()
    with surviving_output(lambda: None):  # a start that nobody watches goes on
        _start_and_report(variables)


def _start_and_report(variables: Variables) -> None:
    run = Run(_HOME, variables)
    run.start(variables.start_timeout)
    show(f"\nmonitor   {run.url('monitor')}\npredict   {run.url('inference')}/predict\nMLflow    {run.mlflow_url}")
    show(f"addresses for other tools: {_HOME / 'env'}; logs: {_HOME / 'logs'}")


def _variables() -> Variables:
    return variables_of_start(_HOME, os.environ, Path.cwd())


def _stop() -> None:
    Run(_HOME).stop()


def _status() -> None:
    render = status.as_json if _for_programs() else status.as_table
    show(render(Run(_HOME)))


def _topics() -> None:
    kafka = Run(_HOME).kafka
    log = KafkaLog(kafka, "topics")
    summaries = [topics.summary(log, name) for name in topics.names(kafka)]
    if _for_programs():
        _print_json({"topic": s.name, "records": s.records, "last": [*map(as_json, s.last)]} for s in summaries)
        return
    rows = [[s.name, f"{s.records:,}", ", ".join(map(title, s.last))] for s in summaries]
    _print_lines(aligned([["topic", "records", "last event"], *rows], right={1}))


def _tail() -> None:
    name, count, start = os.environ.get("TOPIC"), _number("N") or 10, _number("FROM")
    if not name:
        raise LocalError("pass a topic: make tail TOPIC=name (make topics lists them)")
    kafka = Run(_HOME).kafka
    topic = topics.find(name, topics.names(kafka))
    records = topics.tail(KafkaLog(kafka, "tail"), topic, start, count)
    if _for_programs():
        _print_json(map(as_json, records))
    else:
        _print_lines(map(as_text, records))


def _dead() -> None:
    run = Run(_HOME)
    letters = DeadLetters(run.kafka_operator, _dataset(run))
    if letter_id := os.environ.get("RESEND"):
        show(letters.resend(letter_id))
    elif _for_programs():
        _print_json(letters.objects())
    else:
        _print_lines(letters.listing())


def _send(kind: type[Command], **fields: float | None) -> None:
    run = Run(_HOME)
    show(send_command(run.kafka_operator, kind, _dataset(run), reason=os.environ.get("REASON", ""), **fields))


def _promote() -> None:
    if not (version := _number("VERSION")):
        raise LocalError("pass a version: make promote VERSION=n")
    if (dry := os.environ.get("DRY") or "0") not in ("0", "1"):
        raise LocalError(f"DRY={dry}: use 1 to check only, or 0")
    _send(Promote, version=version, expect=_number("EXPECT"), dry=dry == "1")


def _level() -> None:
    """Show the level of the market, or send one of three commands."""
    given = [name for name in ("PIN", "ACCEPT", "RESET") if os.environ.get(name)]
    if len(given) > 1:
        raise LocalError(f"{' and '.join(given)} exclude one another: use one")
    if not given:
        _exec("veleta_drift.show_level", [], Run.environment_of_readers)
    if load_dataset(Run(_HOME).dataset).market is None:
        raise LocalError("the dataset file declares no [market]")
    if given == ["PIN"]:
        _send(PinLevel, factor=_decimal("PIN"))
    elif os.environ[given[0]] != "1":
        raise LocalError(f"{given[0]}={os.environ[given[0]]}: use 1")
    else:
        _send(AcceptLevel if given == ["ACCEPT"] else ResetLevel)


def _decimal(name: str) -> float:
    try:
        return float(os.environ[name])
    except ValueError:
        raise LocalError(f"{name}={os.environ[name]} is not a number, as 1.07") from None


def _dataset(run: Run) -> str:
    return load_dataset(run.dataset).name


def _number(name: str) -> int | None:
    value = os.environ.get(name)
    if value and not value.isdecimal():
        raise LocalError(f"{name}={value} is not a whole number")
    return int(value) if value else None


def _for_programs() -> bool:
    return os.environ.get("JSON") == "1"


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        show(line)


def _print_json(objects: Iterable[object]) -> None:
    """One object in each line."""
    _print_lines(map(json.dumps, objects))


def _memory() -> None:
    _print_lines(samples(Run(_HOME), float(_number("EVERY") or 10)))


def _notebooks() -> None:
    _exec("veleta_notebooks", [str(ROOT / "notebooks")], Run.environment_of_notebooks)


def _replay() -> None:
    given = {name: os.environ[name] for name in ("POLICY", "KEEP") if os.environ.get(name)}
    _exec("veleta_drift.replay", [], lambda run: run.environment_of_replay() | given)


def _rows() -> None:
    if not Run(_HOME).alive():
        raise LocalError("pass a file: make backtest CSV=name. Without one a run must be up: make start")
    _exec("veleta_drift.run_rows", ["backtest.csv", "backtest.toml"], Run.environment_of_readers)


def _score() -> None:
    given = {name: os.environ[name] for name in ("CSV", "PARQUET", "OUT", "WORKERS") if os.environ.get(name)}
    _exec(
        "veleta_inference.score",
        [],
        lambda run: run.environment_of_scoring() | spark.of_command(run, os.environ, show) | given,
    )


def _purge() -> None:
    if not (request := os.environ.get("REQUEST_ID")):
        raise LocalError("pass a request: make purge REQUEST_ID=id (its own id, or the X-Request-ID of its client)")
    _exec("veleta_retention.purge", [request], partial(Run.environment, service="retention"))


def _report() -> None:
    if not (batch := os.environ.get("BATCH")):
        raise LocalError("pass a batch: make report BATCH=epoch/number (as 2/3)")
    path = os.environ.get("OUT") or "report.html"
    _exec("veleta_monitor.report", [batch, path], partial(Run.environment, service="monitor"))


def _exec(module: str, arguments: Sequence[str], environment: Callable[[Run], dict[str, str]]) -> None:
    """Replace this process by a module that uses the run, which must be up. Does not return."""
    run = Run(_HOME)
    if not run.alive():
        raise LocalError("the run is down: make start first")
    command = [str(PYTHON), "-m", module, *arguments]
    os.execve(PYTHON, command, base_environment() | environment(run))  # noqa: S606 - no shell is wanted


def _spark_up() -> None:
    run = Run(_HOME, _variables())
    workers, megabytes = _number("SPARK_WORKERS"), _number("SPARK_WORKER_MEMORY")
    cluster = SparkCluster(run)
    with run.lock():
        cluster.up(2 if workers is None else workers, 4096 if megabytes is None else megabytes, show)
    show(f"Spark is up: {cluster.address}; its page: {cluster.page}")
    show("make start ENGINE=spark uses it; make spark-down stops it")


def _spark_down() -> None:
    run = Run(_HOME)
    if run.home.exists():
        with run.lock():
            SparkCluster(run).down()


def _key() -> None:
    try:
        print(new_key(os.environ.get("NAME", ""), Deployment(_HOME).variables.api_keys))
    except ValueError as error:
        raise LocalError(str(error)) from error


def _clean() -> None:
    _print_lines(clean(Run(_HOME)))


_COMMANDS: dict[str, Callable[[], None]] = {
    "demo": _demo,
    "watch": _watch,
    "check": _check,
    "start": _start,
    "stop": _stop,
    "status": _status,
    "poll": partial(_send, Poll),
    "pause": partial(_send, Pause),
    "resume": partial(_send, Resume),
    "retrain": partial(_send, Retrain),
    "promote": _promote,
    "rollback": partial(_send, Rollback),
    "cancel": partial(_send, Cancel),
    "level": _level,
    "topics": _topics,
    "tail": _tail,
    "dead": _dead,
    "replay": _replay,
    "rows": _rows,
    "score": _score,
    "purge": _purge,
    "report": _report,
    "key": _key,
    "memory": _memory,
    "notebooks": _notebooks,
    "spark-up": _spark_up,
    "spark-down": _spark_down,
    "clean": _clean,
}


def main(arguments: list[str]) -> int:
    """Run one command: the exit code. An error is one line. A reader that closes the pipe, as head, is no error."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 0
    return code


def _run(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        return _fail(f"python -m veleta_local {'|'.join(_COMMANDS)}")
    try:
        _COMMANDS[arguments[0]]()
    except (LocalError, Stop) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted: started parts still run; make start waits for them, make stop ends them")
    return 0


def _fail(text: str) -> int:
    try:
        show(text, error=True)
    except OSError:  # nobody reads it
        discard_output()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
