"""A run under faults of every kind, with clients that post all the time; the audit then compares everything.

Parts are killed, stopped and frozen, disks are full, the clock jumps by two hours, and champions are deleted by hand.

`make soak` takes SOAK_S (600), the seconds of the storm; SEED (random), which repeats a storm; KEEP=1, which leaves the
run running and its folder in place; and PORT_BASE. The API serves one batch for every 15 s of the storm, at least 6, at
most 100. It needs root, because each part has a small disk, and libfaketime, which `make soak` installs.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.disk import CannotMount, SmallDisk, on_small_disk
from support.http import data_api
from support.storm.api import RecordingApi
from support.storm.audit import SystemState, audit_checks, table
from support.storm.client import DISCONNECTED, NO_ANSWER, Client, Response
from support.storm.clock import CannotJump, ClockedRun, JumpingClock
from support.storm.deletions import Deletions
from support.storm.execution import Storm
from support.storm.faults import DISKS, plan
from support.storm.state_reader import StateReader
from support.testbed import free_base
from veleta.dataset import load_dataset
from veleta_local.deployment import BACKING, PYTHON
from veleta_local.run import Run
from veleta_local.variables import Variables

DATASET = load_dataset("real_estate")
SECONDS = float(os.environ.get("SOAK_S") or 600)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
KEEP = os.environ.get("KEEP") == "1"
BATCHES = max(6, min(100, int(SECONDS / 15)))
POLL_EVERY = 0.6 * SECONDS / BATCHES
"""The rest of the time compensates for faults of the poller."""
START_SECONDS, RECOVERY_SECONDS, SETTLE_SECONDS = 300.0, 300.0, 900.0
MEGABYTES = 1024
"""The size of each disk. The poller fetches no batch below 512 MiB."""
STILL_SECONDS = 10.0
"""How long nothing may be pending before the run counts as settled: the poller may hold a batch."""


def print_line(text: str) -> None:
    """Print progress; pytest runs with -s."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Stage:
    """A run, the disks of its parts and the clock that it follows."""

    run: Run
    disks: dict[str, SmallDisk]
    clock: JumpingClock


@contextmanager
def running(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A run that polls the API at `url`; deleted at the end, unless KEEP=1.

    A killed process leaves its temporary files behind, so these are in the run's folder too.
    """
    top = Path(tempfile.mkdtemp(prefix="veleta-storm-"))
    (top / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(top / "tmp"))
    variables = Variables(
        api_url=url,
        at_end="restart",
        on_new_epoch="keep",
        poll_every=f"{POLL_EVERY:.1f}",
        trees="20",
        port_base=os.environ.get("PORT_BASE") or str(free_base()),
    )
    try:
        clock = JumpingClock(top / "clock")
    except CannotJump as reason:
        pytest.skip(str(reason))
    run, mounts = ClockedRun(top / "run", variables, clock, print_line), ExitStack()
    try:
        run.start_backing()  # Kafka and MariaDB format their folders
        run.stop()
        disks = {disk: mounts.enter_context(on_small_disk(run.folder(disk), MEGABYTES)) for disk in DISKS}
        yield Stage(run, disks, clock)
    except CannotMount as reason:
        pytest.skip(str(reason))
    finally:
        if KEEP:
            print_line(f"\nthe run stays up: PORT_BASE={variables.port_base}, folder {run.home}; to stop it:")
            print_line(
                f"{PYTHON} -c \"import pathlib, veleta_local.run as r; r.Run(pathlib.Path('{run.home}')).stop()\""
            )
            print_line(f"then umount {' '.join(f'{run.home}/{disk}' for disk in DISKS)}")
        else:
            run.stop()
            mounts.close()
            shutil.rmtree(top)


@pytest.fixture(scope="module")
def api() -> RecordingApi:
    return RecordingApi(BATCHES, SEED)


@pytest.fixture(scope="module")
def stage(api: RecordingApi) -> Iterator[Stage]:
    print_line(f"\nSEED={SEED} SOAK_S={SECONDS:g}: {BATCHES} batches")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        data_api(api.data, api.restart) as url,
        running(url, monkeypatch) as made,
    ):
        made.run.start(START_SECONDS)
        yield made


@pytest.mark.failure("F145", "F330")
def test_nothing_is_lost_doubled_or_wrong_after_a_storm(stage: Stage, api: RecordingApi) -> None:
    """Every batch, row, verdict, training, version, decision and answered request exists once and is right."""
    run, faults = stage.run, plan(SEED, SECONDS, BACKING, stage.run.services)
    deletions = Deletions(run, DATASET.name, print_line)
    storm = Storm(run, faults, stage.disks, stage.clock, deletions, print_line)
    assert stage.clock.followers({part: run.pid(part) for part in run.parts}) == set(run.parts)
    client = Client(run.url("inference"), DATASET.example, SEED)
    reader = StateReader(run, DATASET)
    with client.posting():
        api.open.set()
        storm.execute()
        print_line(f"\nthe storm ended (SEED={SEED})\n{storm.table()}\n")
        unready = _recovered(run)
        before = {part: state.pid for part, state in run.states().items()}
        unsettled = _settled(run, api, reader)
        restarted = [part for part, state in run.states().items() if state.pid != before[part]]
        for part in restarted:
            print_line(f"\nthe end of the log of {part}, which restarted:\n{_log_end(run, part)}")
    state = reader.read()
    kills = {part: storm.interruptions_of(part) for part in run.parts}
    counts = audit_checks(DATASET, api.served, state, client.responses, kills, deletions.done)
    print_line(f"\n{table(counts)}\n\n{_remarks(state, client.responses)}")
    assert not unready, f"not ready again after {RECOVERY_SECONDS:g} s: {unready}"
    assert not restarted, f"restarted after the storm: {restarted}"
    assert not unsettled, f"not settled after {SETTLE_SECONDS:g} s: {unsettled}"
    assert [each.what for each in counts if not each.ok] == []
    assert api.exhausted


def _log_end(run: Run, part: str) -> str:
    return "\n".join((run.home / f"logs/{part}.log").read_text(errors="replace").splitlines()[-50:])


def _recovered(run: Run) -> str:
    """Wait until each part is ready. Returns the parts that are not, with the reason."""

    def waiting() -> list[str]:
        return [f"{part}: {health}" for part, health in run.health(run.parts).items() if not health.ready]

    return _until_none(waiting, RECOVERY_SECONDS, "all parts are ready again")


def _settled(run: Run, api: RecordingApi, reader: StateReader) -> str:
    """Wait until every served batch is fully processed. Returns what is pending."""
    quiet_since: float | None = None

    def left() -> list[str]:
        nonlocal quiet_since
        to_come = [] if api.exhausted else [f"{BATCHES - len(api.served)} batches to serve"]
        waiting = len(list((run.home / "inbox").glob("*.body")))
        in_hand = [f"{waiting} responses in the inbox"] if waiting else []
        under_way = to_come or in_hand or reader.unsettled()
        if under_way:
            quiet_since = None
            return under_way
        quiet_since = quiet_since or time.monotonic()
        still = time.monotonic() - quiet_since > POLL_EVERY + STILL_SECONDS
        return [] if still else ["the final check"]

    return _until_none(left, SETTLE_SECONDS, "all is settled")


def _until_none(left: Callable[[], Sequence[str]], seconds: float, what: str) -> str:
    """Wait until nothing is left. Returns what is left after the time-out."""
    began, last = time.monotonic(), ""
    while words := "; ".join(left()):
        if words != last:
            print_line(f"  {time.monotonic() - began:5.0f} s  {words}")
        if time.monotonic() - began > seconds:
            return words
        last = words
        time.sleep(1)
    print_line(f"{what} ({time.monotonic() - began:.0f} s)")
    return ""


def _remarks(state: SystemState, responses: Sequence[Response]) -> str:
    """Counts that no check covers."""
    names = {DISCONNECTED: "disconnected", NO_ANSWER: "no answer"}
    letters = Counter(
        f"{event.value['service']}: {event.value['reason']} ({event.value['error'][:100]})"
        for event in state.deadletter
    )
    tallies = {
        "answers": Counter(names.get(response.status, str(response.status)) for response in responses),
        "503": Counter(str(response.body.get("detail", ""))[:90] for response in responses if response.status == 503),
        "batches": Counter(each.state for each in state.batch_rows),
        "verdicts": Counter(word for _, word in state.reports),
        "trainings": Counter(state for _, state, _ in state.trainings),
        "decisions": Counter(each.decision for each in state.decisions),
        "dead letters": letters,
    }
    return "\n".join(f"{name}: {dict(tally) or 'none'}" for name, tally in tallies.items())
