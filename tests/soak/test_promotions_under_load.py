"""PROMOTIONS (100) promotions in a row under full load, each of a different model."""

import os
import statistics
import sys
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from support.load import OK, Answer, load
from support.models import Models, served_model, synthetic
from support.testbed import Testbed, wait_until
from veleta.ports import Version

PROMOTIONS = int(os.environ.get("PROMOTIONS") or 100)
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
