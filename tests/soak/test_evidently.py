"""Drift's figures beside those of Evidently, where the method is the same. `install.sh bench` installs Evidently."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from veleta.dataset import DriftRule
from veleta.drift_sentences import DISTRIBUTION, EXTREMES
from veleta_drift.domain.inputs_arm import input_tests
from veleta_drift.domain.samples import Inputs

TESTS = Path(__file__).parents[1]


def of_evidently(old: np.ndarray, new: np.ndarray) -> dict[str, float]:
    """The p-value of its test `ks`, and its distance `wasserstein`."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent / ".runtime/evidently"), "DO_NOT_TRACK": "1"}
    samples = json.dumps({"old": old.tolist(), "new": new.tolist()})
    command = [sys.executable, str(TESTS / "bench/evidently_values.py")]
    done = subprocess.run(command, env=environment, input=samples, capture_output=True, text=True, check=True)
    return dict[str, float](json.loads(done.stdout))


@pytest.mark.parametrize("factor", [1.02, 1.05])
def test_numbers_are_compared_as_by_evidently(factor: float) -> None:
    """The Wasserstein distance of the logarithms in old standard deviations, and the test of Kolmogorov and Smirnov.

    Holm's method doubles the smaller p-value of two. Up to 10,000 rows Evidently takes the exact p-value.
    """
    rng = np.random.default_rng(1)
    old, new = rng.lognormal(7, 0.5, 12_000), rng.lognormal(7, 0.5, 11_000) * factor
    samples = Inputs({"size": old}, {}), Inputs({"size": new}, {})
    ours = {each.test: each for each in input_tests(*samples, None, DriftRule(), 0.025)}
    theirs = of_evidently(np.log1p(old), np.log1p(new))
    assert ours[DISTRIBUTION].effect == pytest.approx(theirs["wasserstein"], rel=1e-9)
    assert ours[DISTRIBUTION].p_value < ours[EXTREMES].p_value
    assert ours[DISTRIBUTION].p_value == pytest.approx(2 * theirs["ks"], rel=1e-9)
