"""A run under kills and outages, with clients that post all the time; the audit then compares everything.

`make soak` takes SOAK_S (600), the seconds of the storm; SEED (random), which repeats a storm; KEEP=1, which leaves the
run running and its folder in place; and PORT_BASE. The API serves one batch for every 15 s of the storm, at least 6, at
most 100.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.http import data_api
from support.storm.api import RecordingApi
from support.storm.audit import SystemState, audit_checks, table
from support.storm.client import DISCONNECTED, NO_ANSWER, Client, Response
from support.storm.faults import Storm, plan
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
STILL_SECONDS = 10.0
"""How long nothing may be pending before the run counts as settled: the poller may hold a batch."""


def print_line(text: str) -> None:
    """Print progress; pytest runs with -s."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def running(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
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
    run = Run(top / "run", variables, report=print_line)
    try:
        yield run
    finally:
        if KEEP:
            print_line(f"\nthe run stays up: PORT_BASE={variables.port_base}, folder {run.home}; to stop it:")
            print_line(
                f"{PYTHON} -c \"import pathlib, veleta_local.run as r; r.Run(pathlib.Path('{run.home}')).stop()\""
            )
        else:
            run.stop()
            shutil.rmtree(top)


@pytest.fixture(scope="module")
def api() -> RecordingApi:
    return RecordingApi(BATCHES, SEED)


@pytest.fixture(scope="module")
def run(api: RecordingApi) -> Iterator[Run]:
    print_line(f"\nSEED={SEED} SOAK_S={SECONDS:g}: {BATCHES} batches")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        data_api(api.data, api.restart) as url,
        running(url, monkeypatch) as made,
    ):
        made.start(START_SECONDS)
        yield made


def test_nothing_is_lost_doubled_or_wrong_after_a_storm(run: Run, api: RecordingApi) -> None:
    """Every batch, row, verdict, training, version, decision and answered request exists once and is right."""
    storm = Storm(run, plan(SEED, SECONDS, BACKING, run.services), print_line)
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
    state = reader.read()
    counts = audit_checks(
        DATASET, api.served, state, client.responses, {part: storm.kills_of(part) for part in run.parts}
    )
    print_line(f"\n{table(counts)}\n\n{_remarks(state, client.responses)}")
    assert not unready, f"not ready again after {RECOVERY_SECONDS:g} s: {unready}"
    assert not restarted, f"restarted after the storm: {restarted}"
    assert not unsettled, f"not settled after {SETTLE_SECONDS:g} s: {unsettled}"
    assert [each.what for each in counts if not each.ok] == []
    assert api.exhausted


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
