"""The checks before a start: every fault at once, before a download, a folder or a process.

`veleta_source.preflight` checks the dataset file, the input and the API: it runs in the containers too.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from veleta_local import checks, disk_space, processes, spark
from veleta_local.deployment import PYTHON, ROOT, Deployment
from veleta_local.errors import LocalError
from veleta_local.output import WARNING, show
from veleta_local.supervise import base_environment
from veleta_local.variables import Variables

_SECONDS = 120
"""Until the check of the input is given up: it reads at most 50,000 rows."""
_WORKERS_PER_PROCESSOR = 4


def variables_of_start(home: Path, environ: Mapping[str, str], folder: Path) -> Variables:
    """The variables that make passed. Relative paths start at `folder`. With TARGET a dataset file is written for CSV.

    Raises:
        LocalError: some are wrong. The message has a line for each fault, also for those that `check` finds.
    """
    variables, faults = Variables.from_environment(environ, folder)
    if faults:
        try:
            faults += _faults(Deployment(home, variables))[0]
        except LocalError as error:
            faults.append(str(error))
        raise LocalError("\n".join(dict.fromkeys("\n".join(faults).splitlines())))
    return _with_proposal(variables, folder) if variables.target else variables


def check(run: Deployment, report: Callable[[str], None]) -> None:
    """Check everything that a start needs, and report the summary of the rows.

    Raises:
        LocalError: the message has a line for each fault.
    """
    faults, summary = _faults(run)
    if faults:
        raise LocalError("\n".join(faults))
    for line in (*run.adjusted, *summary):
        report(f"\n{line}\n" if line.startswith(WARNING) else line)


def _with_proposal(variables: Variables, folder: Path) -> Variables:
    """The variables with the dataset file for CSV and TARGET, which is written to `folder` if it is not there."""
    given = {"CSV": str(variables.csv), "TARGET": str(variables.target), "EXISTING": "use"}
    try:
        done = _run_source("veleta_source.propose", given, folder)
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"{variables.csv}: no dataset file could be written within {_SECONDS} s") from error
    if done.returncode:
        raise LocalError(done.stderr.strip() or "no dataset file could be written")
    show(done.stderr.strip())
    return variables.model_copy(update={"dataset": str((folder / done.stdout.strip()).resolve())})


def _faults(run: Deployment) -> tuple[list[str], list[str]]:
    """A line for each fault, and the summary of the rows."""
    summary, faults = _check_input(run)
    return [*_worker_faults(run), *spark.faults(run), *faults, *_port_faults(run), *_disk_faults(run)], summary


def _check_input(run: Deployment) -> tuple[list[str], list[str]]:
    """The lines about the rows and the faults, by the package of `source`."""
    try:
        done = _run_source("veleta_source.preflight", run.environment_of_preflight(), ROOT)
    except subprocess.TimeoutExpired:
        return [], [f"{run.variables.csv}: the file could not be checked within {_SECONDS} s"]
    lines = done.stderr.splitlines() if done.returncode else []
    return done.stdout.splitlines(), lines or (["the check of the input failed"] if done.returncode else [])


def _run_source(module: str, environment: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of the package of `source` in a folder. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        [PYTHON, "-m", module],
        cwd=folder,
        env=base_environment() | dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )


def _worker_faults(run: Deployment) -> Iterator[str]:
    """Workers beyond what the machine can run, unless the run already has them."""
    processors = len(os.sched_getaffinity(0))
    workers, most = run.variables.workers, processors * _WORKERS_PER_PROCESSOR
    if workers > most and workers != run.saved.workers:
        yield f"WORKERS={workers}: this machine has {processors} processors: use at most {most}"


def _port_faults(run: Deployment) -> Iterator[str]:
    """Ports of a run that is down. The ports of a run that is partly up are its own."""
    if processes.of_run(run.home):
        return
    base = run.variables.port_base
    if base and base != run.saved.port_base and (fault := checks.overlap(base)):
        yield fault
        return
    yield from checks.busy_ports({part: run.ports[part] for part in (*run.parts, "kafka-controller")})


def _disk_faults(run: Deployment) -> Iterator[str]:
    if fault := disk_space.shortage([(disk_space.RUN_MB, run.home)]):
        yield fault
