"""REQUESTS (2,000,000) requests in one run, over at least LOAD_S (600) seconds, with JOURNAL_SYNC (group)."""

import os
import sys
import time
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import sqlalchemy as sa

from support.http import ANSWERED, JOURNAL, metric
from support.load import OK, Answer, load
from support.models import Models, synthetic
from support.testbed import Process, Testbed, wait_until
from veleta.tables import dataset_tables

REQUESTS = int(os.environ.get("REQUESTS") or 2_000_000)
LOAD_SECONDS = float(os.environ.get("LOAD_S") or 600)
SYNC = os.environ.get("JOURNAL_SYNC") or "group"
CONNECTIONS, ROWS = 64, 200
SAMPLE_SECONDS = 1.0
WARM_MEMORY = 1.1
"""The largest ratio of the last memory reading to the first one after the warm-up."""
JOURNAL_BYTES = 2**20
"""How much larger the journal may be in the last third than in the first: at most a second's requests."""
HEAD = "\n     s | requests |  a second |     p50 |     p99 |   p99.9 | memory, MB | journal, kB; times in ms\n"


@dataclass(frozen=True)
class Sample:
    """Memory and journal size, in bytes, at a Unix time."""

    at: float
    memory: int
    journal: float


@pytest.mark.failure("F22")
def test_two_million_requests_in_one_run(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """Each request is answered and stored once; after the warm-up memory is constant, and the journal does not grow."""
    Models(fresh_testbed).promote()
    with fresh_testbed.service("inference", "inference", journal_sync=SYNC) as inference:
        inference.wait_until_ready()
        with load(inference.url, synthetic(fresh_testbed.dataset, ROWS), CONNECTIONS, tmp_path / "load") as answers:
            samples = list(_samples(inference))
        wait_until(lambda: metric(inference.url, JOURNAL) == 0, 600, "the journal is empty")
    answered, stored = {answer.request_id for answer in answers}, set(_stored_ids(fresh_testbed))
    sys.stdout.write(
        f"{HEAD}{_table(samples, answers)}{len(answered):,} requests answered, {len(stored):,} are in MySQL\n"
    )
    assert [answer for answer in answers if answer.status != OK][:5] == []
    assert sorted(answered ^ stored)[:5] == []
    assert len(answered) == sum(1 for _ in answers) == sum(1 for _ in _stored_ids(fresh_testbed)) >= REQUESTS
    memory = [median(sample.memory for sample in tenth) for tenth in _split(samples, 10)]
    journal = [median(sample.journal for sample in third) for third in _split(samples, 3)]
    assert memory[-1] <= WARM_MEMORY * memory[1]
    assert journal[-1] <= journal[0] + JOURNAL_BYTES


def _samples(inference: Process) -> Iterator[Sample]:
    """Readings until enough requests were answered and enough time passed."""
    end = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < end or metric(inference.url, ANSWERED) < REQUESTS:
        yield Sample(time.time(), inference.memory(), metric(inference.url, JOURNAL))
        time.sleep(SAMPLE_SECONDS)


def _stored_ids(testbed: Testbed) -> Iterator[str]:
    """The request id of each row in MySQL."""
    with testbed.admin.connect().execution_options(yield_per=10_000) as sql:
        yield from sql.scalars(sa.select(dataset_tables(testbed.dataset).requests.c.request_id))


def _table(samples: Sequence[Sample], answers: Iterable[Answer]) -> str:
    """One row for each tenth of the time."""
    tenths = list(_split(samples, 10))
    ends = [tenth[-1].at for tenth in tenths]
    seconds: list[list[float]] = [[] for _ in tenths]
    for answer in answers:
        seconds[min(bisect(ends, answer.ended), len(ends) - 1)].append(answer.seconds)
    began, lines = samples[0].at, ""
    for tenth, begin, end, took in zip(tenths, [began, *ends], ends, seconds, strict=False):
        times = "".join(f"{each * 1e3:7.1f} | " for each in np.quantile(took, (0.5, 0.99, 0.999), method="higher"))
        memory, journal = median(each.memory for each in tenth) / 2**20, median(each.journal for each in tenth) / 2**10
        rate = len(took) / (end - begin)
        lines += f"{end - began:6.0f} | {len(took):8,} | {rate:9,.0f} | {times}{memory:10.1f} | {journal:11.1f}\n"
    return lines


def _split(samples: Sequence[Sample], parts: int) -> Iterator[Sequence[Sample]]:
    """Split into this many parts of about equal length, in order."""
    cuts = [len(samples) * part // parts for part in range(parts + 1)]
    return (samples[begin:end] for begin, end in pairwise(cuts))
