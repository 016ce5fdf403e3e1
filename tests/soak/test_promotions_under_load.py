"""Promotions in a row under full load, each of a different model: PROMOTIONS (100), and ten by command."""

import os
import statistics
import sys
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from support.http import JOURNAL, metric
from support.load import OK, Answer, load
from support.models import Models, served_model, synthetic
from support.testbed import Testbed, wait_until
from support.trainer_commands import obey
from veleta.events.catalogue import Promote, Rollback
from veleta.ports import Version
from veleta.tables import dataset_tables, promotions

PROMOTIONS = int(os.environ.get("PROMOTIONS") or 100)
COMMANDS = 10
"""Promotions by command, and then as many rollbacks."""
CONNECTIONS = 16
ROWS = 200
PAUSE_SECONDS = 2.0
"""Seconds between a swap and the next decision, for requests without a swap to compare with."""
HALF_SECOND = 0.5
MOST_SECONDS, MOST_TIMES = 1.0, 3.0

Swap = tuple[float, float]
"""Unix times of a decision, and of the first response that names its version."""


@pytest.mark.failure("F47")
def test_promotions_in_a_row_are_not_noticed(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """No request fails or waits for a swap; each price equals that of the registry's model of its version."""
    models, rows = Models(fresh_testbed), synthetic(fresh_testbed.dataset, ROWS)
    first, *others = [models.register(1 + number / PROMOTIONS) for number in range(PROMOTIONS + 1)]
    prices = {version.number: models.prices(version.number, rows) for version in (first, *others)}
    models.decide(first)
    decided = {}
    with fresh_testbed.service("inference", "inference") as inference:
        inference.wait_until_ready()
        with load(inference.url, rows, CONNECTIONS, tmp_path / "load") as coming:
            for version in others:
                time.sleep(PAUSE_SECONDS)
                decided[version.number] = models.decide(version).timestamp()
                _wait_for(version, inference.url)
            time.sleep(PAUSE_SECONDS)
    answers = list(coming)
    assert Counter(answer.status for answer in answers) == {OK: len(answers)}
    assert [answer for answer in answers if answer.price != prices[answer.version][answer.row]][:5] == []
    swaps = _swaps(decided, answers)
    seconds = [served_at - decided_at for decided_at, served_at in swaps]
    around, between = (_p999(part) for part in _split_by_swap(answers, swaps))
    sys.stdout.write(
        f"\n{len(swaps)} promotions, {len(answers):,} requests, none failed, each with its version's price\n"
        f"from decision to first answer: median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s\n"
        f"p99.9: {around * 1e3:.1f} ms around swaps, {between * 1e3:.1f} ms else: {around / between:.2f} times\n"
    )
    assert statistics.median(seconds) <= MOST_SECONDS
    assert around <= MOST_TIMES * between


@pytest.mark.failure("F364")
def test_promotions_and_rollbacks_by_command_are_not_noticed(fresh_testbed: Testbed, tmp_path: Path) -> None:
    """No request fails, and each decision is followed within a second.

    MySQL has each answer, with the price of its version in the registry.
    """
    testbed = fresh_testbed
    models, rows = Models(testbed), synthetic(testbed.dataset, ROWS)
    versions = [models.promote(), *(models.register(1 + number / COMMANDS) for number in range(COMMANDS))]
    prices = {version.number: models.prices(version.number, rows) for version in versions}
    with (
        testbed.service("trainer", "trainer", work=testbed.folder / "work") as trainer,
        testbed.service("inference", "inference") as inference,
    ):
        trainer.wait_until_ready()
        inference.wait_until_ready()
        with load(inference.url, rows, CONNECTIONS, tmp_path / "load") as coming:
            for before, version in pairwise(versions):
                time.sleep(PAUSE_SECONDS)
                reply = obey(testbed, Promote, version=version.number, expect=before.number)
                assert reply == f"version {version.number} is the champion instead of version {before.number}"
                _wait_for(version, inference.url)
            for before, version in pairwise(reversed(versions)):
                time.sleep(PAUSE_SECONDS)
                reply = obey(testbed, Rollback)
                assert reply == f"version {version.number} is the champion instead of version {before.number}"
                _wait_for(version, inference.url)
            time.sleep(PAUSE_SECONDS)
        wait_until(lambda: metric(inference.url, JOURNAL) == 0, 120, "the journal is empty")
    answers = list(coming)
    assert Counter(answer.status for answer in answers) == {OK: len(answers)}
    decided = testbed.sql(sa.select(promotions).order_by(promotions.c.seq))
    commanded = [(row.decided_at.replace(tzinfo=UTC).timestamp(), row.version) for row in decided[-2 * COMMANDS :]]
    seconds = [min(a.ended for a in answers if a.version == v and a.ended > at) - at for at, v in commanded]
    stored = dataset_tables(testbed.dataset).requests
    columns = sa.select(stored.c.request_id, stored.c.model_version, stored.c.prediction)
    in_mysql = {row.request_id: (row.model_version, row.prediction) for row in testbed.sql(columns)}
    sys.stdout.write(
        f"\n{COMMANDS} promotions and {COMMANDS} rollbacks by command, {len(answers):,} requests, none failed\n"
        f"from decision to first answer: median {statistics.median(seconds):.3f} s, longest {max(seconds):.3f} s\n"
    )
    assert in_mysql == {a.request_id: (a.version, prices[a.version][a.row]) for a in answers}
    assert max(seconds) <= MOST_SECONDS


def _wait_for(version: Version, url: str) -> None:
    wait_until(lambda: served_model(url)["version"] == version.number, 30, f"version {version.number} is served")


def _swaps(decided: dict[int, float], answers: Iterable[Answer]) -> list[Swap]:
    """The swaps, in order."""
    named: dict[int, float] = {}
    for answer in answers:
        named.setdefault(answer.version, answer.ended)
    return [(at, named[version]) for version, at in decided.items()]


def _split_by_swap(answers: Iterable[Answer], swaps: Sequence[Swap]) -> tuple[list[Answer], list[Answer]]:
    """The requests during a swap, and all others.

    A swap lasts from the decision, at least half a second before the first response of its version, to half a second
    after that response.
    """
    windows = [(min(decided, named - HALF_SECOND), named + HALF_SECOND) for decided, named in swaps]
    begins = [begin for begin, _ in windows]
    around: list[Answer] = []
    between: list[Answer] = []
    for answer in answers:
        last = bisect(begins, answer.ended) - 1
        (around if last >= 0 and answer.sent < windows[last][1] else between).append(answer)
    return around, between


def _p999(answers: Iterable[Answer]) -> float:
    """The 99.9th percentile of the request durations, in seconds."""
    return float(np.quantile([answer.seconds for answer in answers], 0.999, method="higher"))
