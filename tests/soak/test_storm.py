"""A run under kills and outages, with clients that never pause; afterwards everything is counted.

`make soak` takes SOAK_S (600), the seconds of the storm; SEED (by chance), with which a storm is repeated; KEEP=1,
which leaves the run up and its folder in place; and PORT_BASE. One batch is handed out for every 15 s of the storm, at
least 6, and 100 from 1,500 s on.
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
from support.storm.api import RememberingApi
from support.storm.audit import Found, judge, table
from support.storm.client import CUT, NO_ANSWER, Client, Reply
from support.storm.faults import Storm, plan
from support.storm.reading import Reader
from support.world import free_base
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
"""The rest of the time goes into what a fault keeps the poller from."""
START_SECONDS, RECOVERY_SECONDS, SETTLE_SECONDS = 300.0, 300.0, 900.0
STILL_SECONDS = 10.0
"""So long nothing may be left to do before it counts as settled: the poller may have a batch in its hands."""


def say(text: str) -> None:
    """Tell people how far it is; pytest is told not to keep it back."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def running(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run of its own that takes batches from the API at `url`; removed at the end, unless KEEP=1.

    Whoever is killed leaves its temporary files behind, so these lie in the run's folder too.
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
    run = Run(top / "run", variables, say=say)
    try:
        yield run
    finally:
        if KEEP:
            say(f"\nkept: PORT_BASE={variables.port_base}, the run's folder is {run.home}; this ends it:")
            say(f"{PYTHON} -c \"import pathlib, veleta_local.run as r; r.Run(pathlib.Path('{run.home}')).stop()\"")
        else:
            run.stop()
            shutil.rmtree(top)


@pytest.fixture(scope="module")
def api() -> RememberingApi:
    return RememberingApi(BATCHES, SEED)


@pytest.fixture(scope="module")
def run(api: RememberingApi) -> Iterator[Run]:
    say(f"\nSEED={SEED} SOAK_S={SECONDS:g}: {BATCHES} batches")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        data_api(api.data, api.restart) as url,
        running(url, monkeypatch) as made,
    ):
        made.start(START_SECONDS)
        yield made


def test_nothing_is_lost_doubled_or_wrong_after_a_storm(run: Run, api: RememberingApi) -> None:
    """Every batch, row, verdict, training, version, decision and answered request is there once and right."""
    storm = Storm(run, plan(SEED, SECONDS, BACKING, run.services), say)
    client = Client(run.url("inference"), DATASET.example, SEED)
    reader = Reader(run, DATASET)
    with client.posting():
        api.open.set()
        storm.rage()
        say(f"\nthe storm is over (SEED={SEED})\n{storm.table()}\n")
        unready = _recovered(run)
        before = {part: state.pid for part, state in run.states().items()}
        unsettled = _settled(run, api, reader)
        restarted = [part for part, state in run.states().items() if state.pid != before[part]]
    found = reader.found()
    counts = judge(DATASET, api.handed, found, client.replies, {part: storm.kills_of(part) for part in run.parts})
    say(f"\n{table(counts)}\n\n{_remarks(found, client.replies)}")
    assert not unready, f"not ready again after {RECOVERY_SECONDS:g} s: {unready}"
    assert not restarted, f"restarted though the storm was over: {restarted}"
    assert not unsettled, f"not settled after {SETTLE_SECONDS:g} s: {unsettled}"
    assert [each.what for each in counts if not each.ok] == []
    assert api.exhausted


def _recovered(run: Run) -> str:
    """Wait until each part is ready; the parts that are not, with their words."""

    def waiting() -> list[str]:
        return [f"{part}: {health}" for part, health in run.health(run.parts).items() if not health.ready]

    return _until_none(waiting, RECOVERY_SECONDS, "all parts are ready again")


def _settled(run: Run, api: RememberingApi, reader: Reader) -> str:
    """Wait until everything that was handed out has come to its end; what has not, in words."""
    quiet_since: float | None = None

    def left() -> list[str]:
        nonlocal quiet_since
        to_come = [] if api.exhausted else [f"{BATCHES - len(api.handed)} batches to hand out"]
        waiting = len(list((run.home / "inbox").glob("*.body")))
        in_hand = [f"{waiting} answers in the inbox"] if waiting else []
        under_way = to_come or in_hand or reader.unsettled()
        if under_way:
            quiet_since = None
            return under_way
        quiet_since = quiet_since or time.monotonic()
        still = time.monotonic() - quiet_since > POLL_EVERY + STILL_SECONDS
        return [] if still else ["the last look"]

    return _until_none(left, SETTLE_SECONDS, "all is settled")


def _until_none(left: Callable[[], Sequence[str]], seconds: float, what: str) -> str:
    """Ask until nothing is left: what was left when the time was over."""
    began, last = time.monotonic(), ""
    while words := "; ".join(left()):
        if words != last:
            say(f"  {time.monotonic() - began:5.0f} s  {words}")
        if time.monotonic() - began > seconds:
            return words
        last = words
        time.sleep(1)
    say(f"{what} ({time.monotonic() - began:.0f} s)")
    return ""


def _remarks(found: Found, replies: Sequence[Reply]) -> str:
    """What no count judges."""
    names = {CUT: "cut", NO_ANSWER: "no answer"}
    letters = Counter(
        f"{said.value['service']}: {said.value['reason']} ({said.value['error'][:100]})" for said in found.deadletter
    )
    tallies = {
        "answers": Counter(names.get(reply.status, str(reply.status)) for reply in replies),
        "503": Counter(str(reply.body.get("detail", ""))[:90] for reply in replies if reply.status == 503),
        "batches": Counter(each.state for each in found.batch_rows),
        "verdicts": Counter(word for _, word in found.reports),
        "trainings": Counter(state for _, state, _ in found.trainings),
        "decisions": Counter(each.decision for each in found.decisions),
        "dead letters": letters,
    }
    return "\n".join(f"{name}: {dict(tally) or 'none'}" for name, tally in tallies.items())
